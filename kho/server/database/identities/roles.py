"""Rows of roles that the operator made from single actions; the built-in ones have none."""

import json
from collections.abc import Iterable
from typing import Final, NamedTuple

import sqlalchemy
from sqlalchemy import Integer, bindparam, select
from sqlalchemy.dialects.postgresql import insert

from kho.server.database.engine import Transaction
from kho.server.database.identities import revisions
from kho.server.database.schema import roles
from kho.server.database.statement import Statement
from kho.server.policy.access import ON_REPOSITORIES, ROLES, Action

_table = roles.c
_OF_NAME: Final = _table.name == bindparam("of")

_FIND: Final = Statement(select(_table.name, _table.actions).where(_OF_NAME))
_HOLD: Final = Statement(select(_table.name).where(_OF_NAME).with_for_update(read=True))
_INSERT: Final = Statement(
    insert(roles)
    .values(name=bindparam("name"), actions=bindparam("actions"))
    .on_conflict_do_nothing()
    .returning(_table.name)
)
_DELETE: Final = Statement(sqlalchemy.delete(roles).where(_OF_NAME))
_PAGE: Final = Statement(
    select(_table.name, _table.actions)
    .where(_table.name > bindparam("after"))
    .order_by(_table.name)
    .limit(bindparam("limit", type_=Integer()))
)


class RoleRow(NamedTuple):
    """A role of the operator's."""

    name: str
    actions: frozenset[Action]


async def find(tx: Transaction, name: str) -> RoleRow | None:
    """The own role of that name; a built-in one is not found."""
    row = await tx.one(_FIND, of=name)
    return None if row is None else RoleRow(row[0], parsed(row[1]))


async def hold(tx: Transaction, name: str) -> bool:
    """Whether there is such a role, built-in ones included, which stays until this write ends."""
    return name in ROLES or await tx.one(_HOLD, of=name) is not None


async def add(tx: Transaction, name: str, actions: Iterable[Action]) -> bool:
    """Create a role; False when the name is taken, be it by a built-in one."""
    chosen = json.dumps(sorted(set(actions), key=ON_REPOSITORIES.index))
    if name in ROLES or await tx.one(_INSERT, name=name, actions=chosen) is None:
        return False
    await revisions.bump(tx)
    return True


async def delete(tx: Transaction, name: str) -> bool:
    """Take a role away: its grants give nothing any more. False when there was none."""
    found = await tx.run(_DELETE, of=name) > 0
    if found:
        await revisions.bump(tx)
    return found


async def page(tx: Transaction, after: str | None, limit: int) -> list[RoleRow]:
    """The own roles after `after`, by name."""
    rows = await tx.all(_PAGE, after=after or "", limit=limit)
    return [RoleRow(name, parsed(actions)) for name, actions in rows]


def parsed(actions: str) -> frozenset[Action]:
    """The actions of a row; one that only a newer program knows is left out."""
    return frozenset(Action(one) for one in json.loads(actions) if one in ON_REPOSITORIES)
