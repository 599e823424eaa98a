"""What happened in one repository, for those who answer for it: pushes, deletions, refusals."""

import asyncio
import json
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from kho.oci.errors import Denied
from kho.server.database.audit import AuditRow
from kho.server.database.contents import history as rows
from kho.server.database.contents.history import EVENTS_WINDOW
from kho.server.database.engine import Transaction
from kho.server.index.catalogue import paging
from kho.server.policy.access import Action, Principal, allowed
from kho.server.policy.sight import Kind, sight_of
from kho.server.resources import Resources

LOOKS: Final = 10

Which = Literal["all", "pushes", "deletions", "refusals"]
# Patterns of LIKE for actions, and the outcome.
_WHICH: Final[dict[Which, tuple[tuple[str, ...], str | None]]] = {
    "all": ((), None),
    "pushes": (("manifest.push", "tag.restore"), None),
    "deletions": (("%.delete",), None),
    "refusals": ((), "denied"),
}


class Happening(msgspec.Struct, frozen=True):
    """An event of the audit trail; `at` in milliseconds, `count` of alike ones at a time."""

    id: int
    at: int
    action: str
    outcome: str
    actor: str
    target: str | None
    address: str | None
    request_id: str | None
    count: int
    details: dict[str, object]


class Activity(msgspec.Struct, frozen=True):
    """Some events, the newest first; `next` is the cursor of older ones. It may be short."""

    events: tuple[Happening, ...]
    next: str | None


async def page(
    resources: Resources,
    principal: Principal,
    repository: str,
    *,
    which: Which = "all",
    cursor: str | None = None,
    limit: int = 50,
) -> Activity:
    """Events of a repository, also of one that is gone; raise Denied or InvalidRequest."""
    if not may_look(principal, repository):
        raise Denied("the activity of a repository needs the action `settings`")
    # What is free afterwards tells what other repositories hold.
    untold = () if sight_of(principal).kind is Kind.EVERYTHING else ("freed",)
    limit, below = paging.bounded(limit), paging.below(cursor)
    found: list[AuditRow] = []
    for _ in range(LOOKS):
        some, low = await resources.database.read(
            _look, repository, which, below, limit - len(found)
        )
        found += some
        if low is None:
            return Activity(tuple(_happening(row, untold) for row in found), None)
        below = low
        if len(found) >= limit:
            break
        await asyncio.sleep(0)  # a read of SQLite never lets go by itself
    return Activity(tuple(_happening(row, untold) for row in found), paging.encode(below))


def may_look(principal: Principal, repository: str) -> bool:
    """Whether the principal may see who did what, and from where."""
    may = (Action.SETTINGS, Action.ADMIN)
    return any(allowed(principal, action, repository) for action in may)


async def _look(
    tx: Transaction, repository: str, which: Which, below: int, limit: int
) -> tuple[list[AuditRow], int | None]:
    low, held = await rows.events_window(tx, repository, below)
    if low is None:
        return [], None
    likes, outcome = _WHICH[which]
    found = await rows.events(tx, repository, (low, below), likes, outcome, limit + 1)
    if len(found) > limit:
        return found[:limit], found[limit - 1].id
    return found, low if held == EVENTS_WINDOW else None


def _happening(row: AuditRow, untold: Sequence[str]) -> Happening:
    details = json.loads(row.details) if row.details else {}
    return Happening(
        id=row.id,
        at=row.at,
        action=row.action,
        outcome=row.outcome,
        actor=row.actor,
        target=row.target,
        address=row.address,
        request_id=row.request_id,
        count=row.count,
        details={key: value for key, value in details.items() if key not in untold},
    )
