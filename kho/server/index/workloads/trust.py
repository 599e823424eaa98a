"""Trust rules as an operator makes, reads and tries them."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from kho.oci.errors import Unavailable, Worded
from kho.server.database import audit
from kho.server.database.audit import Event
from kho.server.database.engine import Transaction
from kho.server.database.identities import issuer_keys, robots, trust_rules
from kho.server.database.identities.trust_rules import TrustRow
from kho.server.index.errors import Conflict, Invalid, NotFound
from kho.server.index.jose import jws
from kho.server.index.jose.jws import Untrusted
from kho.server.index.workloads import discovery, issuers, workload
from kho.server.index.workloads.discovery import FetchFailed
from kho.server.policy.errors import Disallowed
from kho.server.policy.names import fits
from kho.server.policy.trust import Rule, check_conditions, unmet
from kho.server.resources import Resources

Trusted = TrustRow

_AUDIENCE: Final = 512


class Trial(NamedTuple):
    """What came of trying a token: `rule` lets it in, or `problem` says why none is asked.

    `refusals` has a rule's name and why it does not let the token in, a line for each reason.
    """

    rule: Rule | None
    refusals: Mapping[str, list[Worded]]
    problem: Worded | None
    claims: Mapping[str, object]


async def add(resources: Resources, rule: Rule, by: str) -> None:
    """Make a rule. Raises Invalid, NotFound when there is no such robot, Conflict."""
    _check(rule)
    await resources.database.write(_add, rule, by)


def _check(rule: Rule) -> None:
    if not fits(rule.name):
        raise Invalid(
            "%(name)s is no name of a rule; allowed are a-z, 0-9 and . _ @ - (128 at"
            " most, the first a letter or digit)",
            name=ascii(rule.name),
        )
    if not rule.audience or len(rule.audience) > _AUDIENCE or not rule.audience.isprintable():
        raise Invalid("the audience must be a line of text: what the token's aud has to be")
    try:
        discovery.check_url(rule.issuer)
        if rule.jwks_url is not None:
            discovery.check_url(rule.jwks_url, keys=True)
        check_conditions(rule.issuer, rule.conditions)
    except Disallowed as error:
        raise Invalid(error.template, **error.values) from error


async def _add(tx: Transaction, rule: Rule, by: str) -> None:
    if not await robots.hold(tx, rule.robot):
        raise NotFound(
            "there is no robot %(robot)s; make it: khod robots add %(robot)s", robot=rule.robot
        )
    for row in await trust_rules.every(tx):
        if row.rule.issuer == rule.issuer and row.rule.jwks_url != rule.jwks_url:
            raise Conflict(
                "rule %(name)s gets the keys of %(issuer)s from %(value)s; rules of one"
                " issuer must agree",
                name=row.rule.name,
                issuer=rule.issuer,
                value=row.rule.jwks_url or "its discovery document",
            )
    if not await trust_rules.add(tx, rule):
        raise Conflict("there is a rule %(name)s already", name=rule.name)
    await audit.record(tx, Event("trust.add", "allowed", by, target=rule.name, details=told(rule)))


async def remove(resources: Resources, name: str, by: str) -> None:
    """Take a rule away: its workloads stay out from now on. Raises NotFound."""
    await resources.database.write(_remove, name, by)


async def _remove(tx: Transaction, name: str, by: str) -> None:
    found = await trust_rules.find(tx, name)
    if found is None or not await trust_rules.delete(tx, name):
        raise NotFound("there is no rule %(name)s", name=ascii(name))
    issuer = found.rule.issuer
    if not any(row.rule.issuer == issuer for row in await trust_rules.every(tx)):
        await issuer_keys.forget(tx, issuer)
    event = Event("trust.remove", "allowed", by, target=name, details=told(found.rule))
    await audit.record(tx, event)


async def every(resources: Resources) -> list[TrustRow]:
    """All rules, by name, in which order they are asked."""
    return await resources.database.read(trust_rules.every)


async def find(resources: Resources, name: str) -> TrustRow:
    """One rule. Raises NotFound."""
    found = await resources.database.read(trust_rules.find, name)
    if found is None:
        raise NotFound("there is no rule %(name)s", name=ascii(name))
    return found


def told(rule: Rule) -> dict[str, object]:
    """A rule as JSON has it."""
    found: dict[str, object] = rule._asdict()
    return {**found, "conditions": {claim: list(globs) for claim, globs in rule.conditions.items()}}


async def test(resources: Resources, token: str) -> Trial:
    """Verify a token as a login would, and say what each rule makes of it.

    The issuer is asked for its keys at once when the token's is unknown, so that a mistake there
    is told.
    """
    rules = [row.rule for row in await every(resources)]
    claims: Mapping[str, object] = {}
    try:
        claims = jws.parse(token, workload.MOST_CHARACTERS).claims
        found = await _verified(resources, token, rules)
    except Untrusted as error:
        return Trial(None, {}, error, claims)
    except FetchFailed as error:
        return Trial(
            None, {}, Worded("the issuer's keys cannot be had: %(error)s", error=error), claims
        )
    refusals: dict[str, list[Worded]] = {}
    for rule in rules:
        refusals[rule.name] = unmet(rule, found.issuer, found.audiences, found.claims)
        if not refusals[rule.name]:
            problem = await workload.problem_of_robot(resources, rule)
            refusals.pop(rule.name)
            return Trial(None if problem else rule, refusals, problem, claims)
    return Trial(None, refusals, None, claims)


async def _verified(resources: Resources, token: str, rules: list[Rule]) -> workload.Verified:
    try:
        return await workload.verified(resources, token)
    except Unavailable:
        issuer = jws.parse(token, workload.MOST_CHARACTERS).claims.get("iss")
        rule = next(one for one in rules if one.issuer == issuer)
        await issuers.fetch(resources, rule.issuer, rule.jwks_url)
        return await workload.verified(resources, token)
