"""Why somebody may do something or not: the facts that the decision rests on, in words."""

from typing import NamedTuple

from kho.oci.reference import parse_name
from kho.server.database.engine import Transaction
from kho.server.database.identities import accounts, robots
from kho.server.index.errors import Invalid, NotFound
from kho.server.index.rights import access
from kho.server.policy.access import (
    ANONYMOUS,
    ON_REPOSITORIES,
    Action,
    Grant,
    granting,
    parse_actions,
)
from kho.server.policy.identity import Identity
from kho.server.policy.patterns import matches
from kho.server.resources import Resources


class Explanation(NamedTuple):
    """`rule` is the grant that decided; `why` says it in a sentence."""

    allowed: bool
    subject: str
    action: str
    repository: str
    rule: Grant | None
    why: str


async def explain(resources: Resources, subject: str, action: str, repository: str) -> Explanation:
    """What the registry would decide now. Raises Invalid, NotFound, and NameInvalid."""
    wanted = _action(action)
    name = parse_name(repository)
    if await access.is_open(resources):
        why = "there is no account yet, and the registry is open to all"
        return Explanation(True, subject, action, name, None, why)
    source = await resources.database.read(_check_subject, resources, subject)
    if subject == ANONYMOUS:
        principal = await access.anonymous(resources)
    else:
        principal = await access.principal_of(resources, Identity(subject, source))
    rule = granting(principal.grants, wanted, name)
    if rule is not None:
        return Explanation(True, subject, action, name, rule, _why(subject, rule))
    if await access.may(resources, principal, wanted, name):
        why = f"{name} is public: anyone may pull it"
        return Explanation(True, subject, action, name, None, why)
    why = _why_not(wanted, name, principal.grants)
    return Explanation(False, subject, action, name, None, why)


def _action(word: str) -> Action:
    try:
        (found,) = parse_actions([word])
    except ValueError:
        names = ", ".join(ON_REPOSITORIES)
        raise Invalid(
            "%(word)s is no action; allowed are %(names)s", word=ascii(word), names=names
        ) from None
    return found


async def _check_subject(tx: Transaction, resources: Resources, subject: str) -> str:
    """Where the subject comes from; raise unless it could sign in."""
    kind, colon, name = subject.partition(":")
    if subject == ANONYMOUS:
        return "local"
    if not colon or kind not in ("user", "robot") or not name:
        raise Invalid(
            "%(subject)s is not allowed; allowed are user:NAME, robot:NAME, anonymous",
            subject=ascii(subject),
        )
    if kind == "robot":
        robot = await robots.find(tx, name)
        if robot is None:
            raise NotFound("there is no robot %(name)s", name=name)
        if robot.disabled:
            raise Invalid("the robot %(name)s is disabled: it may do nothing", name=name)
        return "local"
    account = await accounts.find(tx, name)
    if account is not None:
        if account.disabled:
            raise Invalid("the account %(name)s is disabled: it may do nothing", name=name)
        return account.source
    if resources.config.auth.htpasswd:
        return "htpasswd"
    if resources.config.ldap.url:
        return "ldap"
    raise NotFound("there is no account %(name)s", name=name)


def _why(subject: str, rule: Grant) -> str:
    if rule.role == "admin" and rule.subject == subject and rule.pattern == "**":
        return f"{subject} is an administrator, or has the role admin on **"
    through = "" if rule.subject == subject else f" ({subject} belongs to it)"
    return f"{rule.subject}{through} has the role {rule.role} on {rule.pattern}"


def _why_not(action: Action, name: str, held: tuple[Grant, ...]) -> str:
    matching = [one for one in held if matches(one.pattern, name)]
    if matching:
        roles = ", ".join(f"{one.subject} {one.role} {one.pattern}" for one in matching)
        return f"no grant has the action {action} here; what matches {name}: {roles}"
    if held:
        patterns = ", ".join(sorted({f"{one.pattern} ({one.role})" for one in held}))
        return f"no grant matches {name}; there are grants on {patterns}"
    return "no grant at all, and the default is no"
