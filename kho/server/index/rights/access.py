"""Who may do what, as the rows say now: principals, their rights, and why.

identity ──> load: account or robot, groups, grants ──> Principal
revisions grew? (asked at most once a second) ──> every drawer is emptied, and loaded again
"""

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from kho.oci.errors import NameInvalid, Unauthorized
from kho.oci.reference import parse_name
from kho.oci.scope import Scope
from kho.server.config import Config
from kho.server.database import repositories
from kho.server.database.engine import Transaction
from kho.server.database.identities import accounts, grants, groups, revisions, robots
from kho.server.index.people.accounts import nobody_yet
from kho.server.policy.access import (
    ANONYMOUS,
    EVERYONE,
    EVERYTHING,
    ON_REPOSITORIES,
    PUSHING,
    ROLES,
    Action,
    Allowance,
    Ceiling,
    Grant,
    Principal,
    allowed,
    within_ceilings,
)
from kho.server.policy.identity import Identity
from kho.server.resources import Resources

FRESH_SECONDS: Final = 1.0
# While one looks the others go on; not when the database does not answer him.
STALE_SECONDS: Final = 2.0
REMEMBERED: Final = 10_000
# Sources whose users need no row of accounts.
_ELSEWHERE: Final = ("htpasswd", "ldap", "proxy")
_WORDS: Final = {"pull": Action.PULL, "push": Action.PUSH, "delete": Action.DELETE}


@dataclass(slots=True)
class _Freshness:
    """When the revision was looked at, and what it was."""

    until: float = 0.0
    seen: float = -math.inf
    revision: int = -1


@dataclass(slots=True)
class _Rights:
    """Grants by subject and source; None for who is disabled or gone."""

    loaded: dict[tuple[str, str], tuple[Grant, ...] | None] = field(default_factory=dict)
    open: bool | None = None


async def refresh(resources: Resources) -> None:
    """Forget what is remembered, if somebody changed who may do what; asked once a second."""
    clock = resources.memory.keep(_Freshness)
    now = time.monotonic()
    if now < clock.until and now < clock.seen + STALE_SECONDS:
        return
    clock.until = now + FRESH_SECONDS
    try:
        revision = await resources.database.read(revisions.current)
    except BaseException:
        clock.until = 0.0
        raise
    clock.seen = max(clock.seen, now)
    if revision != clock.revision:
        clock.revision = revision
        resources.memory.forget()


def settled(resources: Resources) -> bool | None:
    """What `is_open` would say, as far as that is known without asking; None when it is not.

    True or False says also that `refresh` has nothing to do.
    """
    clock = resources.memory.keep(_Freshness)
    now = time.monotonic()
    if now < clock.until and now < clock.seen + STALE_SECONDS:
        return resources.memory.drawer(_Rights).open
    return None


def configured(config: Config) -> bool:
    """Whether a setting says who may come in."""
    return bool(config.auth.htpasswd or config.ldap.url or config.oidc.issuer or config.token.realm)


async def is_open(resources: Resources) -> bool:
    """Whether everybody may do everything: nobody has an account, and the settings let it be."""
    rights = resources.memory.drawer(_Rights)
    if rights.open is None:
        config = resources.config
        may_be = config.auth.open or config.listen.is_loopback
        rights.open = may_be and not configured(config) and not await anybody(resources)
    return rights.open


async def anybody(resources: Resources) -> bool:
    """Whether there is an account or a robot."""
    return not await resources.database.read(nobody_yet)


async def principal_of(
    resources: Resources,
    identity: Identity,
    *,
    ceilings: tuple[Ceiling, ...] = (),
    bearer: bool = False,
    catalog: bool = True,
) -> Principal:
    """The principal that an identity stands for; raise Unauthorized when it is gone or disabled."""
    found = await _grants(resources, identity.subject, identity.source)
    if found is None:
        raise Unauthorized("authentication required: the account is unknown or disabled")
    if identity.ceiling is not None:
        ceilings = (*ceilings, identity.ceiling)
    return Principal(identity.subject, found, ceilings, bearer=bearer, catalog=catalog)


async def anonymous(resources: Resources, *, shown: bool = True) -> Principal:
    """Who has not signed in; `shown` says that an anonymous token was."""
    found = await _grants(resources, ANONYMOUS, "local")
    return Principal(ANONYMOUS, found or (), shown=shown)


async def _grants(resources: Resources, subject: str, source: str) -> tuple[Grant, ...] | None:
    rights = resources.memory.drawer(_Rights)  # before the read: what is outdated goes with it
    key = subject, source
    if key in rights.loaded:
        return rights.loaded[key]
    found = await resources.database.read(_load, resources.config, subject, source)
    if len(rights.loaded) >= REMEMBERED:
        rights.loaded.clear()
    rights.loaded[key] = found
    return found


async def _load(
    tx: Transaction, config: Config, subject: str, source: str
) -> tuple[Grant, ...] | None:
    """What the rows give to a subject; None when it may not come in at all."""
    if subject == ANONYMOUS:
        return tuple(await grants.of_subjects(tx, [ANONYMOUS]))
    if source == "external":
        return (Grant(subject, "external", EVERYTHING, frozenset(ON_REPOSITORIES)),)
    kind, _, name = subject.partition(":")
    own: list[Grant] = []
    if kind == "robot":
        robot = await robots.find(tx, name)
        if robot is None or robot.disabled:
            return None
        belongs: list[str] = []
    else:
        account = await accounts.find(tx, name)
        if account is None and not _comes_from_elsewhere(config, source):
            return None
        if account is not None and (account.disabled or source in ("htpasswd", "ldap")):
            return None  # an account of that name has come: it alone counts
        if account is not None and account.admin:
            own.append(Grant(subject, "admin", EVERYTHING, ROLES["admin"]))
        if source == "htpasswd" and config.auth.htpasswd_role != "none":
            role = config.auth.htpasswd_role
            own.append(Grant(subject, role, EVERYTHING, ROLES[role]))
        belongs = await groups.of_user(tx, name)
    subjects = [subject, *(f"group:{group}" for group in belongs), EVERYONE, ANONYMOUS]
    return (*own, *await grants.of_subjects(tx, subjects))


def _comes_from_elsewhere(config: Config, source: str) -> bool:
    present = {
        "htpasswd": bool(config.auth.htpasswd),
        "ldap": bool(config.ldap.url),
        "proxy": bool(config.http.subject_header),
    }
    return source in _ELSEWHERE and present[source]


async def may(
    resources: Resources, principal: Principal, action: Action, repository: str | None
) -> bool:
    """Whether the principal may: by its grants, or since anyone may pull what is public.

    Absent and private repositories cost the same one look.
    """
    if allowed(principal, action, repository):
        return True
    if action is not Action.PULL or not repository:
        return False
    if not within_ceilings(principal.ceilings, action, repository):
        return False
    return await resources.database.read(repositories.is_public, repository)


def ceiling_of(access: Sequence[Scope]) -> Ceiling:
    """What a token's `access` lets through: `push` stands for all that a push may need."""
    lines: list[Allowance] = []
    for scope in access:
        if scope.type != "repository" or not _is_name(scope.name):
            continue  # names only: another server's tokens must not be read as globs
        actions: set[Action] = set()
        for word in scope.actions:
            if word == "*":
                actions.update(ON_REPOSITORIES)
            elif word == "push":
                actions.update(PUSHING)
            elif word in _WORDS:
                actions.add(_WORDS[word])
        lines.append(Allowance(scope.name, frozenset(actions)))
    return tuple(lines)


def _is_name(text: str) -> bool:
    try:
        return bool(parse_name(text))
    except NameInvalid:
        return False


def sees_catalog(access: Iterable[Scope]) -> bool:
    """Whether a token may ask for the list of repositories."""
    return any(scope.type == "registry" and scope.name == "catalog" for scope in access)


async def granted(
    resources: Resources, principal: Principal, scopes: Sequence[Scope]
) -> list[Scope]:
    """The part of the scopes that the principal has (section 8.1); what it lacks is left out."""
    found: list[Scope] = []
    for scope in scopes:
        if scope.type == "registry" and scope.name == "catalog":
            found.append(scope)
        elif scope.type == "repository":
            words = await _granted_words(resources, principal, scope)
            if words:
                found.append(Scope("repository", scope.name, words))
    return found


async def _granted_words(
    resources: Resources, principal: Principal, scope: Scope
) -> frozenset[str]:
    try:
        name = parse_name(scope.name)
    except NameInvalid:
        return frozenset()
    wanted = set(_WORDS) if "*" in scope.actions else scope.actions & set(_WORDS)
    words = {word for word in sorted(wanted) if await may(resources, principal, _WORDS[word], name)}
    if "*" in scope.actions and allowed(principal, Action.ADMIN, name):
        words.add("*")
    return frozenset(words)
