"""One file of an image: looked at as text, or downloaded."""

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from kho.oci.digest import Digest
from kho.oci.errors import ManifestUnknown, RouteUnknown, Unavailable
from kho.server.index.files import find, stack
from kho.server.index.files.find import Found
from kho.server.index.files.stack import Stack
from kho.server.inspection.packed import Kind
from kho.server.registry import members
from kho.server.registry.contents import image as images
from kho.server.resources import Resources
from kho.server.web.redirects import redirect
from kho.server.web.request import Answer, Request, Response, StreamResponse
from kho.server.web.ui import render
from kho.server.web.ui.images import files, image, parts

# Of the name that a browser keeps a file under: nothing that leads elsewhere or breaks the header.
_UNSAFE: Final = re.compile(rb"[^A-Za-z0-9._+-]")
_LONGEST_NAME: Final = 200


async def layers_of(
    resources: Resources, repository: str, reference: Digest | str, platform: str | None
) -> Stack:
    """The layers of an image. Raises ManifestUnknown."""
    digests = await images.layers_of(resources, repository, reference, platform)
    return await stack.stack_of(resources, repository, digests, sparse=True)


async def _chosen(resources: Resources, request: Request) -> tuple[Stack, int]:
    """The layers that are looked at, and the number of the uppermost; 0 is all."""
    layers = await layers_of(
        *(resources, request.values.name, image.reference_of(request)),
        request.query("platform") or None,
    )
    number = files.number_of(request, len(layers.layers))
    return (layers.below(number) if number else layers), number


async def view(resources: Resources, request: Request) -> Response:
    """One file as text, if it is text; a link to a folder leads there."""
    layers, number = await _chosen(resources, request)
    path = files.bytes_of(request, "path").strip(b"/")
    places = files.places_of(request, number)
    folders = places.itself
    if await _is_folder(resources, layers, path):
        return redirect(folders + places.folder(path))
    place = await _place(resources, layers, path)
    content, failed, size = b"", "", place.entry.size
    try:
        taken = await members.text(resources, request.values.name, place.digest, place.entry.number)
    except (members.Refused, members.Failed) as error:
        taken, failed = None, str(error)
    if taken is not None:
        content, size = taken
    cut = size > len(content)
    is_text = taken is not None and members.is_text(content, cut=cut)
    found = await images.find(
        *(resources, request.caller.principal, request.values.name, image.reference_of(request)),
        platform=request.query("platform") or None,
        sharing=False,
    )
    return await render.page(
        *(resources, request, "image_file.html"),
        shared=image.frame(request, found, "files"),
        commands=(),
        steps=[(one, folders + places.folder(where)) for one, where in files.steps_of(path)],
        top=folders + places.folder(b""),
        raw=places.file(path).replace("/-/file?", "/-/raw?", 1),
        true_path=place.path if place.path != path else b"",
        place=place,
        size=size,
        failed=failed,
        content=content.decode("utf-8", "replace") if is_text else None,
        cut=is_text and cut,
    )


async def _is_folder(resources: Resources, layers: Stack, path: bytes) -> bool:
    try:
        return (await find.find(resources, layers, path)).entry.kind in {
            Kind.DIRECTORY,
            Kind.IMPLIED,
        }
    except find.NotThere:
        return not path


async def _place(resources: Resources, layers: Stack, path: bytes) -> Found:
    try:
        return await find.content_of(resources, layers, path)
    except find.NotThere:
        raise RouteUnknown("there is no file of this path in the image") from None


async def download(resources: Resources, request: Request) -> Answer:
    """One file's bytes, never as anything that a browser would show (W1).

    Of `?part=manifest` and `?part=config` those, as they were pushed: pages show their beginnings.
    """
    if request.query("part") is not None:
        return await parts.download(resources, request)
    layers, _ = await _chosen(resources, request)
    path = files.bytes_of(request, "path").strip(b"/")
    place = await _place(resources, layers, path)
    name = _UNSAFE.sub(b"_", path.rpartition(b"/")[2]).lstrip(b".") or b"file"
    headers = parts.headers_of(name[:_LONGEST_NAME], place.entry.size)
    pieces = _pieces(resources, request, place)
    if request.method != "HEAD":
        # What goes wrong before the first bytes is told on a page.
        pieces = _behind(await anext(pieces, b""), pieces)
    return StreamResponse(200, headers, pieces)


async def _behind(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(rest):
        yield first
        async for piece in rest:
            yield piece


async def _pieces(
    resources: Resources, request: Request, place: Found
) -> AsyncGenerator[bytes, None]:
    """What comes out of the layer. Raises Unavailable, at the end, too."""
    try:
        async with members.member(
            *(resources, request.values.name, place.digest, place.entry.number), request.caller
        ) as content:
            if content is None or content.size != place.entry.size:
                raise ManifestUnknown("the layer does not hold this file as it was listed")
            async for piece in content.pieces:
                yield piece
    except (members.Refused, members.Failed) as error:
        raise Unavailable(
            "the file cannot be taken out of its layer: %(error)s", error=error
        ) from error
