"""How many rows there are of what people look after."""

from typing import Final, NamedTuple

from sqlalchemy import FromClause, Integer, bindparam, func, select
from sqlalchemy.sql.selectable import ScalarSelect

from kho.server.database.constructs import Now, OneOf, listed
from kho.server.database.engine import Transaction
from kho.server.database.schema import (
    accounts,
    audit_events,
    credentials,
    grants,
    group_names,
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
