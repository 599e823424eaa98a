"""What a repository's maintainers set: description, README, who may see it; and its end.

Each form goes to an address of its own, `/-/settings/...`, and comes back here.
"""

from typing import Final

from kho.oci.errors import Denied
from kho.server.index.catalogue import repositories, settings
from kho.server.index.rights import repositories as rights
from kho.server.policy.access import Action, allowed
from kho.server.policy.sight import Kind, sight_of
from kho.server.registry import dissolution
from kho.server.resources import Resources
from kho.server.web.request import Request, Response
from kho.server.web.ui import forms, markdown, render
from kho.server.web.ui.forms import Problem
from kho.server.web.ui.repositories import repository

# A README is 256 KiB, and each of its bytes may be three in a form.
_BYTES: Final = 3 * settings.README + 16 * 1024
RIGHTS: Final = 100


async def page(resources: Resources, request: Request) -> Response:
    """The forms."""
    return await _page(resources, request)


async def _page(
    resources: Resources,
    request: Request,
    problem: Problem | None = None,
    *,
    description: str | None = None,
    readme: str | None = None,
) -> Response:
    """`description` and `readme` are what was typed, where it was refused."""
    name = request.values.name
    told = await repositories.overview(resources, request.caller.principal, name)
    uploaded = told.readme if told.readme_from == "upload" else ""
    if description is None:
        description = told.repository.description if told.described else ""
    known = await rights.show(resources, name)
    return await render.page(
        *(resources, request, "repository_settings.html"),
        status=forms.status_of(problem),
        shared=repository.frame(request, "settings"),
        repository=told.repository,
        description=description,
        readme=uploaded if readme is None else readme,
        uploaded=told.readme_from == "upload",
        longest=settings.DESCRIPTION,
        rights=known.rights[:RIGHTS],
        more_rights=max(0, len(known.rights) - RIGHTS),
        may_dissolve=allowed(request.caller.principal, Action.DELETE, name),
        wrong=problem.text if problem else None,
    )


def _done(request: Request, word: str) -> Response:
    return forms.done(f"{repository.address_of(request)}/-/settings", word)


async def describe(resources: Resources, request: Request) -> Response:
    """The line that lists show."""
    posted = await forms.posted(resources, request)
    text = posted.text("description")
    problem = await forms.refusal(
        settings.describe(resources, request.values.name, text, request.caller)
    )
    if problem is not None:
        return await _page(resources, request, problem, description=text)
    return _done(request, "repository-described")


async def readme(resources: Resources, request: Request) -> Response:
    """Keep it, show what it will look like, or take it away."""
    posted = await forms.posted(resources, request, _BYTES)
    # Browsers send lines that end in two characters.
    text = posted.fields.get("readme", "").replace("\r\n", "\n")
    if posted.has("preview"):
        return await render.page(
            *(resources, request, "readme_preview.html"),
            known=posted.here,
            shared=repository.frame(request, "settings"),
            readme=text,
            shown=markdown.rendered(text),
        )
    name, caller = request.values.name, request.caller
    if posted.has("remove") or not text.strip():
        problem = await forms.refusal(settings.remove_readme(resources, name, caller))
    else:
        problem = await forms.refusal(settings.write_readme(resources, name, text, caller))
    if problem is not None:
        return await _page(resources, request, problem, readme=text)
    return _done(request, "readme-kept" if text.strip() else "readme-removed")


async def visibility(resources: Resources, request: Request) -> Response:
    """For everybody, or for who has been given access."""
    posted = await forms.posted(resources, request)
    public = posted.text("visibility") == "public"
    problem = await forms.refusal(
        settings.set_public(resources, request.values.name, public, request.caller)
    )
    if problem is not None:
        return await _page(resources, request, problem)
    return _done(request, "repository-public" if public else "repository-private")


async def ask_end(resources: Resources, request: Request) -> Response:
    """What would go with the repository. Raises Denied."""
    return await _ask_end(resources, request)


async def _ask_end(
    resources: Resources,
    request: Request,
    problem: Problem | None = None,
    *,
    mistyped: bool = False,
) -> Response:
    name = request.values.name
    if not allowed(request.caller.principal, Action.DELETE, name):
        raise Denied("deleting a repository needs the action `delete`")
    return await render.page(
        *(resources, request, "repository_end.html"),
        status=400 if mistyped else forms.status_of(problem),
        shared=repository.frame(request, "settings"),
        mistyped=mistyped,
        impact=await dissolution.impact(resources, name),
        # What is free afterwards tells what other repositories hold.
        sees_all=sight_of(request.caller.principal).kind is Kind.EVERYTHING,
        wrong=problem.text if problem else None,
    )


async def end(resources: Resources, request: Request) -> Response:
    """Delete it, when its name was typed."""
    posted = await forms.posted(resources, request)
    name = request.values.name
    if posted.text("name") != name:
        return await _ask_end(resources, request, mistyped=True)
    problem = await forms.refusal(dissolution.dissolve(resources, name, request.caller))
    if problem is not None:
        return await _ask_end(resources, request, problem)
    return forms.done("/", "repository-deleted")
