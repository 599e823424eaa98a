"""Administration: what is stored is checked, what the index knows is found out again."""

from kho.oci.errors import NameInvalid
from kho.oci.reference import parse_name
from kho.server.index import checks, counts
from kho.server.index.errors import Invalid, NotFound
from kho.server.registry import filling
from kho.server.resources import Resources
from kho.server.web.redirects import redirect
from kho.server.web.request import Request, Response
from kho.server.web.ui import forms
from kho.server.web.ui.admin import frame
from kho.server.web.ui.forms import Posted, Problem

_HERE = "/-/admin/maintenance"
_SHOWN = 20
_MOST_DIGITS = 16


async def maintenance(resources: Resources, request: Request) -> Response:
    """The last checks, and what the index has still to find out."""
    return await _page(resources, request)


async def _page(
    resources: Resources,
    request: Request,
    form: Posted | None = None,
    problem: Problem | None = None,
) -> Response:
    found = await checks.newest(resources, None, _SHOWN)
    return await frame.page(
        *(resources, request, "maintenance"),
        form=form,
        problem=problem,
        checks=found,
        under_way=any(one.under_way for one in found),
        indexing=await counts.indexing(resources),
    )


async def start(resources: Resources, request: Request) -> Response:
    """Have everything that is stored checked."""
    form = await forms.posted(resources, request)
    numbers: list[int] = []

    async def work() -> None:
        number = await checks.start(
            resources,
            request.caller,
            quick=form.has("quick"),
            repair=form.has("repair"),
            min_age=checks.USUAL_AGE,
        )
        numbers.append(number)

    problem = await forms.refusal(work(), "check")
    if problem:
        return await _page(resources, request, form, problem)
    return redirect(f"{_HERE}/checks/{numbers[0]}")


async def check(resources: Resources, request: Request) -> Response:
    """How far a check is, and what it has found."""
    return await _check(resources, request)


async def _check(
    resources: Resources,
    request: Request,
    form: Posted | None = None,
    problem: Problem | None = None,
) -> Response:
    found = await checks.show(resources, _number(request))
    address = f"{_HERE}/checks/{found.id}"
    return await frame.page(
        *(resources, request, "maintenance", "admin_check.html"),
        form=form,
        problem=problem,
        where=address,
        check=found,
        address=address,
    )


async def stop(resources: Resources, request: Request) -> Response:
    """End a check."""
    form = await forms.posted(resources, request)
    number = _number(request)
    problem = await forms.refusal(checks.stop(resources, request.caller, number), "stop")
    if problem:
        return await _check(resources, request, form, problem)
    return redirect(f"{_HERE}/checks/{number}")


async def rebuild(resources: Resources, request: Request) -> Response:
    """Have all that the index knows of a repository, or of all, found out again."""
    form = await forms.posted(resources, request)
    problem = await forms.refusal(_rebuild(resources, request, form.text("name")), "index")
    if problem:
        return await _page(resources, request, form, problem)
    return forms.done(_HERE, "index-again")


async def _rebuild(resources: Resources, request: Request, name: str) -> None:
    if name:
        try:
            parse_name(name)
        except NameInvalid:
            raise Invalid("that is no name of a repository") from None
    caller = request.caller
    found = await filling.rebuild(
        resources,
        name or None,
        by=caller.name,
        address=caller.address,
        request_id=caller.request_id,
    )
    if name and not found:
        raise NotFound("there is no such repository")


def _number(request: Request) -> int:
    text = request.values.parts["id"]
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise NotFound("there is no check of this number")
    return int(text)
