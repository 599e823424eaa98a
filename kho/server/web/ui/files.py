"""The files of an image: folders of all layers together or of one, found, looked at, downloaded.

    ?view=files                     all layers together
    ?view=files&layer=3             up to layer 3, with what that layer added, changed, removed
    ?view=files&path=etc&q=conf     a folder; names that have the text

Paths are bytes, in URLs percent-encoded.
"""

import re
from collections.abc import AsyncGenerator
from typing import Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

from kho.oci.digest import Digest
from kho.oci.errors import InvalidRequest, ManifestUnknown, RouteUnknown
from kho.server.index.files import browse, find, search, stack
from kho.server.index.files.stack import Stack, State
from kho.server.registry import members
from kho.server.registry.contents import image as images
from kho.server.registry.contents.image import Detail, Image
from kho.server.resources import Resources
from kho.server.web.request import Request, Response, StreamResponse
from kho.server.web.ui import image, render

ROWS: Final = 200
LONGEST_PATH: Final = 4096
# Of the name that a browser keeps a file under: nothing that leads elsewhere or breaks the header.
_UNSAFE: Final = re.compile(rb"[^A-Za-z0-9._+-]")


def bytes_of(request: Request, key: str) -> bytes:
    """A query parameter as bytes. Raises InvalidRequest."""
    for part in request.scope["query_string"].split(b"&"):
        name, _, value = part.partition(b"=")
        if name == key.encode("ascii"):
            found = unquote_to_bytes(value.replace(b"+", b" "))
            if len(found) > LONGEST_PATH or b"\0" in found:
                raise InvalidRequest(f"the parameter {key} is too long, or holds a NUL")
            return found
    return b""


async def look(resources: Resources, request: Request) -> tuple[Image, Detail, Stack]:
    """The image, the manifest of one platform, its layers. Raises ManifestUnknown."""
    name, principal = request.values.name, request.caller.principal
    platform = request.query("platform") or None
    found = await images.find(
        resources, principal, name, image.reference_of(request), platform=platform
    )
    detail = found.detail
    if detail is None or detail.nature != "image":
        raise ManifestUnknown("no image of this platform is here, so it has no files to show")
    digests = [Digest.parse(step.layer.digest) for step in detail.steps if step.layer]
    return found, detail, await stack.stack_of(resources, name, digests)


async def page(resources: Resources, request: Request) -> Response:
    """A folder, or what was found."""
    found, detail, layers = await look(resources, request)
    path = bytes_of(request, "path").strip(b"/")
    number = _number(request, len(layers.layers))
    shown = layers.below(number) if number else layers
    coming = await stack.ensure(resources, shown)
    text = (request.query("q") or "").strip()[:200]
    behind = bytes_of(request, "behind")
    entries: tuple[object, ...] = ()
    following, missing = None, False
    try:
        if text:
            matches = await search.search(resources, shown, text, behind=behind, limit=ROWS)
            entries, following = matches.items, matches.next
        else:
            only = bool(number) and request.query("only") == "1"
            level = await browse.directory(
                resources, shown, path, behind=behind, limit=ROWS, changes_only=only
            )
            entries, following = level.items, level.next
    except find.NotThere:
        missing = bool(shown.ids) and not shown.unlisted
    waiting = [one for one in shown.unlisted if one.state is not State.REFUSED]
    return await render.page(
        resources,
        request,
        "image_files.html",
        shared=image.frame(request, found, "files"),
        commands=(),
        layers=layers.layers,
        number=number,
        only=request.query("only") == "1",
        folder=path,
        steps=_steps(path),
        text=text,
        entries=entries,
        missing=missing,
        waiting=len(waiting) if coming or waiting else 0,
        refused=[one for one in shown.unlisted if one.state is State.REFUSED],
        following=quote_from_bytes(following) if following else "",
        manifest=detail.digest,
        switched_off=not resources.config.index.files,
    )


def _number(request: Request, most: int) -> int:
    """The layer that was chosen, from 1; 0 is all of them."""
    text = request.query("layer") or ""
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0  # noqa: PLR2004
    return number if number <= most else 0


def _steps(path: bytes) -> list[tuple[bytes, bytes]]:
    """The folders on the way: name and path of each."""
    parts = path.split(b"/") if path else []
    return [(part, b"/".join(parts[: at + 1])) for at, part in enumerate(parts)]


async def view(resources: Resources, request: Request) -> Response:
    """One file as text, if it is text."""
    found, _, layers = await look(resources, request)
    path = bytes_of(request, "path").strip(b"/")
    number = _number(request, len(layers.layers))
    place = await _place(resources, layers.below(number) if number else layers, path)
    content, failed, size = b"", "", place.entry.size
    try:
        taken = await members.text(resources, request.values.name, place.digest, place.entry.number)
    except (members.Refused, members.Failed) as error:
        taken, failed = None, str(error)
    if taken is not None:
        content, size = taken
    is_text = taken is not None and members.is_text(content)
    return await render.page(
        resources,
        request,
        "image_file.html",
        shared=image.frame(request, found, "files"),
        commands=(),
        folder=path,
        steps=_steps(path),
        place=place,
        size=size,
        number=number,
        failed=failed,
        content=content.decode("utf-8", "replace") if is_text else None,
        cut=is_text and size > len(content),
    )


async def _place(resources: Resources, layers: Stack, path: bytes) -> find.Found:
    try:
        return await find.content_of(resources, layers, path)
    except find.NotThere:
        raise RouteUnknown("there is no file of this path in the image") from None


async def download(resources: Resources, request: Request) -> Response | StreamResponse:
    """One file's bytes, never as anything that a browser would show (W1)."""
    _, _, layers = await look(resources, request)
    path = bytes_of(request, "path").strip(b"/")
    number = _number(request, len(layers.layers))
    place = await _place(resources, layers.below(number) if number else layers, path)
    name = _UNSAFE.sub(b"_", path.rpartition(b"/")[2]).lstrip(b".") or b"file"
    headers = [
        (b"content-type", b"application/octet-stream"),
        (b"content-length", b"%d" % place.entry.size),
        (b"content-disposition", b'attachment; filename="' + name[:200] + b'"'),
        (b"content-security-policy", b"default-src 'none'; sandbox"),
        (b"x-content-type-options", b"nosniff"),
        (b"cache-control", b"no-store"),
    ]
    pieces = _pieces(resources, request.values.name, place)
    return StreamResponse(200, headers, pieces)


async def _pieces(
    resources: Resources, repository: str, place: find.Found
) -> AsyncGenerator[bytes, None]:
    async with members.member(resources, repository, place.digest, place.entry.number) as content:
        if content is None or content.size != place.entry.size:
            raise ManifestUnknown("the layer does not hold this file as it was listed")
        async for piece in content.pieces:
            yield piece
