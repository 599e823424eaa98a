"""The registry itself: its settings (`khod config show`) and its health."""

from collections.abc import Awaitable
from typing import Final

from kho import __version__
from kho.oci.errors import RegistryError
from kho.server.config import describe
from kho.server.index import counts
from kho.server.jobs.schedule import JOBS
from kho.server.policy.access import Action
from kho.server.resources import Resources
from kho.server.web.api.operation import Call, Operation, Told
from kho.server.web.api.paging import Listing


class Setting(Told, frozen=True):
    """A setting, and where its value is from. Passwords are masked."""

    key: str
    value: str | int | float | bool | list[str] | None
    source: str


class Part(Told, frozen=True):
    """Whether something that the registry stands on takes reads and writes; else why not."""

    name: str
    good: bool
    problem: str


class Job(Told, frozen=True):
    """Work that every worker does beside its requests, so often."""

    name: str
    seconds: float


class Health(Told, frozen=True):
    """How the registry is, and what its workers do."""

    version: str
    good: bool
    parts: list[Part]
    workers: int
    jobs: list[Job]


class Counts(Told, frozen=True):
    """How many of what there is; `denied` and `failed` are events of the last 24 hours."""

    repositories: int
    public: int
    tags: int
    users: int
    admins: int
    disabled: int
    groups: int
    robots: int
    grants: int
    tokens: int
    rules: int
    denied: int
    failed: int


async def list_settings(resources: Resources, call: Call[None, None]) -> Listing[Setting]:  # noqa: ARG001
    """All settings as they are in effect in this worker."""
    rows = describe(resources.config)
    return Listing([Setting(key=row.key, value=row.value, source=row.source) for row in rows], None)


async def show_health(resources: Resources, call: Call[None, None]) -> Health:  # noqa: ARG001
    """Database and storage are tried; `/readyz` says the same to machines, without details."""
    parts = [
        await _part("database", resources.database.ping()),
        await _part("storage", resources.storage.ping()),
    ]
    return Health(
        version=__version__,
        good=all(one.good for one in parts),
        parts=parts,
        workers=resources.config.worker_count,
        jobs=[Job(name=one.name, seconds=one.seconds) for one in JOBS],
    )


async def show_counts(resources: Resources, call: Call[None, None]) -> Counts:  # noqa: ARG001
    """Counted now."""
    return Counts(**(await counts.every(resources))._asdict())


async def _part(name: str, trial: Awaitable[None]) -> Part:
    try:
        await trial
    except RegistryError as error:
        return Part(name=name, good=False, problem=error.message)
    return Part(name=name, good=True, problem="")


OPERATIONS: Final = (
    Operation(
        id="listSettings",
        noun="registry",
        method="GET",
        path="/settings",
        action=Action.ADMIN,
        summary="Show the settings with their sources",
        function=list_settings,
        answer=Listing[Setting],
    ),
    Operation(
        id="showHealth",
        noun="registry",
        method="GET",
        path="/health",
        action=Action.ADMIN,
        summary="Say whether database and storage work",
        function=show_health,
        answer=Health,
    ),
    Operation(
        id="showCounts",
        noun="registry",
        method="GET",
        path="/counts",
        action=Action.ADMIN,
        summary="Count repositories, accounts, grants",
        function=show_counts,
        answer=Counts,
    ),
)
