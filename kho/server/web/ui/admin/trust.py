"""Administration: issuers whose workloads come in without a secret."""

from typing import Any, Final
from urllib.parse import quote

from kho.server.index.errors import Invalid
from kho.server.index.people import robots
from kho.server.index.workloads import trust
from kho.server.policy import trust_presets
from kho.server.policy.errors import Disallowed
from kho.server.policy.trust import Conditions, Rule
from kho.server.resources import Resources
from kho.server.web.address import base_url
from kho.server.web.request import Request, Response
from kho.server.web.ui import forms
from kho.server.web.ui.admin import frame
from kho.server.web.ui.admin.users import check_confirmed
from kho.server.web.ui.forms import Posted, Problem

_LIST: Final = "/-/admin/trust"
_TRIAL_BYTES: Final = 128 * 1024
PRESETS: Final = ("github", "gitlab", "kubernetes", "other")
# What the form of each platform asks for, as trust_presets takes it.
_TEXTS: Final = {
    "github": ("repository_id", "owner_id"),
    "gitlab": ("project_id",),
    "kubernetes": (),
    "other": (),
}
_LINES: Final = {
    "github": ("branches", "tags", "environments", "workflows", "events"),
    "gitlab": ("branches", "tags", "environments"),
    "kubernetes": (),
    "other": (),
}


async def rules(resources: Resources, request: Request) -> Response:
    """The rules in the order in which they are asked."""
    return await _rules(resources, request)


async def _rules(
    resources: Resources,
    request: Request,
    form: Posted | None = None,
    problem: Problem | None = None,
    trial: trust.Trial | None = None,
) -> Response:
    chosen = form.text("preset") if form else request.query("preset") or ""
    return await frame.page(
        *(resources, request, "trust"),
        form=form,
        problem=problem,
        rules=await trust.every(resources),
        robots=[one.name for one in await robots.every(resources)],
        preset=chosen if chosen in PRESETS else "github",
        audience=_audience(resources, request),
        events=trust_presets.EVENTS,
        trial=trial,
    )


def _audience(resources: Resources, request: Request) -> str:
    return resources.config.http.public_url or base_url(request.scope, resources.config)


async def add(resources: Resources, request: Request) -> Response:
    """Let workloads in as a robot."""
    form = await forms.posted(resources, request)
    problem = await forms.refusal(_add(resources, request, form), "add")
    if problem:
        return await _rules(resources, request, form, problem)
    return forms.done(_LIST, "rule-added")


async def _add(resources: Resources, request: Request, form: Posted) -> None:
    try:
        issuer, conditions = _conditions(form)
    except Disallowed as error:
        raise Invalid(error.template, **error.values) from None
    rule = Rule(
        form.text("name"),
        form.text("issuer") or issuer,
        form.text("audience") or _audience(resources, request),
        conditions,
        form.text("robot"),
        form.text("jwks_url") or None,
    )
    await trust.add(resources, rule, request.caller.by)


def _conditions(form: Posted) -> tuple[str, Conditions]:
    """The issuer and all conditions. Raises ValueError."""
    preset = form.text("preset")
    if preset not in PRESETS:
        raise Disallowed("choose a platform")
    given: dict[str, Any] = {name: form.text(name) or None for name in _TEXTS[preset]}
    given |= {name: form.lines(name) for name in _LINES[preset]}
    subject = form.text("workload")
    found: dict[str, tuple[str, ...]] = {}
    issuer = ""
    if preset == "github":
        issuer, found = trust_presets.GITHUB_ISSUER, dict(trust_presets.github(subject, **given))
    elif preset == "gitlab":
        given["protected"] = form.has("protected")
        issuer, found = trust_presets.GITLAB_ISSUER, dict(trust_presets.gitlab(subject, **given))
    elif preset == "kubernetes":
        found = dict(trust_presets.kubernetes(subject))
    own: dict[str, tuple[str, ...]] = {}
    for line in form.fields.get("claims", "").splitlines():
        if not line.strip():
            continue
        claim, equals, glob = (part.strip() for part in line.partition("="))
        if not claim or not equals or not glob:
            raise Disallowed("%(line)s is not NAME=GLOB", line=ascii(line.strip()))
        if claim in found:
            raise Disallowed("%(claim)s: there is a condition on this claim already", claim=claim)
        own[claim] = (*own.get(claim, ()), glob)
    return issuer, {**found, **own}


async def rule(resources: Resources, request: Request) -> Response:
    """One rule."""
    return await _rule(resources, request)


async def _rule(
    resources: Resources,
    request: Request,
    form: Posted | None = None,
    problem: Problem | None = None,
) -> Response:
    found = await trust.find(resources, request.values.parts["rule"])
    return await frame.page(
        *(resources, request, "trust", "admin_rule.html"),
        form=form,
        problem=problem,
        where=_address(found.rule.name),
        rule=found.rule,
        created_at=found.created_at,
        address=_address(found.rule.name),
    )


async def remove(resources: Resources, request: Request) -> Response:
    """Take a rule away."""
    form = await forms.posted(resources, request)
    problem = await forms.refusal(_remove(resources, request, form), "remove")
    if problem:
        return await _rule(resources, request, form, problem)
    return forms.done(_LIST, "rule-removed")


async def _remove(resources: Resources, request: Request, form: Posted) -> None:
    name = request.values.parts["rule"]
    check_confirmed(form, name)
    await trust.remove(resources, name, request.caller.by)


async def test(resources: Resources, request: Request) -> Response:
    """Say which rule lets a token in; nothing of it is kept."""
    form = await forms.posted(resources, request, _TRIAL_BYTES)
    trial = await trust.test(resources, form.text("jwt"))
    return await _rules(resources, request, None, None, trial)


def _address(name: str) -> str:
    return f"{_LIST}/{quote(name, safe='')}"
