"""Administration: groups of users."""

from urllib.parse import quote

from kho.server.index.people import groups as people
from kho.server.index.rights import grants
from kho.server.resources import Resources
from kho.server.web.request import Request, Response
from kho.server.web.ui import forms, lists
from kho.server.web.ui.admin import frame
from kho.server.web.ui.admin.users import check_confirmed
from kho.server.web.ui.forms import Posted, Problem

_LIST = "/-/admin/groups"


async def groups(resources: Resources, request: Request) -> Response:
    """The groups, and the form for another."""
    return await _groups(resources, request)


async def _groups(
    resources: Resources,
    request: Request,
    form: Posted | None = None,
    problem: Problem | None = None,
) -> Response:
    found = await lists.named(request, lambda after, limit: people.page(resources, after, limit))
    return await frame.page(resources, request, "groups", form=form, problem=problem, found=found)


async def add(resources: Resources, request: Request) -> Response:
    """Make a group."""
    form = await forms.posted(resources, request)
    name = form.text("name")
    problem = await forms.refusal(people.add(resources, name, by=request.caller.by), "add")
    if problem:
        return await _groups(resources, request, form, problem)
    return forms.done(_address(name), "group-added")


async def group(resources: Resources, request: Request) -> Response:
    """One group: who is in it, and what it was given."""
    return await _group(resources, request)


async def _group(
    resources: Resources,
    request: Request,
    form: Posted | None = None,
    problem: Problem | None = None,
) -> Response:
    name = request.values.parts["group"]
    members = await people.members(resources, name)
    return await frame.page(
        *(resources, request, "groups", "admin_group.html"),
        form=form,
        problem=problem,
        where=_address(name),
        name=name,
        members=members,
        grants=await grants.every(resources, f"group:{name}"),
        address=_address(name),
    )


async def change(resources: Resources, request: Request) -> Response:
    """Whatever the pressed button says."""
    form = await forms.posted(resources, request)
    name, what, by = request.values.parts["group"], form.text("do"), request.caller.by
    member = form.text("user")
    place, word = _address(name), "member-added"
    if what == "add":
        work = people.add_member(resources, name, member, by=by)
    elif what == "remove-member":
        word = "member-removed"
        work = people.remove_member(resources, name, member, by=by)
    elif what == "remove":
        place, word = _LIST, "group-removed"
        work = _remove(resources, form, name, by)
    else:
        return await _group(resources, request)
    problem = await forms.refusal(work, what)
    if problem:
        return await _group(resources, request, form, problem)
    return forms.done(place, word)


async def _remove(resources: Resources, form: Posted, name: str, by: str) -> None:
    check_confirmed(form, name)
    await people.remove(resources, name, by=by)


def _address(name: str) -> str:
    return f"{_LIST}/{quote(name, safe='')}"
