"""Who may see a repository, as operators set and look it up."""

from typing import NamedTuple

from kho.oci.errors import NameInvalid
from kho.oci.reference import parse_name
from kho.server.config import Config
from kho.server.database import audit
from kho.server.database import repositories as rows
from kho.server.database.audit import Event
from kho.server.database.engine import Transaction
from kho.server.database.identities import accounts
from kho.server.database.repositories import RepositoryRow
from kho.server.index import pages
from kho.server.index.errors import Invalid, NotFound
from kho.server.index.rights import grants, roles
from kho.server.policy.access import EVERYTHING
from kho.server.resources import Resources


class Right(NamedTuple):
    """Somebody may do something; `because` names the grant or whatever else gives it."""

    subject: str
    role: str
    actions: list[str]
    because: str


class Known(NamedTuple):
    """A repository and who may do what with it."""

    repository: RepositoryRow
    rights: list[Right]


async def set_public(resources: Resources, name: str, public: bool, *, by: str) -> RepositoryRow:
    """Let everybody pull, or only who has a grant; a public one is created when it is absent.

    Raises Invalid, NotFound.
    """
    return await resources.database.write(_set_public, _checked(name), public, by)


async def show(resources: Resources, name: str) -> Known:
    """A repository, and who may do what with it. Raises Invalid, NotFound."""
    found = await resources.database.read(rows.row_of, _checked(name))
    if found is None:
        raise _unknown(name)
    return Known(found, await _rights(resources, found))


async def every(resources: Resources) -> list[RepositoryRow]:
    """All repositories, with or without manifests, in the order of their names."""
    return await pages.every(lambda last, limit: page(resources, last and last.name, limit))


async def page(resources: Resources, after: str | None, limit: int) -> list[RepositoryRow]:
    """The repositories after that name."""
    return await resources.database.read(rows.rows, after, limit)


async def _rights(resources: Resources, repository: RepositoryRow) -> list[Right]:
    known = {role.name: role.actions for role in await roles.every(resources)}
    found = [
        Right(grant.subject, grant.role, known.get(grant.role, []), f"grant on {grant.pattern}")
        for grant in await grants.on_repository(resources, repository.name)
    ]
    found += [
        Right(f"user:{name}", "admin", known["admin"], "is an administrator")
        for name in await resources.database.read(accounts.admins)
    ]
    found += _configured(resources.config, known)
    if repository.public:
        found.append(Right("anonymous", "reader", known["reader"], "the repository is public"))
    return found


def _configured(config: Config, known: dict[str, list[str]]) -> list[Right]:
    role = config.auth.htpasswd_role
    if not config.auth.htpasswd or role == "none":
        return []
    return [
        Right("users of auth.htpasswd", role, known[role], f"auth.htpasswd_role on {EVERYTHING}")
    ]


async def _set_public(tx: Transaction, name: str, public: bool, by: str) -> RepositoryRow:
    if await rows.is_public(tx, name) != public:
        await rows.set_public(tx, name, public)
        event = Event("repository.set", "allowed", by, repository=name, details={"public": public})
        await audit.record(tx, event)
    found = await rows.row_of(tx, name)
    if found is None:
        raise _unknown(name)
    return found


def _checked(name: str) -> str:
    try:
        return parse_name(name)
    except NameInvalid as error:
        raise Invalid("%(name)s is %(wrong)s", name=ascii(name[:80]), wrong=error) from None


def _unknown(name: str) -> NotFound:
    return NotFound(
        "there is no repository %(name)s; `khod repos list` shows which there are", name=name
    )
