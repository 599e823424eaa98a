"""Who may do what: actions, principals, and the one function that decides."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Action(StrEnum):
    """Every action that a route can ask for."""

    OPERATE = "operate"  # health and metrics: asked by machines, tells nothing of content
    PING = "ping"
    CATALOG = "catalog"
    PULL = "pull"
    PUSH = "push"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. `open` marks the caller of a registry that runs without authentication."""

    name: str
    open: bool = False


ANYONE: Final = Principal("anonymous", open=True)


def allowed(principal: Principal, action: Action, repository: str | None) -> bool:  # noqa: ARG001
    """Decide; the default is no."""
    return principal.open
