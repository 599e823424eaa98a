"""A tag back to where it pointed before: asked first, then done."""

from kho.oci.digest import Digest, parse_digest
from kho.oci.errors import ManifestUnknown
from kho.oci.reference import parse_tag
from kho.server.registry import manifests, rollback
from kho.server.resources import Resources
from kho.server.web.request import Request, Response
from kho.server.web.ui import forms, render
from kho.server.web.ui.forms import Problem
from kho.server.web.ui.repositories import repository


async def ask(resources: Resources, request: Request) -> Response:
    """Which tag, from where to where. Raises TagInvalid, DigestInvalid, ManifestUnknown."""
    tag = parse_tag(request.query("tag") or "")
    to = parse_digest(request.query("to") or "")
    return await _page(resources, request, tag, to)


async def _page(
    resources: Resources, request: Request, tag: str, to: Digest, problem: Problem | None = None
) -> Response:
    name = request.values.name
    await manifests.find(resources, name, to)
    return await render.page(
        *(resources, request, "rollback.html"),
        status=forms.status_of(problem),
        shared=repository.frame(request, "history"),
        tag=tag,
        to=str(to),
        now=await _points_at(resources, name, tag),
        wrong=problem.text if problem else None,
    )


async def _points_at(resources: Resources, name: str, tag: str) -> str:
    try:
        return str((await manifests.find(resources, name, tag)).digest)
    except ManifestUnknown:
        return ""


async def restore(resources: Resources, request: Request) -> Response:
    """Do it, if the tag still points where the page said."""
    posted = await forms.posted(resources, request)
    name = request.values.name
    tag, to = parse_tag(posted.text("tag")), parse_digest(posted.text("to"))
    problem = await forms.refusal(
        rollback.roll_back(resources, name, tag, to, request.caller, posted.text("now"))
    )
    if problem is not None:
        return await _page(resources, request, tag, to, problem)
    address = repository.frame(request, "history")["address"]
    return forms.done(f"{address}/-/history", "rolled-back")
