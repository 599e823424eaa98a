"""Moves of tags and events of a repository, the newest first."""

from functools import lru_cache
from typing import Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Integer,
    Text,
    bindparam,
    case,
    func,
    literal_column,
    or_,
    select,
)

from kho.server.database.audit import AuditRow
from kho.server.database.contents.collected import before, there
from kho.server.database.engine import Transaction
from kho.server.database.schema import audit_events, manifests, tag_history
from kho.server.database.statement import Statement, Value

EVENTS_WINDOW: Final = 2000

_moves = tag_history.c
_events = audit_events.c


class MoveRow(NamedTuple):
    """A move of a tag; whether the manifests of both ends are still there, as 0 or 1."""

    id: int
    tag: str
    from_digest: str | None
    to_digest: str | None
    actor: str
    at: int
    from_present: int
    to_present: int


def _present(digest: Column[str]) -> ColumnElement[int]:
    found = there(
        select(manifests.c.id)
        .where(manifests.c.repository_id == _moves.repository_id)
        .where(manifests.c.digest == digest)
        .correlate(tag_history)
    )
    return case((found, literal_column("1")), else_=literal_column("0"))


@lru_cache(maxsize=2)
def moves_statement(*, of_tag: bool) -> Statement:
    """A page of moves, of one tag or of all."""
    query = (
        select(
            _moves.id,
            _moves.tag,
            _moves.from_digest,
            _moves.to_digest,
            _moves.actor,
            _moves.at,
            _present(_moves.from_digest),
            _present(_moves.to_digest),
        )
        .where(_moves.repository_id == bindparam("repository_id"))
        .where(_moves.id < before())
    )
    if of_tag:
        query = query.where(_moves.tag == bindparam("tag"))
    return Statement(query.order_by(_moves.id.desc()).limit(bindparam("limit", type_=Integer())))


_WAS_THERE: Final = Statement(
    select(_moves.id)
    .where(_moves.repository_id == bindparam("repository_id"))
    .where(_moves.tag == bindparam("tag"))
    .where(or_(_moves.from_digest == bindparam("digest"), _moves.to_digest == bindparam("digest")))
    .limit(literal_column("1"))
)
_next = (
    select(_events.id)
    .where(_events.repository == bindparam("repository"))
    .where(_events.id < before())
    .order_by(_events.id.desc())
    .limit(bindparam("limit", type_=Integer()))
    .subquery()
)
_WINDOW: Final = Statement(select(func.min(_next.c.id), func.count()).select_from(_next))


async def moves(
    tx: Transaction, repository_id: int, tag: str | None, below: int, limit: int
) -> list[MoveRow]:
    """Moves with an id below, of one tag or of all."""
    values: dict[str, Value] = {"repository_id": repository_id, "before": below, "limit": limit}
    if tag is not None:
        values["tag"] = tag
    found = await tx.all(moves_statement(of_tag=tag is not None), **values)
    return [MoveRow(*row) for row in found]


async def pointed_at(tx: Transaction, repository_id: int, tag: str, digest: str) -> bool:
    """Whether the tag has ever pointed there."""
    row = await tx.one(_WAS_THERE, repository_id=repository_id, tag=tag, digest=digest)
    return row is not None


@lru_cache(maxsize=16)
def events_statement(actions: int, *, of_outcome: bool) -> Statement:
    """Events of a window; with any of so many patterns of actions."""
    query = (
        select(
            _events.id,
            _events.at,
            _events.action,
            _events.outcome,
            _events.actor,
            _events.repository,
            _events.target,
            _events.address,
            _events.request_id,
            _events.count,
            _events.details,
        )
        .where(_events.repository == bindparam("repository"))
        .where(_events.id < before())
        .where(_events.id >= bindparam("low", type_=BigInteger()))
    )
    likes = [_events.action.like(bindparam(f"like_{n}", type_=Text())) for n in range(actions)]
    if likes:
        query = query.where(or_(*likes))
    if of_outcome:
        query = query.where(_events.outcome == bindparam("outcome"))
    return Statement(query.order_by(_events.id.desc()).limit(bindparam("limit", type_=Integer())))


async def events_window(tx: Transaction, repository: str, below: int) -> tuple[int | None, int]:
    """The lowest id of the next EVENTS_WINDOW events, and their number."""
    row = await tx.one(_WINDOW, repository=repository, before=below, limit=EVENTS_WINDOW)
    return (None, 0) if row is None else (row[0], row[1])


async def events(
    tx: Transaction,
    repository: str,
    between: tuple[int, int],
    likes: tuple[str, ...],
    outcome: str | None,
    limit: int,
) -> list[AuditRow]:
    """Events with low <= id < below; `likes` are patterns of LIKE, one of which must match."""
    low, below = between
    values: dict[str, Value] = {"repository": repository, "low": low, "before": below}
    values |= {f"like_{n}": like for n, like in enumerate(likes)}
    if outcome is not None:
        values["outcome"] = outcome
    statement = events_statement(len(likes), of_outcome=outcome is not None)
    return [AuditRow(*row) for row in await tx.all(statement, **values, limit=limit)]
