"""What a caller sees is what it may pull: SQL and the policy say the same."""

from itertools import product

from sqlalchemy import select

from kho.server.database import repositories as rows
from kho.server.database.engine import Database, Transaction
from kho.server.database.schema import repositories
from kho.server.database.sight import Seen
from kho.server.policy.access import (
    ANYONE,
    NOBODY,
    ROLES,
    Action,
    Allowance,
    Ceiling,
    Grant,
    Principal,
    allowed,
    within_ceilings,
)
from kho.server.policy.sight import sight_of

NAMES = ["a", "a/b", "a/b/c", "a-b", "a0", "ab", "b/x", "b/x1/y", "team/app", "team/app/x", "z"]
PUBLIC = ["a/b", "z", "team/app"]
ALL = Seen(select(repositories.c.name).order_by(repositories.c.sort_key))


def user(*patterns: str, ceilings: tuple[Ceiling, ...] = ()) -> Principal:
    grants = tuple(Grant("user:a", "reader", one, ROLES["reader"]) for one in patterns)
    return Principal("user:a", grants, ceilings)


def ceiling(*patterns: str) -> Ceiling:
    return tuple(Allowance(one, frozenset({Action.PULL})) for one in patterns)


PATTERNS = [(), ("**",), ("a",), ("a/**",), ("a/*", "b/**"), ("team/a*",), ("?b", "**/x")]
CEILINGS = [(), (ceiling("**"),), (ceiling("a/**", "z"),), (ceiling("z"), ceiling("b/**")), ((),)]


async def test_sql_sees_what_the_policy_allows(database: Database) -> None:
    await fill(database)
    for patterns, ceilings in product(PATTERNS, CEILINGS):
        principal = user(*patterns, ceilings=ceilings)
        expected = [
            name
            for name in NAMES
            if allowed(principal, Action.PULL, name)
            or (name in PUBLIC and within_ceilings(ceilings, Action.PULL, name))
        ]
        found = sorted(await seen(database, principal))
        assert found == sorted(expected), (patterns, ceilings)


async def test_who_is_open_sees_all_and_nobody_what_is_public(database: Database) -> None:
    await fill(database)
    assert sorted(await seen(database, ANYONE)) == sorted(NAMES)
    assert sorted(await seen(database, NOBODY)) == sorted(PUBLIC)


async def seen(database: Database, principal: Principal) -> list[str]:
    return [name for (name,) in await database.read(ALL.all, sight_of(principal))]


async def fill(database: Database) -> None:
    async def make(tx: Transaction) -> None:
        for name in NAMES:
            await rows.ensure(tx, name)
        for name in PUBLIC:
            await rows.set_public(tx, name, public=True)

    await database.write(make)
