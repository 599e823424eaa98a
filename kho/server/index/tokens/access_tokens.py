"""Access tokens as operators make, list and revoke them: personal tokens and those of robots."""

import json
from collections.abc import Sequence
from typing import Final, NamedTuple

from kho.server.database.engine import Transaction
from kho.server.database.identities import accounts, robots
from kho.server.database.identities import credentials as rows
from kho.server.database.identities.credentials import CredentialRow, NewCredential
from kho.server.index import pages
from kho.server.index.errors import Conflict, Invalid, NotFound
from kho.server.index.people.names import ROBOT, TOKEN, USER, check_name, check_subject
from kho.server.index.sources import htpasswd
from kho.server.index.tokens import credentials
from kho.server.index.tokens.credentials import ACCESS_TOKENS
from kho.server.policy.access import (
    ON_REPOSITORIES,
    PUSHING,
    Action,
    Allowance,
    Ceiling,
    parse_actions,
)
from kho.server.policy.patterns import compiled
from kho.server.resources import Resources

DAY: Final = 86_400.0
# How long a token is good when nobody says it.
LIFETIMES: Final = {"personal": 90 * DAY, "robot": 365 * DAY}


class AccessToken(NamedTuple):
    """A token as it is listed; times in milliseconds. No `ceiling`: all that its owner may do."""

    id: int
    owner: str
    name: str
    ceiling: Ceiling | None
    created_at: int
    expires_at: int | None
    expired: bool
    last_used_at: int | None


class Made(NamedTuple):
    """A new token. `seconds` is None for one without an end."""

    secret: str
    seconds: float | None


def parse_ceiling(lines: Sequence[str]) -> Ceiling | None:
    """What `--scope` says: `team/**:pull,push`; nothing is no ceiling. Raises Invalid.

    `push` is all of pushing; beside create, tag or overwrite it is blobs and manifests alone.
    """
    return tuple(map(_allowance, lines)) or None


def _allowance(line: str) -> Allowance:
    pattern, colon, words = line.rpartition(":")
    if not colon or not words:
        raise Invalid(
            "%(line)s is no scope; allowed is GLOB:ACTION[,ACTION], with the actions"
            " %(actions)s and *",
            line=ascii(line),
            actions=", ".join(ON_REPOSITORIES),
        )
    try:
        compiled(pattern)
        actions = parse_actions(words.split(","))
    except ValueError as error:
        raise Invalid("scope %(line)s: %(error)s", line=ascii(line), error=error) from None
    alone = actions & PUSHING == {Action.PUSH}
    return Allowance(pattern, actions | PUSHING if alone else actions)


async def create(
    resources: Resources,
    owner: str,
    name: str,
    *,
    ceiling: Ceiling | None,
    seconds: float | None,
    by: str,
) -> Made:
    """Make a token for `user:NAME` or `robot:NAME`; `seconds` of 0 is the usual lifetime.

    Raises Invalid, NotFound without such an owner, Conflict for a name that is in use.
    """
    check_name(name, TOKEN)
    kind = kind_for(owner)
    lifetime = LIFETIMES[kind] if seconds == 0 else seconds
    secret = credentials.new_secret(kind)
    new = NewCredential(
        id=0,
        kind=kind,
        secret_hash=credentials.hash_of(secret),
        subject=owner,
        name=name,
        ceiling=credentials.ceiling_text(ceiling),
        details=None,
        parent_id=None,
        lifetime=None,
        expires_in=None if lifetime is None else round(lifetime * 1000),
    )
    elsewhere = await _source_elsewhere(resources, owner)
    await resources.database.write(_create, new, elsewhere, by)
    return Made(secret, lifetime)


def kind_for(owner: str) -> str:
    """The kind of token that an owner has. Raises Invalid."""
    kind, name = check_subject(owner)
    if kind not in ("user", "robot") or not name:
        raise Invalid(
            "%(owner)s has no tokens of its own; allowed are user:NAME and robot:NAME", owner=owner
        )
    return "robot" if kind == "robot" else "personal"


async def _source_elsewhere(resources: Resources, owner: str) -> str | None:
    """Where a user without an account is looked for; None where there is no such place."""
    config = resources.config
    kind, _, name = owner.partition(":")
    if kind != "user":
        return None
    in_file = await htpasswd.users(resources)
    if in_file is not None and (name in in_file.hashes or not config.ldap.url):
        return "htpasswd"
    return "ldap" if config.ldap.url else None


def told_ceiling(ceiling: Ceiling | None) -> list[str] | None:
    """A ceiling as `parse_ceiling` reads it; None: no ceiling."""
    return None if ceiling is None else [_told_line(line) for line in ceiling]


def _told_line(line: Allowance) -> str:
    actions = line.actions - (PUSHING - {"push"}) if line.actions >= PUSHING else line.actions
    return f"{line.pattern}:{','.join(sorted(actions))}"


async def _create(tx: Transaction, new: NewCredential, elsewhere: str | None, by: str) -> None:
    source = await _source(tx, new.subject) or elsewhere
    if source is None:
        kind, _, name = new.subject.partition(":")
        raise NotFound(
            "there is no %(kind)s %(name)s; %(command)s shows them",
            kind=ROBOT if kind == "robot" else USER,
            name=ascii(name),
            command=f"khod {kind}s list",
        )
    await credentials.insert(tx, new._replace(details=json.dumps({"source": source})), by)


async def _source(tx: Transaction, owner: str) -> str | None:
    """The source of an owner that has a row, which stays until this write ends."""
    kind, _, name = owner.partition(":")
    if kind == "robot":
        return "local" if await robots.hold(tx, name) else None
    if not await accounts.hold(tx, name):
        return None
    account = await accounts.find(tx, name)
    return None if account is None else account.source


async def every(resources: Resources, owner: str | None) -> list[AccessToken]:
    """The tokens of an owner, or of all, expired ones too; the secrets nobody knows."""
    if owner is not None:
        kind_for(owner)
    return [_told(row) for row in await _rows(resources, owner)]


async def page(
    resources: Resources, owner: str | None, after: int, limit: int
) -> list[AccessToken]:
    """Those after that id. Raises Invalid."""
    if owner is not None:
        kind_for(owner)
    found = await resources.database.read(rows.page, owner, ACCESS_TOKENS, after, limit)
    return [_told(row) for row in found]


async def _rows(resources: Resources, owner: str | None) -> list[CredentialRow]:
    found = await pages.every(
        lambda last, limit: resources.database.read(
            rows.page, owner, ACCESS_TOKENS, last.id if last else 0, limit
        )
    )
    return sorted(found, key=lambda row: (row.subject, row.name, row.created_at))


def _told(row: CredentialRow) -> AccessToken:
    return AccessToken(
        id=row.id,
        owner=row.subject,
        name=row.name,
        ceiling=credentials.ceiling_of(row.ceiling),
        created_at=row.created_at,
        expires_at=row.expires_at,
        expired=row.expires_at is not None and row.expires_at <= row.now,
        last_used_at=row.last_used_at,
    )


async def revoke_id(resources: Resources, token: int, owner: str | None, *, by: str) -> None:
    """End the token of that id, if it is the owner's; None is anybody's. Raises NotFound."""
    await resources.database.remove(credentials.remove_owned, token, owner, ACCESS_TOKENS, by)


async def revoke(resources: Resources, token: str, owner: str | None, *, by: str) -> AccessToken:
    """End the token of that name or id, and the logins that were made with it.

    Raises NotFound, and Conflict when several have the name.
    """
    if owner is not None:
        kind_for(owner)
    found = [row for row in await _rows(resources, owner) if token in (row.name, str(row.id))]
    if len(found) > 1:
        listed = ", ".join(f"{row.subject} ({row.id})" for row in found)
        raise Conflict(
            "several tokens are called %(token)s: %(listed)s; name one by its id",
            token=ascii(token),
            listed=listed,
        )
    if not found or not await credentials.revoke(resources, found[0].id, by=by):
        raise NotFound(
            "there is no token %(token)s; khod tokens list shows them", token=ascii(token)
        )
    return _told(found[0])
