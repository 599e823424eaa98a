"""Checks of what is stored, as administrators ask for them; jobs/schedule.py has who does them."""

from collections.abc import Mapping
from typing import Final

import msgspec

from kho.server.database import audit
from kho.server.database import checks as rows
from kho.server.database.audit import Event
from kho.server.database.checks import CheckRow
from kho.server.database.engine import Transaction
from kho.server.index.errors import Conflict, NotFound
from kho.server.policy.access import Caller
from kho.server.resources import Resources

USUAL_AGE: Final = 3600.0
_LAST: Final = 2**53


class Found(msgspec.Struct, frozen=True):
    """Something that is wrong; `kind` is one of docs/operate/fsck.md."""

    kind: str
    where: str
    what: str
    repair: str
    repaired: bool


class Checked(msgspec.Struct, frozen=True):
    """A check; times in milliseconds. `state`: waiting, running, done, stopped, failed.

    `found` counts all that is wrong, `findings` has the first 200, and none in lists.
    """

    id: int
    asked_at: int
    asked_by: str
    quick: bool
    repair: bool
    min_age: float
    state: str
    started_at: int | None
    ended_at: int | None
    found: int
    repaired: int
    checked: dict[str, int]
    findings: list[Found]

    @property
    def under_way(self) -> bool:
        """Whether it can be stopped."""
        return self.state in ("waiting", "running")


async def start(
    resources: Resources, caller: Caller, *, quick: bool, repair: bool, min_age: float
) -> int:
    """Have everything checked, within seconds, by one of the workers; the number of the check.

    Raises Conflict while another one is under way.
    """
    found = await resources.database.write(
        _ask, caller, quick=quick, repair=repair, min_age_ms=round(min_age * 1000)
    )
    if found is None:
        raise Conflict("a check is under way: wait for its end, or stop it")
    return found


async def stop(resources: Resources, caller: Caller, check_id: int) -> None:
    """End a check; what it has found stays. Raises NotFound, Conflict."""
    if await resources.database.write(_stop, caller, check_id):
        return
    await show(resources, check_id)
    raise Conflict("the check has ended already")


async def show(resources: Resources, check_id: int) -> Checked:
    """A check with its findings. Raises NotFound."""
    row = await resources.database.read(rows.find, check_id)
    if row is None:
        raise NotFound("there is no check of this number")
    return _told(row)


async def newest(resources: Resources, before: int | None, limit: int) -> list[Checked]:
    """Checks with smaller numbers, the newest first."""
    found = await resources.database.read(rows.newest, before or _LAST, limit)
    return [_told(row) for row in found]


async def _ask(
    tx: Transaction, caller: Caller, *, quick: bool, repair: bool, min_age_ms: int
) -> int | None:
    found = await rows.ask(tx, caller.name, quick=quick, repair=repair, min_age_ms=min_age_ms)
    if found is not None:
        details = {"quick": quick, "repair": repair}
        await _record(tx, caller, "check.start", found, details)
    return found


async def _stop(tx: Transaction, caller: Caller, check_id: int) -> bool:
    stopped = await rows.stop(tx, check_id)
    if stopped:
        await _record(tx, caller, "check.stop", check_id)
    return stopped


async def _record(
    tx: Transaction,
    caller: Caller,
    action: str,
    check_id: int,
    details: Mapping[str, object] | None = None,
) -> None:
    event = Event(
        action,
        "allowed",
        caller.name,
        target=str(check_id),
        address=caller.address,
        request_id=caller.request_id,
        details=details,
    )
    await audit.record(tx, event)


def _told(row: CheckRow) -> Checked:
    """A row, with its JSON read."""
    return Checked(
        id=row.id,
        asked_at=row.asked_at,
        asked_by=row.asked_by,
        quick=row.quick,
        repair=row.repair,
        min_age=row.min_age_ms / 1000,
        state=row.state,
        started_at=row.started_at,
        ended_at=row.ended_at,
        found=row.found,
        repaired=row.repaired,
        checked=msgspec.json.decode(row.checked, type=dict[str, int]),
        findings=msgspec.json.decode(row.findings or "[]", type=list[Found]),
    )
