"""Grants: who has which role on the repositories of which glob, as operators give and take them.

A user, group or robot that is named must be there. Users may be named beforehand where they can
come from elsewhere (htpasswd, LDAP, OpenID Connect, a proxy), groups where a login brings them
(LDAP, OpenID Connect); robots never.
"""

from typing import Final

from kho.server.config import Config
from kho.server.database import audit
from kho.server.database.audit import Event
from kho.server.database.engine import Transaction
from kho.server.database.identities import accounts, groups, robots, roles
from kho.server.database.identities import grants as rows
from kho.server.database.identities.grants import GrantRow
from kho.server.index import pages
from kho.server.index.errors import Conflict, Invalid, NotFound
from kho.server.index.people.accounts import users_come_from_elsewhere
from kho.server.index.people.names import KINDS, check_subject
from kho.server.policy.access import ANONYMOUS, ROLES
from kho.server.policy.errors import Disallowed
from kho.server.policy.patterns import compiled, matches
from kho.server.resources import Resources

Given = GrantRow

_ADD: Final = {"user": "khod users add", "group": "khod groups add", "robot": "khod robots add"}


async def add(resources: Resources, subject: str, role: str, pattern: str, *, by: str) -> None:
    """Give a role. Raises Invalid, NotFound, Conflict."""
    kind, name = check_subject(subject)
    _check_pattern(pattern)
    if subject == ANONYMOUS and role == "admin":
        raise Invalid(
            "%(anonymous)s cannot have the role admin: it would be anybody's registry",
            anonymous=ANONYMOUS,
        )
    needed = not _may_come_later(resources.config, kind)
    await resources.database.write(_add, (kind, name), needed, (subject, role, pattern), by)


async def remove(resources: Resources, subject: str, role: str, pattern: str, *, by: str) -> None:
    """Take a role back. Raises Invalid, NotFound."""
    check_subject(subject)
    await resources.database.remove(_remove, (subject, role, pattern), by)


async def every(resources: Resources, subject: str | None = None) -> list[GrantRow]:
    """All grants, or those of one subject, the oldest first. Raises Invalid."""
    if subject is not None:
        check_subject(subject)
        return await resources.database.read(rows.of_subject, subject)
    return await resources.database.read(_every)


async def page(
    resources: Resources, after: int, limit: int, *, subject: str = "", repository: str = ""
) -> list[GrantRow]:
    """The grants after that id, of one subject and for one repository where these are given.

    Raises Invalid.
    """
    if not subject and not repository:
        return await resources.database.read(rows.page, after, limit)
    found = await every(resources, subject or None)
    fit = [one for one in found if not repository or _matches(one.pattern, repository)]
    return [one for one in fit if one.id > after][:limit]


async def remove_id(resources: Resources, grant_id: int, *, by: str) -> None:
    """Take the role back that has this number. Raises NotFound."""
    await resources.database.remove(_remove_id, grant_id, by)


async def on_repository(
    resources: Resources, repository: str, subject: str | None = None
) -> list[GrantRow]:
    """Those of them whose glob matches a repository. Raises Invalid."""
    return [row for row in await every(resources, subject) if _matches(row.pattern, repository)]


def _may_come_later(config: Config, kind: str) -> bool:
    if kind == "user":
        return users_come_from_elsewhere(config)
    if kind == "group":
        return bool(config.ldap.url or config.oidc.issuer)
    return kind != "robot"  # everyone and anonymous are always there


def _check_pattern(pattern: str) -> None:
    try:
        compiled(pattern)
    except Disallowed as error:
        raise Invalid(error.template, **error.values) from None


def _matches(pattern: str, repository: str) -> bool:
    try:
        return matches(pattern, repository)
    except ValueError:  # written by another program: it gives nothing
        return False


async def _add(
    tx: Transaction, who: tuple[str, str], needed: bool, grant: tuple[str, str, str], by: str
) -> None:
    kind, name = who
    subject, role, pattern = grant
    if not await _hold(tx, kind, name) and needed:
        raise NotFound(
            "there is no %(kind)s %(name)s; `%(add)s %(name)s` makes one",
            kind=KINDS[kind],
            name=name,
            add=_ADD[kind],
        )
    if not await roles.hold(tx, role):
        raise NotFound(
            "there is no role %(role)s; built in are %(roles)s, and `khod roles add` makes others",
            role=role[:129],
            roles=", ".join(ROLES),
        )
    if not await rows.add(tx, subject, role, pattern, by):
        raise Conflict(
            "%(subject)s has the role %(role)s on %(pattern)s already",
            subject=subject,
            role=role,
            pattern=pattern,
        )
    await _record(tx, "grant.add", grant, by)


async def _hold(tx: Transaction, kind: str, name: str) -> bool:
    """Whether the subject is there, which it then is until the grant is written."""
    if kind == "user":
        return await accounts.hold(tx, name)
    if kind == "group":
        return await groups.hold(tx, name)
    return kind != "robot" or await robots.hold(tx, name)


async def _remove(tx: Transaction, grant: tuple[str, str, str], by: str) -> None:
    subject, role, pattern = grant
    if not await rows.remove(tx, subject, role, pattern):
        raise NotFound(
            "%(subject)s has no grant of %(role)s on %(pattern)s; `khod grants list"
            " --subject %(subject)s` shows what it has",
            subject=subject,
            role=role[:129],
            pattern=pattern[:255],
        )
    await _record(tx, "grant.remove", grant, by)


async def _remove_id(tx: Transaction, grant_id: int, by: str) -> None:
    found = await rows.of_id(tx, grant_id)
    if found is None:
        raise NotFound("there is no grant %(grant_id)s", grant_id=grant_id)
    await _remove(tx, (found.subject, found.role, found.pattern), by)


async def _every(tx: Transaction) -> list[GrantRow]:
    return await pages.every(lambda last, limit: rows.page(tx, last and last.id, limit))


async def _record(tx: Transaction, action: str, grant: tuple[str, str, str], by: str) -> None:
    subject, role, pattern = grant
    details = {"role": role, "pattern": pattern}
    await audit.record(tx, Event(action, "allowed", by, target=subject, details=details))
