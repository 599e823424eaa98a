"""Administration: accounts of machines, and their tokens."""

from urllib.parse import quote

from kho.server.index.people import robots as people
from kho.server.index.rights import access, grants
from kho.server.index.tokens import access_tokens
from kho.server.resources import Resources
from kho.server.web.request import Request, Response
from kho.server.web.ui import forms, lists, token_form
from kho.server.web.ui.admin import frame
from kho.server.web.ui.admin.tokens import number_of
from kho.server.web.ui.admin.users import check_confirmed
from kho.server.web.ui.forms import Posted, Problem
from kho.server.web.ui.token_form import NewToken

_LIST = "/-/admin/robots"


async def robots(resources: Resources, request: Request) -> Response:
    """The robots, and the form for another."""
    return await _robots(resources, request)


async def _robots(
    resources: Resources,
    request: Request,
    form: Posted | None = None,
    problem: Problem | None = None,
) -> Response:
    found = await lists.named(request, lambda after, limit: people.page(resources, after, limit))
    return await frame.page(
        *(resources, request, "robots"),
        form=form,
        problem=problem,
        found=found,
        first=not await access.anybody(resources),
    )


async def add(resources: Resources, request: Request) -> Response:
    """Make a robot."""
    form = await forms.posted(resources, request)
    name = form.text("name")
    work = people.add(resources, name, form.text("description"), by=request.caller.by)
    problem = await forms.refusal(work, "add")
    if problem:
        return await _robots(resources, request, form, problem)
    return forms.done(_address(name), "robot-added")


async def robot(resources: Resources, request: Request) -> Response:
    """One robot."""
    return await _robot(resources, request)


async def _robot(
    resources: Resources,
    request: Request,
    form: Posted | None = None,
    problem: Problem | None = None,
    made: NewToken | None = None,
) -> Response:
    name = request.values.parts["robot"]
    row = await people.show(resources, name)
    tokens = await access_tokens.every(resources, f"robot:{name}")
    return await frame.page(
        *(resources, request, "robots", "admin_robot.html"),
        form=form,
        problem=problem,
        status=201 if made else 0,
        where=_address(name),
        robot=row,
        tokens=[(one, access_tokens.told_ceiling(one.ceiling)) for one in tokens],
        grants=await grants.every(resources, f"robot:{name}"),
        made=made,
        address=_address(name),
    )


async def change(resources: Resources, request: Request) -> Response:
    """Whatever the pressed button says."""
    form = await forms.posted(resources, request)
    name, what, by = request.values.parts["robot"], form.text("do"), request.caller.by
    place, word = _address(name), "robot-changed"
    if what == "token":
        made, problem = await token_form.make(resources, form, f"robot:{name}", by)
        return await _robot(resources, request, form, problem, made)
    if what in ("disable", "enable"):
        work = forms.refusal(people.set_disabled(resources, name, what == "disable", by=by))
    elif what == "revoke":
        word, owner = "token-revoked", f"robot:{name}"
        number = number_of(form)
        work = forms.refusal(access_tokens.revoke_id(resources, number, owner, by=by))
    elif what == "remove":
        place, word = _LIST, "robot-removed"
        work = forms.refusal(_remove(resources, form, name, by), "remove")
    else:
        return await _robot(resources, request)
    problem = await work
    if problem:
        return await _robot(resources, request, form, problem)
    return forms.done(place, word)


async def _remove(resources: Resources, form: Posted, name: str, by: str) -> None:
    check_confirmed(form, name)
    await people.remove(resources, name, by=by)


def _address(name: str) -> str:
    return f"{_LIST}/{quote(name, safe='')}"
