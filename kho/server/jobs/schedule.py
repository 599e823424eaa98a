"""THE JOB TABLE: name, period, function."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from kho.server.index import audit, throttle, traffic
from kho.server.index.tokens import credentials, keys
from kho.server.jobs import listings
from kho.server.registry import checking, filling, uploads
from kho.server.resources import Resources


@dataclass(frozen=True, slots=True)
class Job:
    """Work that every worker does every `seconds`; it must bear others doing it too."""

    name: str
    seconds: float
    run: Callable[[Resources], Awaitable[int]]


JOBS: Final = (
    Job("expire uploads", 3600.0, uploads.expire),
    Job("expire audit events", 3600.0, audit.expire),
    Job("fill the index", 15.0, filling.fill),
    Job("expire statistics", 3600.0, traffic.expire),
    Job("purge expired credentials", 3600.0, credentials.purge),
    Job("drop retired signing keys", 3600.0, keys.purge),
    Job("forget failed logins", 600.0, throttle.purge),
    Job("list layers", 1.0, listings.work),
    Job("forget layers", 3600.0, listings.purge),
    Job("check what is stored", 2.0, checking.work),
)
