"""Administration: roles made of single actions."""

from kho.server.index.rights import roles as rights
from kho.server.policy.access import ON_REPOSITORIES
from kho.server.resources import Resources
from kho.server.web.request import Request, Response
from kho.server.web.ui import forms
from kho.server.web.ui.admin import frame
from kho.server.web.ui.forms import Posted, Problem

_HERE = "/-/admin/roles"


async def roles(resources: Resources, request: Request) -> Response:
    """The built-in roles and the others."""
    return await _roles(resources, request)


async def _roles(
    resources: Resources,
    request: Request,
    form: Posted | None = None,
    problem: Problem | None = None,
) -> Response:
    return await frame.page(
        *(resources, request, "roles"),
        form=form,
        problem=problem,
        roles=await rights.every(resources),
        actions=[str(one) for one in ON_REPOSITORIES],
    )


async def add(resources: Resources, request: Request) -> Response:
    """Make a role."""
    form = await forms.posted(resources, request)
    actions = [str(one) for one in ON_REPOSITORIES if form.has(f"may_{one}")]
    work = rights.add(resources, form.text("name"), actions, by=request.caller.by)
    problem = await forms.refusal(work, "add")
    if problem:
        return await _roles(resources, request, form, problem)
    return forms.done(_HERE, "role-added")


async def remove(resources: Resources, request: Request) -> Response:
    """Remove one that no grant gives."""
    form = await forms.posted(resources, request)
    work = rights.remove(resources, form.text("name"), by=request.caller.by)
    problem = await forms.refusal(work)
    if problem:
        return await _roles(resources, request, None, problem)
    return forms.done(_HERE, "role-removed")
