"""Issuers whose workloads come in without a secret: `khod trust`."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct, structs

from kho.server.index.workloads import trust
from kho.server.policy import trust_presets
from kho.server.policy.access import Action
from kho.server.policy.trust import Conditions, Rule
from kho.server.resources import Resources
from kho.server.web.address import base_url
from kho.server.web.api.operation import Call, Given, Operation, Told
from kho.server.web.api.paging import Listing, Paged, cut
from kho.server.web.api.problems import Mistakes
from kho.server.web.api.values import Name, Time, time_of
from kho.server.web.request import Request

Text = Annotated[str, Meta(min_length=1, max_length=512)]
Texts = Annotated[list[Text], Meta(max_length=32)]
Digits = Annotated[str, Meta(pattern="^[0-9]{1,20}$", description="an id: digits")]


class GitHub(Given, frozen=True, tag_field="of", tag="github"):
    """Workflows of a repository OWNER/REPO; all that is given must hold."""

    repository: Text
    repository_id: Digits | None = None
    owner_id: Digits | None = None
    workflows: Texts = msgspec.field(default_factory=list)
    events: Texts = msgspec.field(default_factory=list)
    branches: Texts = msgspec.field(default_factory=list)
    tags: Texts = msgspec.field(default_factory=list)
    environments: Texts = msgspec.field(default_factory=list)


class GitLab(Given, frozen=True, tag_field="of", tag="gitlab"):
    """Jobs of a project GROUP/PROJECT; all that is given must hold."""

    project: Text
    project_id: Digits
    branches: Texts = msgspec.field(default_factory=list)
    tags: Texts = msgspec.field(default_factory=list)
    environments: Texts = msgspec.field(default_factory=list)
    protected: bool = True


class Kubernetes(Given, frozen=True, tag_field="of", tag="kubernetes"):
    """Pods of a service account NAMESPACE/NAME."""

    account: Text


class NewRule(Given, frozen=True):
    """A rule to be made. `preset` has conditions of a platform, and its issuer where that is one.

    `conditions` has further claims, each with the globs of which one must match. No `audience`:
    the address of this registry.
    """

    name: Name
    robot: Name
    issuer: Annotated[str, Meta(max_length=2048, description="the token's iss, exactly")] = ""
    audience: Annotated[str, Meta(max_length=512, description="what the token's aud must be")] = ""
    preset: GitHub | GitLab | Kubernetes | None = None
    conditions: dict[str, Texts] = msgspec.field(default_factory=dict)
    jwks_url: Annotated[
        str, Meta(max_length=2048, description="where the issuer's keys are, if not where it says")
    ] = ""


class TrustRule(Told, frozen=True):
    """A rule: issuer and audience are equal, and all conditions hold: then it is the robot."""

    name: str
    issuer: str
    audience: str
    conditions: dict[str, list[str]]
    robot: str
    jwks_url: str | None


class MadeRule(TrustRule, frozen=True):
    """A rule, and when it was made."""

    created_at: Time


class TriedToken(Given, frozen=True):
    """A token as the issuer gave it; nothing of it is kept."""

    token: Annotated[str, Meta(max_length=65536)]


class Trial(Told, frozen=True):
    """What came of it: `rule` lets it in, or `problem` says why none is asked.

    `refusals` has the rules that were asked before, and why they do not let it in.
    """

    rule: TrustRule | None
    refusals: dict[str, list[str]]
    problem: str | None
    claims: dict[str, Any]


async def list_rules(resources: Resources, call: Call[Paged, None]) -> Listing[MadeRule]:
    """In the order in which they are asked: by name."""
    return cut(await trust.every(resources), call.query, _made, lambda row: row.rule.name)


async def add_rule(resources: Resources, call: Call[None, NewRule]) -> MadeRule:
    """A CI job or pod then shows the token of its own platform as the password, and is the robot.

    One condition at least must say which workload it is, in a way that nobody else can come to be.
    """
    new = call.body
    try:
        issuer, conditions = _preset(new)
    except ValueError as error:
        raise Mistakes("the body is not right", [f"preset: {error}"]) from None
    loosened = sorted(conditions.keys() & new.conditions.keys())
    if loosened:
        raise Mistakes(
            "the body is not right",
            [f"conditions: the preset has one on {claim} already" for claim in loosened],
        )
    more = {claim: tuple(globs) for claim, globs in new.conditions.items()}
    rule = Rule(
        new.name,
        issuer,
        new.audience or _here(resources, call.request),
        {**conditions, **more},
        new.robot,
        new.jwks_url or None,
    )
    await trust.add(resources, rule, call.by)
    return _made(await trust.find(resources, new.name))


async def show_rule(resources: Resources, call: Call[None, None]) -> MadeRule:
    """With all its conditions."""
    return _made(await trust.find(resources, call.part("rule")))


async def remove_rule(resources: Resources, call: Call[None, None]) -> None:
    """Tokens that it let in end within auth.token_seconds."""
    await trust.remove(resources, call.part("rule"), call.by)


async def try_token(resources: Resources, call: Call[None, TriedToken]) -> Trial:
    """As a login would be decided; the issuer is asked for keys that are not known yet."""
    found = await trust.test(resources, call.body.token.strip())
    return Trial(
        rule=None if found.rule is None else TrustRule(**_facts(found.rule)),
        refusals={name: list(map(str, one)) for name, one in found.refusals.items()},
        problem=None if found.problem is None else str(found.problem),
        claims=dict(found.claims),
    )


def _preset(new: NewRule) -> tuple[str, Conditions]:
    """The issuer, and the conditions of the platform. Raises ValueError."""
    preset = new.preset
    if isinstance(preset, GitHub):
        found = trust_presets.github(**_given(preset))
        return new.issuer or trust_presets.GITHUB_ISSUER, found
    if isinstance(preset, GitLab):
        found = trust_presets.gitlab(**_given(preset))
        return new.issuer or trust_presets.GITLAB_ISSUER, found
    if not new.issuer:
        raise ValueError("give the issuer, or a preset of github or gitlab, which know theirs")
    return new.issuer, trust_presets.kubernetes(preset.account) if preset else {}


def _given(preset: Struct) -> dict[str, Any]:
    return structs.asdict(preset)


def _here(resources: Resources, request: Request) -> str:
    return resources.config.http.public_url or base_url(request.scope, resources.config)


def _facts(rule: Rule) -> dict[str, Any]:
    globs = {claim: list(found) for claim, found in rule.conditions.items()}
    return {**rule._asdict(), "conditions": globs}


def _made(row: trust.Trusted) -> MadeRule:
    return MadeRule(**_facts(row.rule), created_at=time_of(row.created_at))


OPERATIONS: Final = (
    Operation(
        id="listTrustRules",
        noun="trust",
        method="GET",
        path="/trust",
        action=Action.ADMIN,
        summary="List the trust rules",
        function=list_rules,
        query=Paged,
        answer=Listing[MadeRule],
    ),
    Operation(
        id="addTrustRule",
        noun="trust",
        method="POST",
        path="/trust",
        action=Action.ADMIN,
        summary="Let workloads in as a robot",
        function=add_rule,
        body=NewRule,
        answer=MadeRule,
        status=201,
    ),
    Operation(
        id="showTrustRule",
        noun="trust",
        method="GET",
        path="/trust/{rule}",
        action=Action.ADMIN,
        summary="Show a trust rule",
        function=show_rule,
        answer=MadeRule,
    ),
    Operation(
        id="removeTrustRule",
        noun="trust",
        method="DELETE",
        path="/trust/{rule}",
        action=Action.ADMIN,
        summary="Take a trust rule away",
        function=remove_rule,
    ),
    Operation(
        id="tryToken",
        noun="trust",
        method="POST",
        path="/trust-trials",
        action=Action.ADMIN,
        summary="Say which rule lets a token in, or why none does",
        function=try_token,
        body=TriedToken,
        answer=Trial,
        most_bytes=80 * 1024,
    ),
)
