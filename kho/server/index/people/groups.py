"""Groups of users, as operators make and fill them."""

from kho.server.database import audit
from kho.server.database.audit import Event
from kho.server.database.engine import Transaction
from kho.server.database.identities import accounts
from kho.server.database.identities import groups as rows
from kho.server.database.identities.groups import GroupRow, MemberRow
from kho.server.index import pages
from kho.server.index.errors import Conflict, NotFound
from kho.server.index.people.accounts import LOCAL, users_come_from_elsewhere
from kho.server.index.people.names import GROUP, check_name
from kho.server.resources import Resources

Group = GroupRow


async def add(resources: Resources, name: str, *, by: str) -> None:
    """Create a group. Raises Invalid, Conflict."""
    check_name(name, GROUP)
    await resources.database.write(_add, name, by)


async def remove(resources: Resources, name: str, *, by: str) -> None:
    """Take a group away with its memberships and grants. Raises NotFound."""
    await resources.database.write(_remove, name, by)


async def add_member(resources: Resources, name: str, user_name: str, *, by: str) -> None:
    """Put a user into a group. Raises Invalid, NotFound, Conflict.

    The user must have an account, unless users may come from elsewhere too (htpasswd, LDAP,
    OpenID Connect, a proxy).
    """
    check_name(user_name)
    known = users_come_from_elsewhere(resources.config)
    await resources.database.write(_add_member, name, user_name, known, by)


async def remove_member(resources: Resources, name: str, user_name: str, *, by: str) -> None:
    """Take out a user that an operator put in. Raises NotFound; Conflict for one of a login."""
    await resources.database.remove(_remove_member, name, user_name, by)


async def members(resources: Resources, name: str) -> list[MemberRow]:
    """Who is in a group. Raises NotFound."""
    return await resources.database.read(_members, name)


async def every(resources: Resources) -> list[GroupRow]:
    """All groups, by name."""
    return await pages.every(lambda last, limit: page(resources, last and last.name, limit))


async def page(resources: Resources, after: str | None, limit: int) -> list[GroupRow]:
    """The groups after that name."""
    return await resources.database.read(rows.page, after, limit)


async def _add(tx: Transaction, name: str, by: str) -> None:
    if not await rows.add(tx, name):
        raise Conflict("there is a group %(name)s already", name=name)
    await _record(tx, "group.add", name, by)


async def _remove(tx: Transaction, name: str, by: str) -> None:
    if not await rows.delete(tx, name):
        raise _unknown(name)
    await _record(tx, "group.remove", name, by)


async def _add_member(tx: Transaction, name: str, user_name: str, known: bool, by: str) -> None:
    if not await rows.hold(tx, name):
        raise _unknown(name)
    if not await accounts.hold(tx, user_name) and not known:
        raise NotFound(
            "there is no user %(user_name)s; `khod users add %(user_name)s` makes one",
            user_name=user_name,
        )
    if not await rows.add_member(tx, name, user_name, LOCAL):
        raise Conflict(
            "%(user_name)s is in the group %(name)s already", user_name=user_name, name=name
        )
    await _record(tx, "group.add-member", name, by, user=user_name)


async def _remove_member(tx: Transaction, name: str, user_name: str, by: str) -> None:
    sources = [row.source for row in await _members(tx, name) if row.user_name == user_name]
    if not await rows.remove_member(tx, name, user_name, LOCAL):
        if sources:
            raise Conflict(
                "%(user_name)s is in the group %(name)s by %(sources)s: take it out there",
                user_name=user_name,
                name=name,
                sources=", ".join(sources),
            )
        raise NotFound(
            "%(user_name)s is not in the group %(name)s", user_name=user_name[:129], name=name
        )
    await _record(tx, "group.remove-member", name, by, user=user_name)


async def _members(tx: Transaction, name: str) -> list[MemberRow]:
    if not await rows.exists(tx, name):
        raise _unknown(name)
    return await rows.members(tx, name)


async def _record(tx: Transaction, action: str, name: str, by: str, **details: object) -> None:
    await audit.record(tx, Event(action, "allowed", by, target=f"group:{name}", details=details))


def _unknown(name: str) -> NotFound:
    return NotFound(
        "there is no group %(name)s; `khod groups list` shows which there are", name=name[:129]
    )
