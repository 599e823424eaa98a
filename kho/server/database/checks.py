"""Rows of checks of what is stored: who asked for one, who is at it, what was found so far.

ask ─► waiting ─► lease ─► running ─► report … ─► end: done, failed
          └──── stop ─────────┴─► stopped     a lease that has run out: nobody is at it any more
"""

from typing import Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    Integer,
    Text,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.sql.elements import ColumnElement

from kho.server.database.check_schema import storage_checks
from kho.server.database.constructs import Now
from kho.server.database.engine import Transaction
from kho.server.database.statement import Statement

KEPT: Final = 50  # of those that have ended

_table = storage_checks.c
_WAITING: Final = _table.state == "waiting"
_RUNNING: Final = _table.state == "running"
_LEFT: Final = and_(_RUNNING, _table.lease_until < Now())
_ACTIVE: Final = or_(_WAITING, and_(_RUNNING, _table.lease_until >= Now()))


def _number(name: str) -> ColumnElement[int]:
    return bindparam(name, type_=BigInteger())


_OF: Final = _table.id == _number("of")
_UNDER_WAY: Final = Statement(select(_table.id).where(_ACTIVE).limit(literal_column("1")))
_ASK: Final = Statement(
    insert(storage_checks)
    .values(
        asked_at=Now(),
        asked_by=bindparam("by"),
        quick=bindparam("quick"),
        repair=bindparam("repair"),
        min_age_ms=_number("min_age_ms"),
        state="waiting",
    )
    .returning(_table.id)
)
_TRIM: Final = Statement(
    delete(storage_checks).where(_table.id <= _number("below")).where(~_ACTIVE)
)
_IS_WAITING: Final = Statement(select(_table.id).where(_WAITING).limit(literal_column("1")))
_LEASE: Final = Statement(
    update(storage_checks)
    .values(state="running", started_at=Now(), lease_until=Now() + _number("lease"))
    .where(_WAITING)
    .where(
        _table.id == select(func.min(_table.id)).where(_WAITING).correlate(None).scalar_subquery()
    )
    .returning(_table.id, _table.quick, _table.repair, _table.min_age_ms, _table.asked_by)
)
_REPORT: Final = (
    update(storage_checks)
    .values(
        found=_number("found"),
        repaired=_number("repaired"),
        checked=bindparam("checked", type_=Text()),
        findings=bindparam("findings", type_=Text()),
    )
    .where(_OF)
    .where(_RUNNING)
)
_RENEW: Final = Statement(_REPORT.values(lease_until=Now() + _number("lease")))
_END: Final = Statement(
    _REPORT.values(state=bindparam("state"), ended_at=Now(), lease_until=null())
)
_STOP: Final = Statement(
    update(storage_checks)
    .values(state="stopped", ended_at=Now(), lease_until=null())
    .where(_OF)
    .where(_ACTIVE)
)
_SEEN: Final = (
    *(_table.id, _table.asked_at, _table.asked_by, _table.quick, _table.repair),
    *(_table.min_age_ms, case((_LEFT, literal_column("'failed'", Text())), else_=_table.state)),
    *(_table.started_at, case((_LEFT, _table.lease_until), else_=_table.ended_at)),
    *(_table.found, _table.repaired, _table.checked),
)
_FIND: Final = Statement(select(*_SEEN, _table.findings).where(_OF))
_NEWEST: Final = Statement(
    select(*_SEEN)
    .where(_table.id < _number("before"))
    .order_by(_table.id.desc())
    .limit(bindparam("limit", type_=Integer()))
)


class Leased(NamedTuple):
    """A check that nobody else does; `asked_by` is who asked for it."""

    id: int
    quick: bool
    repair: bool
    min_age_ms: int
    asked_by: str


class Report(NamedTuple):
    """What came of it so far; `checked` and `findings` are JSON."""

    found: int
    repaired: int
    checked: str
    findings: str


class CheckRow(NamedTuple):
    """A check; `state` of one whose worker has gone is failed. `findings` is "" in lists."""

    id: int
    asked_at: int
    asked_by: str
    quick: bool
    repair: bool
    min_age_ms: int
    state: str
    started_at: int | None
    ended_at: int | None
    found: int
    repaired: int
    checked: str
    findings: str = ""


async def ask(
    tx: Transaction, by: str, *, quick: bool, repair: bool, min_age_ms: int
) -> int | None:
    """Have what is stored checked; None while another check is under way."""
    if await tx.one(_UNDER_WAY) is not None:
        return None
    row = await tx.one(_ASK, by=by, quick=int(quick), repair=int(repair), min_age_ms=min_age_ms)
    assert row is not None
    await tx.run(_TRIM, below=row[0] - KEPT)
    return int(row[0])


async def is_waiting(tx: Transaction) -> bool:
    """Whether there is one to lease."""
    return await tx.one(_IS_WAITING) is not None


async def lease(tx: Transaction, lease_ms: int) -> Leased | None:
    """Take the oldest that waits."""
    row = await tx.one(_LEASE, lease=lease_ms)
    if row is None:
        return None
    id_, quick, repair, min_age_ms, by = row
    return Leased(id_, bool(quick), bool(repair), min_age_ms, by)


async def renew(tx: Transaction, check_id: int, so_far: Report, lease_ms: int) -> bool:
    """Tell how far it is, and go on; False when somebody has stopped it."""
    return await tx.run(_RENEW, of=check_id, lease=lease_ms, **so_far._asdict()) > 0


async def end(tx: Transaction, check_id: int, so_far: Report, state: str) -> bool:
    """It has ended: done or failed."""
    return await tx.run(_END, of=check_id, state=state, **so_far._asdict()) > 0


async def stop(tx: Transaction, check_id: int) -> bool:
    """End one that waits or runs; False for any other."""
    return await tx.run(_STOP, of=check_id) > 0


async def find(tx: Transaction, check_id: int) -> CheckRow | None:
    """One of them, with its findings."""
    row = await tx.one(_FIND, of=check_id)
    return None if row is None else _told(row)


async def newest(tx: Transaction, before: int, limit: int) -> list[CheckRow]:
    """Those with smaller numbers, the newest first."""
    return [_told(row) for row in await tx.all(_NEWEST, before=before, limit=limit)]


def _told(row: tuple[object, ...]) -> CheckRow:
    found = CheckRow(*row)  # type: ignore[arg-type]
    return found._replace(quick=bool(found.quick), repair=bool(found.repair))
