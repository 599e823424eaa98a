"""Rows of the audit trail: who did what, from where, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Text,
    bindparam,
    delete,
    func,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import insert

from kho.server.database.constructs import Now
from kho.server.database.engine import Transaction
from kho.server.database.redaction import clean, clean_details
from kho.server.database.schema import audit_events
from kho.server.database.statement import Statement
from kho.server.policy.access import By

_table = audit_events.c
_WRITTEN: Final = (
    *("action", "outcome", "actor", "repository", "target"),
    *("address", "request_id", "count", "details"),
)
_MOST_COUNT: Final = 2**31 - 1

OUTCOMES: Final = ("allowed", "denied", "failed")

_INSERT: Final = Statement(
    insert(audit_events).values(
        at=Now() - bindparam("age_ms", type_=BigInteger()),
        **{name: bindparam(name) for name in _WRITTEN},
    )
)
_NOW: Final = Statement(select(Now()))
_LAST: Final = Statement(select(func.coalesce(func.max(_table.id), 0)))
_TRIM: Final = Statement(
    delete(audit_events).where(
        _table.id.in_(
            select(_table.id)
            .where(_table.at < bindparam("before_ms", type_=BigInteger()))
            .order_by(_table.at)
            .limit(bindparam("limit", type_=Integer()))
        )
    )
)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was done or tried. `action` is `noun.verb`, `outcome` one of OUTCOMES.

    The address and the request are those of `actor`, if it is a By and they are not given.
    `details` never hold secrets; text is cut and masked when it is written all the same.
    """

    action: str
    outcome: str
    actor: str
    repository: str | None = None
    target: str | None = None
    address: str = ""
    request_id: str = ""
    details: Mapping[str, object] | None = None
    count: int = 1


@dataclass(frozen=True, slots=True)
class AuditRow:
    """An event as it was written; `at` in milliseconds, `details` as JSON."""

    id: int
    at: int
    action: str
    outcome: str
    actor: str
    repository: str | None
    target: str | None
    address: str | None
    request_id: str | None
    count: int
    details: str | None


class Filter(NamedTuple):
    """Which events: all that is given must hold; `*` in text stands for any characters.

    One of `actions` must match. `since_ms` is the first moment that counts, `until_ms` the first
    that does not any more; `before_id` is above the ids that count.
    """

    since_ms: int | None = None
    until_ms: int | None = None
    actor: str = ""
    actions: tuple[str, ...] = ()
    repository: str = ""
    outcome: str = ""
    before_id: int | None = None


async def record(tx: Transaction, event: Event, *, age_ms: int = 0) -> None:
    """Write an event that happened `age_ms` ago.

    When COMMIT itself loses its connection the event may be written twice: rather that than never.
    """
    by = event.actor
    address = event.address or (by.address if isinstance(by, By) else "")
    request_id = event.request_id or (by.request_id if isinstance(by, By) else "")
    values: dict[str, Any] = {
        "action": clean(event.action, 64),
        "outcome": clean(event.outcome, 16),
        "actor": clean(event.actor, 256),
        "repository": _optional(event.repository, 255),
        "target": _optional(event.target, 512),
        "address": _optional(address or None, 64),
        "request_id": _optional(request_id or None, 64),
        "count": min(event.count, _MOST_COUNT),
        "details": clean_details(event.details),
    }
    await tx.run(_INSERT, age_ms=age_ms, **values)


async def now(tx: Transaction) -> int:
    """The database's clock, in milliseconds."""
    row = await tx.one(_NOW)
    assert row is not None
    return int(row[0])


async def last_id(tx: Transaction) -> int:
    """The highest id; 0 when there is no event."""
    row = await tx.one(_LAST)
    assert row is not None
    return int(row[0])


async def find(tx: Transaction, wanted: Filter, after_id: int, limit: int) -> list[AuditRow]:
    """Events written after the one with that id, in the order in which they were written."""
    statement, values = _statement(wanted, newest=False)
    rows = await tx.all(statement, **values, after_id=after_id, limit=limit)
    return [AuditRow(*row) for row in rows]


async def newest(tx: Transaction, wanted: Filter, limit: int) -> list[AuditRow]:
    """The last events, the newest last."""
    statement, values = _statement(wanted, newest=True)
    rows = await tx.all(statement, **values, limit=limit)
    return [AuditRow(*row) for row in reversed(rows)]


async def trim(tx: Transaction, before_ms: int, limit: int) -> int:
    """Remove the oldest events from before then, at most `limit`; how many there were."""
    return await tx.run(_TRIM, before_ms=before_ms, limit=limit)


def _optional(text: str | None, most: int) -> str | None:
    return None if text is None else clean(text, most)


def _statement(wanted: Filter, *, newest: bool) -> tuple[Statement, dict[str, Any]]:
    """The statement of this shape, and the values of its conditions."""
    values: dict[str, Any] = {
        name: value
        for name, value in wanted._asdict().items()
        if name != "actions" and value not in (None, "")
    }
    likes = tuple(name for name in ("actor", "repository") if "*" in values.get(name, ""))
    values |= {name: _like(values[name]) for name in likes}
    values |= {f"action_{n}": _like(glob) for n, glob in enumerate(wanted.actions)}
    return _shaped(tuple(values), likes, newest), values


@lru_cache(maxsize=256)
def _shaped(names: tuple[str, ...], likes: tuple[str, ...], newest: bool) -> Statement:
    """Built for the conditions that are there, so that the database can use its indexes."""
    query = select(_table.id, _table.at, *(_table[name] for name in _WRITTEN))
    for name in names:
        if name == "since_ms":
            query = query.where(_table.at >= bindparam(name, type_=BigInteger()))
        elif name == "until_ms":
            query = query.where(_table.at < bindparam(name, type_=BigInteger()))
        elif name == "before_id":
            query = query.where(_table.id < bindparam(name, type_=BigInteger()))
        elif name in likes:
            query = query.where(_matches(_table[name], name))
        elif not name.startswith("action_"):
            query = query.where(_table[name] == bindparam(name))
    actions = [_matches(_table.action, name) for name in names if name.startswith("action_")]
    if actions:
        query = query.where(or_(*actions))
    if not newest:
        query = query.where(_table.id > bindparam("after_id", type_=BigInteger()))
    query = query.order_by(_table.id.desc() if newest else _table.id)
    return Statement(query.limit(bindparam("limit", type_=Integer())))


def _matches(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    return column.like(bindparam(name, type_=Text()), escape="!")


def _like(glob: str) -> str:
    quoted = glob.replace("!", "!!").replace("%", "!%").replace("_", "!_")
    return quoted.replace("*", "%")
