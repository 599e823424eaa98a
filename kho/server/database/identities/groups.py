"""Rows of groups, and who is in them.

A member is a user's name, whichever source knows it; `source` says who put it there: local (an
operator), ldap or oidc (the last login).
"""

from typing import Final, NamedTuple

import sqlalchemy
from sqlalchemy import Integer, bindparam, func, select
from sqlalchemy.dialects.postgresql import insert

from kho.server.database.constructs import Now
from kho.server.database.engine import Transaction
from kho.server.database.identities import revisions
from kho.server.database.schema import grants, group_members, group_names
from kho.server.database.statement import Statement

_names = group_names.c
_members = group_members.c
_OF_NAME: Final = _names.name == bindparam("of")
_OF_MEMBER: Final = (
    (_members.group_name == bindparam("of"))
    & (_members.user_name == bindparam("user"))
    & (_members.source == bindparam("by"))
)

_OF_USER: Final = Statement(
    select(_members.group_name)
    .where(_members.user_name == bindparam("user"))
    .order_by(_members.group_name)
    .distinct()
)
_OF_USER_BY_SOURCE: Final = Statement(
    select(_members.group_name)
    .where(_members.user_name == bindparam("user"))
    .where(_members.source == bindparam("by"))
)
_FIND: Final = Statement(select(_names.created_at).where(_OF_NAME))
_HOLD: Final = Statement(select(_names.name).where(_OF_NAME).with_for_update(read=True))
_INSERT: Final = Statement(
    insert(group_names)
    .values(name=bindparam("name"), created_at=Now())
    .on_conflict_do_nothing()
    .returning(_names.name)
)
_DELETE: Final = Statement(sqlalchemy.delete(group_names).where(_OF_NAME))
_EMPTY: Final = Statement(
    sqlalchemy.delete(group_members).where(_members.group_name == bindparam("of"))
)
_DROP_GRANTS: Final = Statement(
    sqlalchemy.delete(grants).where(grants.c.subject == bindparam("subject"))
)
_JOIN: Final = Statement(
    insert(group_members)
    .values(group_name=bindparam("group"), user_name=bindparam("user"), source=bindparam("by"))
    .on_conflict_do_nothing()
)
_LEAVE: Final = Statement(sqlalchemy.delete(group_members).where(_OF_MEMBER))
_MEMBERS: Final = Statement(
    select(_members.user_name, _members.source)
    .where(_members.group_name == bindparam("of"))
    .order_by(_members.user_name, _members.source)
)
_PAGE: Final = Statement(
    select(
        _names.name,
        _names.created_at,
        select(func.count(_members.user_name.distinct()))
        .where(_members.group_name == _names.name)
        .scalar_subquery(),
    )
    .where(_names.name > bindparam("after"))
    .order_by(_names.name)
    .limit(bindparam("limit", type_=Integer()))
)


class GroupRow(NamedTuple):
    """A group and how many are in it; the time in milliseconds."""

    name: str
    created_at: int
    members: int


class MemberRow(NamedTuple):
    """Who is in a group, and who put it there: local, ldap or oidc."""

    user_name: str
    source: str


async def of_user(tx: Transaction, user_name: str) -> list[str]:
    """The groups of a user, by name."""
    return [name for (name,) in await tx.all(_OF_USER, user=user_name)]


async def replace(tx: Transaction, user_name: str, source: str, group_names: list[str]) -> None:
    """Make these the user's groups, as far as this source goes; absent groups are created."""
    wanted = set(group_names)
    rows = await tx.all(_OF_USER_BY_SOURCE, user=user_name, by=source)
    had = {name for (name,) in rows}
    for name in sorted(had - wanted):
        await tx.run(_LEAVE, of=name, user=user_name, by=source)
    for name in sorted(wanted - had):  # sorted: two logins at once take their locks in one order
        await tx.one(_INSERT, name=name)
        await tx.run(_JOIN, group=name, user=user_name, by=source)
    if had != wanted:
        await revisions.bump(tx)


async def exists(tx: Transaction, name: str) -> bool:
    """Whether there is such a group."""
    return await tx.one(_FIND, of=name) is not None


async def hold(tx: Transaction, name: str) -> bool:
    """Whether there is such a group, which then stays until this write ends."""
    return await tx.one(_HOLD, of=name) is not None


async def add(tx: Transaction, name: str) -> bool:
    """Create a group; False when there is one already."""
    if await tx.one(_INSERT, name=name) is None:
        return False
    await revisions.bump(tx)
    return True


async def delete(tx: Transaction, name: str) -> bool:
    """Take a group away with its members and grants; False when there was none."""
    await tx.run(_EMPTY, of=name)
    found = await tx.run(_DELETE, of=name) > 0
    if found:
        await tx.run(_DROP_GRANTS, subject=f"group:{name}")
        await revisions.bump(tx)
    return found


async def add_member(tx: Transaction, name: str, user_name: str, source: str = "local") -> bool:
    """Put a user into a group, which must exist; False when it was there already."""
    if not await tx.run(_JOIN, group=name, user=user_name, by=source):
        return False
    await revisions.bump(tx)
    return True


async def remove_member(tx: Transaction, name: str, user_name: str, source: str = "local") -> bool:
    """Take out what this source put in; False when it was not there."""
    if not await tx.run(_LEAVE, of=name, user=user_name, by=source):
        return False
    await revisions.bump(tx)
    return True


async def members(tx: Transaction, name: str) -> list[MemberRow]:
    """Who is in a group, by name; twice when two sources say so."""
    return [MemberRow(*row) for row in await tx.all(_MEMBERS, of=name)]


async def page(tx: Transaction, after: str | None, limit: int) -> list[GroupRow]:
    """The groups after `after`, by name."""
    return [GroupRow(*row) for row in await tx.all(_PAGE, after=after or "", limit=limit)]
