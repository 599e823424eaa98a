"""The page of an image: layers, files, config, manifest, what is attached.

?view=layers&step=7     with the whole command of step 7, where it is long
?view=waste             layers, and what of them no container sees
"""

from typing import Final
from urllib.parse import quote, urlencode

from kho.oci.digest import Digest
from kho.oci.reference import parse_tag
from kho.server.index.catalogue.commands import Address, commands
from kho.server.policy.access import Action, allowed
from kho.server.registry.contents import image as images
from kho.server.registry.contents.image import Image
from kho.server.resources import Resources
from kho.server.web.paths import page_of
from kho.server.web.request import Request, Response
from kho.server.web.ui import render
from kho.server.web.ui.images import attachments, layers
from kho.server.web.ui.repositories import repository
from kho.server.web.visits import visit

PLATFORMS: Final = 40
VIEWS: Final = ("layers", "files", "config", "manifest", "attachments")


def reference_of(request: Request) -> Digest | str:
    """What the path names. Raises TagInvalid."""
    return request.values.digest or parse_tag(request.values.parts["tag"])


def itself(request: Request) -> str:
    """The address of the page, as the tag or digest that was asked for."""
    reference = reference_of(request)
    mark = "@" if isinstance(reference, Digest) else ":"
    return f"{page_of(request.values.name)}{mark}{reference}"


async def page(resources: Resources, request: Request) -> Response:
    """One view of the image; `platform` chooses one of an index."""
    name, reference = request.values.name, reference_of(request)
    asked = request.query("view") or ""
    view = asked if asked in VIEWS else "layers"
    reveal = view == "config" and request.query("reveal") == "1"
    found = await images.find(
        resources,
        request.caller.principal,
        name,
        reference,
        platform=request.query("platform") or None,
        reveal=reveal,
        sharing=view == "layers",
    )
    here = await visit(resources, request)
    address = Address(here.host, here.secure)
    tag = None if isinstance(reference, Digest) else reference
    shared = frame(request, found, view)
    if view == "layers":
        shared |= await layers.values(resources, request, found)
    if view == "attachments":
        own = found.detail.referrers if found.detail else found.referrers
        shared |= {
            "attachments": attachments.shown(found.referrers),
            "own_attachments": attachments.shown(own),
        }
    return await render.page(
        resources,
        request,
        f"image_{view}.html",
        known=here,
        shared=shared,
        commands=commands(
            address,
            name,
            tag or (found.tags[0] if found.tags else None),
            found.digest,
            kind=found.nature if found.nature in ("image", "index") else "artifact",
            artifact_type=found.artifact_type,
        ),
        revealed=reveal,
    )


def frame(request: Request, found: Image, view: str) -> dict[str, object]:
    """Values for templates that extend `image_frame.html`."""
    name, reference = request.values.name, reference_of(request)
    tag = None if isinstance(reference, Digest) else reference
    shared = repository.frame(request, "tags" if tag else "versions")
    place = itself(request)
    chosen = found.platform if found.offers else ""
    platforms = [one for one in found.offers if one.platform]
    if len(platforms) > PLATFORMS:  # the one that is shown is among the first
        platforms.sort(key=lambda one: one.platform != chosen)
    views = [one for one in VIEWS if _has(found, one)]
    principal = request.caller.principal
    return {
        **shared,
        "crumbs": [*_list(shared["crumbs"]), (tag or repository.short(str(reference)), "")],
        "image": found,
        "detail": found.detail,
        "tag": tag,
        "itself": place,
        "view": view,
        "views": [(one, place + _query(one, chosen), one == view) for one in views],
        "platforms": [
            (offer.platform, place + _query(view, offer.platform), offer.platform == chosen, offer)
            for offer in platforms[:PLATFORMS]
        ],
        "more_platforms": max(0, len(platforms) - PLATFORMS) + found.left_out.get("offers", 0),
        "platform_query": f"&platform={quote(chosen, safe='/')}" if chosen else "",
        "may_push": allowed(principal, Action.PUSH, name),
    }


def _has(found: Image, view: str) -> bool:
    """Whether there is such a view of it: files of images alone."""
    if found.detail is None:
        return view in ("manifest", "attachments")
    if view == "files":
        return found.detail.nature == "image"
    return True


def _query(view: str, platform: str) -> str:
    given = {"view": "" if view == "layers" else view, "platform": platform}
    kept = {key: value for key, value in given.items() if value}
    return f"?{urlencode(kept)}" if kept else ""


def _list(value: object) -> list[object]:
    return list(value) if isinstance(value, list) else []
