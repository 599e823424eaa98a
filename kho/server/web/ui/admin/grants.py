"""Administration: who has which role on which repositories."""

from typing import Final, NamedTuple

from kho.oci.errors import NameInvalid
from kho.oci.reference import parse_name
from kho.server.index.errors import Invalid
from kho.server.index.rights import grants as rights
from kho.server.index.rights import repositories, roles
from kho.server.policy.errors import Disallowed
from kho.server.policy.patterns import compiled
from kho.server.resources import Resources
from kho.server.web.request import Request, Response
from kho.server.web.ui import forms
from kho.server.web.ui.admin import frame
from kho.server.web.ui.forms import Posted, Problem

_HERE: Final = "/-/admin/grants"
_ROWS: Final = 100
_SHOWN: Final = 20
_SUBJECT: Final = 140
_NUMBER: Final = 16


class Preview(NamedTuple):
    """What a glob matches now."""

    pattern: str
    role: str
    actions: list[str]
    total: int
    names: list[str]


async def grants(resources: Resources, request: Request) -> Response:
    """The grants, the oldest first."""
    return await _grants(resources, request)


async def _grants(
    resources: Resources,
    request: Request,
    form: Posted | None = None,
    problem: Problem | None = None,
    preview: Preview | None = None,
) -> Response:
    subject = (request.query("subject") or "").strip()[:_SUBJECT]
    repository = (request.query("repository") or "").strip()[:255]
    after = request.query("after") or "0"
    start = int(after) if after.isascii() and after.isdigit() and len(after) < _NUMBER else 0
    found = []
    try:
        if repository:
            parse_name(repository)
        found = await rights.page(
            resources, start, _ROWS + 1, subject=subject, repository=repository
        )
    except Invalid as error:
        problem = problem or Problem(error, form="list")
    except NameInvalid as error:
        problem = problem or Problem(
            Invalid("%(name)s is %(wrong)s", name=repository, wrong=error), form="list"
        )
    typed = form.fields if form else {"subject": subject}
    return await frame.page(
        *(resources, request, "grants"),
        form=form,
        problem=problem,
        rows=found[:_ROWS],
        subject=subject,
        repository=repository,
        following=found[_ROWS - 1].id if len(found) > _ROWS else 0,
        start=start,
        roles=[one.name for one in await roles.every(resources)],
        preview=preview,
        filled=typed,
    )


async def add(resources: Resources, request: Request) -> Response:
    """Give a role, or show first what its glob matches."""
    form = await forms.posted(resources, request)
    subject, role, pattern = form.text("subject"), form.text("role"), form.text("pattern")
    if form.text("do") == "preview":
        shown: list[Preview] = []

        async def work() -> None:
            shown.append(await _preview(resources, role, pattern))

        problem = await forms.refusal(work(), "add")
        return await _grants(resources, request, form, problem, shown[0] if shown else None)
    by = request.caller.by
    problem = await forms.refusal(rights.add(resources, subject, role, pattern, by=by), "add")
    if problem:
        return await _grants(resources, request, form, problem)
    return forms.done(_HERE, "grant-added")


async def _preview(resources: Resources, role: str, pattern: str) -> Preview:
    try:
        expression = compiled(pattern)
    except Disallowed as error:
        raise Invalid(error.template, **error.values) from None
    actions = next((one.actions for one in await roles.every(resources) if one.name == role), [])
    every = await repositories.every(resources)
    names = [row.name for row in every if expression.fullmatch(row.name)]
    return Preview(pattern, role, actions, len(names), names[:_SHOWN])


async def remove(resources: Resources, request: Request) -> Response:
    """Take a role back."""
    form = await forms.posted(resources, request)
    text = form.text("id")
    number = int(text) if text.isascii() and text.isdigit() and len(text) < _NUMBER else 0
    work = rights.remove_id(resources, number, by=request.caller.by)
    problem = await forms.refusal(work)
    if problem:
        return await _grants(resources, request, None, problem)
    return forms.done(_HERE, "grant-removed")
