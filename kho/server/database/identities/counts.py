"""How many rows there are of what people look after."""

from typing import Final, NamedTuple

from sqlalchemy import FromClause, Integer, Text, bindparam, func, literal_column, select
from sqlalchemy.sql.selectable import ScalarSelect

from kho.server.database.constructs import Now, OneOf, listed
from kho.server.database.engine import Transaction
from kho.server.database.schema import (
    accounts,
    audit_events,
    credentials,
    grants,
    group_names,
    layer_listings,
    repositories,
    robots,
    trust_rules,
)
from kho.server.database.statement import Statement

_DAY_MS: Final = 86_400_000
_TOKENS: Final = ("personal", "robot")


def _number(table: FromClause) -> ScalarSelect[int]:
    return select(func.count()).select_from(table).scalar_subquery()


def _tags() -> ScalarSelect[int]:
    return select(func.coalesce(func.sum(repositories.c.tag_count), 0)).scalar_subquery()


def _recent(outcome: str) -> ScalarSelect[int]:
    return (
        select(func.coalesce(func.sum(audit_events.c.count), 0))
        .where(audit_events.c.at > Now() - bindparam("day", type_=Integer()))
        .where(audit_events.c.outcome == bindparam(outcome))
        .scalar_subquery()
    )


_COUNTS: Final = Statement(
    select(
        _number(repositories),
        select(func.count()).where(repositories.c.public == 1).scalar_subquery(),
        _tags(),
        _number(accounts),
        select(func.count()).where(accounts.c.admin == 1).scalar_subquery(),
        select(func.count()).where(accounts.c.disabled == 1).scalar_subquery(),
        _number(group_names),
        _number(robots),
        _number(grants),
        select(func.count()).where(OneOf(credentials.c.kind, "kinds")).scalar_subquery(),
        _number(trust_rules),
        _recent("denied"),
        _recent("failed"),
    )
)


def _layers(state: str) -> ScalarSelect[int]:
    return (
        select(func.count())
        .where(layer_listings.c.state == literal_column(f"'{state}'", Text()))
        .scalar_subquery()
    )


_INDEXING: Final = Statement(
    select(
        select(func.count()).where(repositories.c.indexed < 1).scalar_subquery(),
        *map(_layers, ("waiting", "running", "done", "refused")),
    )
)


class Indexing(NamedTuple):
    """Repositories of which not all is known yet, and layers by what became of their files."""

    repositories_waiting: int
    layers_waiting: int
    layers_running: int
    layers_done: int
    layers_refused: int


class Counts(NamedTuple):
    """How many; `denied` and `failed` are events of the last 24 hours."""

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


async def all_counts(tx: Transaction) -> Counts:
    """Counted now."""
    row = await tx.one(
        _COUNTS, kinds=listed(_TOKENS), day=_DAY_MS, denied="denied", failed="failed"
    )
    assert row is not None
    return Counts(*map(int, row))


async def indexing(tx: Transaction) -> Indexing:
    """What the index has still to find out."""
    row = await tx.one(_INDEXING)
    assert row is not None
    return Indexing(*map(int, row))
