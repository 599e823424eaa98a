"""Workloads that come in with the token of their own issuer: CI jobs, pods.

    token ──> issuer of a trust rule? ──> its key ──> signature, times ──> first rule that lets in

The issuer's own token is the proof, so nothing secret is stored anywhere. It may be shown again
and again until it expires, as the client's pushes need it.
"""

import re
import time
from collections.abc import Mapping
from typing import Final, NamedTuple

from kho.oci.errors import Unauthorized, Worded
from kho.server.database.identities import robots, trust_rules
from kho.server.index import audit
from kho.server.index.audit import Event
from kho.server.index.jose import jws
from kho.server.index.jose.jws import Untrusted
from kho.server.index.workloads import issuers
from kho.server.policy.identity import Identity
from kho.server.policy.trust import Rule, unmet
from kho.server.resources import Resources

MOST_CHARACTERS: Final = 16384
# Also with an empty signature, and whatever its length: a token must never be tried as a password.
_TOKEN: Final = re.compile(r"e[yw][A-Za-z0-9_-]*\.e[yw][A-Za-z0-9_-]*\.[A-Za-z0-9_-]*", re.ASCII)
_RULES_TOLD: Final = 8
_REASON_CHARACTERS: Final = 500
# What tells the run of a workload: of GitHub, GitLab, Kubernetes.
_REPOSITORY: Final = ("repository", "project_path")
_RUN: Final = ("run_id", "job_id", "jti")


class Verified(NamedTuple):
    """A token of an issuer that rules name; whether one lets it in is another question."""

    issuer: str
    audiences: tuple[str, ...]
    claims: Mapping[str, object]


class _Rules:
    """The rules by issuer, until who-may-do-what changes."""

    def __init__(self) -> None:
        self.by_issuer: dict[str, list[Rule]] | None = None


def looks_like(password: str) -> bool:
    """Whether a password is a signed token."""
    return _TOKEN.fullmatch(password) is not None


async def identify(resources: Resources, token: str, address: str = "") -> Identity:
    """The robot that a trust rule lets the token in as; `address` is for the audit trail.

    Raises Unauthorized, with one text for all reasons: they are in the audit trail. Raises
    Unavailable while the issuer's keys cannot be had.
    """
    found: Verified | None = None
    try:
        found = await verified(resources, token)
        rule = await _deciding(resources, found)
    except Untrusted as error:
        _note_refusal(resources, found, str(error), address)
        raise Unauthorized("the token is not trusted here") from error
    return Identity(f"robot:{rule.robot}", "workload", details={"rule": rule.name, **_told(found)})


def rule_of(identity: Identity) -> str | None:
    """The rule that let a workload in; None for all others."""
    name = (identity.details or {}).get("rule")
    return str(name) if identity.source == "workload" and name else None


async def still_trusted(resources: Resources, identity: Identity) -> bool:
    """Whether the rule that once let the workload in is still there, for the same robot."""
    name = rule_of(identity)
    every = (rule for rules in (await _rules(resources)).values() for rule in rules)
    return any(rule.name == name and f"robot:{rule.robot}" == identity.subject for rule in every)


async def verified(resources: Resources, token: str) -> Verified:
    """The token's claims, once its issuer is known and its signature and times are right.

    Raises Untrusted, Unavailable.
    """
    parsed = jws.parse(token, MOST_CHARACTERS)
    issuer = parsed.claims.get("iss")
    rules = (await _rules(resources)).get(issuer, []) if isinstance(issuer, str) else []
    if not isinstance(issuer, str) or not rules:
        # Nobody is asked for keys on a stranger's word.
        raise Untrusted("no trust rule names the issuer %(issuer)s", issuer=ascii(issuer)[:200])
    key = await issuers.key_for(resources, issuer, parsed, rules[0].jwks_url)
    jws.check_signature(parsed, key)
    jws.check_times(parsed.claims, time.time(), ("iat",))
    return Verified(issuer, jws.audiences(parsed.claims), parsed.claims)


async def _deciding(resources: Resources, found: Verified) -> Rule:
    """The first rule by name that lets the token in, for a robot that may come in."""
    reasons: list[str] = []
    for rule in (await _rules(resources)).get(found.issuer, []):
        missing = unmet(rule, found.issuer, found.audiences, found.claims)
        if missing:
            reasons.append(f"rule {rule.name}: {', '.join(map(str, missing))}")
            continue
        problem = await problem_of_robot(resources, rule)
        if problem is not None:
            raise Untrusted("rule %(name)s: %(problem)s", name=rule.name, problem=problem)
        return rule
    raise Untrusted("%(reasons)s", reasons="; ".join(reasons[:_RULES_TOLD]))


async def problem_of_robot(resources: Resources, rule: Rule) -> Worded | None:
    """Why the rule's robot may not come in; None when it may."""
    robot = await resources.database.read(robots.find, rule.robot)
    if robot is None:
        return Worded("robot %(robot)s does not exist", robot=rule.robot)
    if robot.disabled:
        return Worded("robot %(robot)s is disabled", robot=rule.robot)
    return None


async def _rules(resources: Resources) -> dict[str, list[Rule]]:
    # Taken before the rows are read: rows that are old by then land in a drawer that is gone.
    drawer = resources.memory.drawer(_Rules)
    if drawer.by_issuer is None:
        by_issuer: dict[str, list[Rule]] = {}
        for row in await resources.database.read(trust_rules.every):
            by_issuer.setdefault(row.rule.issuer, []).append(row.rule)
        drawer.by_issuer = by_issuer
    return drawer.by_issuer


def _told(found: Verified) -> dict[str, object]:
    """What the audit trail keeps of a token."""
    claims = found.claims
    told: dict[str, object] = {"issuer": found.issuer, "sub": str(claims.get("sub", ""))[:256]}
    for name, names in (("repository", _REPOSITORY), ("run", _RUN)):
        value = next((claims[one] for one in names if one in claims), None)
        if isinstance(value, str | int):
            told[name] = str(value)[:256]
    return told


def _note_refusal(resources: Resources, found: Verified | None, reason: str, address: str) -> None:
    told = {} if found is None else _told(found)
    # The target keeps the refusals of different workloads apart where alike events are merged.
    target = str(told.get("sub", "")) or None
    details = {"reason": reason[:_REASON_CHARACTERS], **told}
    event = Event("workload.login", "failed", "anonymous", None, target, address, details=details)
    audit.note(resources, event)
