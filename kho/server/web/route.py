"""A row of the URL table."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from kho.server.policy.access import Action
from kho.server.resources import Resources
from kho.server.web.request import Answer, Audience, Request

Handler = Callable[[Resources, Request], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Route:
    """`name` is the label in metrics and logs; `index` says that it goes with the index."""

    name: str
    method: str
    template: str
    action: Action
    handler: Handler
    audience: Audience = Audience.CLIENTS
    index: bool = False
