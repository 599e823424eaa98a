"""One file of two images, line by line: /{name}/-/diff/file?a=1.0&b=1.1&path=etc/passwd."""

from typing import Final, Literal, NamedTuple

from kho.oci.errors import RouteUnknown
from kho.server.index.files import find
from kho.server.index.files.find import Found
from kho.server.index.files.stack import Stack
from kho.server.inspection.packed import Kind
from kho.server.registry import members
from kho.server.registry.contents import comparison
from kho.server.resources import Resources
from kho.server.web.request import Request, Response
from kho.server.web.ui import render
from kho.server.web.ui.images import diff, files, lines
from kho.server.web.ui.images.file_rows import Places
from kho.server.web.ui.images.lines import Line
from kho.server.web.ui.repositories import repository

LONGEST: Final = 256 * 1024
# Of what is shown: characters, and how many each line has in addition for its markup.
_HEAVIEST: Final = 80_000
_MARKUP: Final = 16

State = Literal["text", "absent", "large", "binary", "folder", "failed"]


class Half(NamedTuple):
    """A file on one side: `text` if it is one, or a link's target; why it is not, in `state`."""

    state: State
    text: str
    size: int
    reason: str = ""
    address: str = ""


async def page(resources: Resources, request: Request) -> Response:
    """Raises ManifestUnknown, and RouteUnknown where neither image has the file."""
    a, b = diff.references(request)
    path = files.bytes_of(request, "path").strip(b"/")
    name = request.values.name
    platform = request.query("platform") or None
    found = await comparison.compare(resources, name, a, b, platform=platform)
    halves = [await _half(resources, request, side.image, path) for side in (found.a, found.b)]
    if all(one.state == "absent" for one in halves):
        raise RouteUnknown("neither image has a file of this path")
    readable = all(one.state in {"text", "absent"} for one in halves)
    shown: list[Line] = []
    cut = False
    if readable:
        shown, cut = _fitting(await lines.compared(halves[0].text, halves[1].text))
    return await render.page(
        *(resources, request, "file_diff.html"),
        shared=repository.frame(request, "tags"),
        a=str(a),
        b=str(b),
        path_shown=path,
        back=diff.query_of(str(a), str(b), platform),
        before=halves[0],
        after=halves[1],
        readable=readable,
        lines=shown,
        cut=cut,
    )


async def _half(resources: Resources, request: Request, image: str, path: bytes) -> Half:
    name = request.values.name
    layers = await diff.stack_of(resources, name, image)
    address = Places(f"{repository.address_of(request)}@{image}", "", 0, only=False).file(path)
    try:
        place = await find.find(resources, layers, path, follow=False)
        if place.entry.kind is Kind.SYMLINK:
            target = place.entry.link.decode("utf-8", "backslashreplace")
            return Half("text", f"→ {target}\n", len(place.entry.link), address=address)
        if place.entry.kind.is_directory:
            return Half("folder", "", 0)
        return await _text(resources, name, layers, path, address)
    except find.NotThere:
        return Half("absent", "", 0)


async def _text(resources: Resources, name: str, layers: Stack, path: bytes, address: str) -> Half:
    place: Found = await find.content_of(resources, layers, path)
    size = place.entry.size
    if size > LONGEST:
        return Half("large", "", size, address=address)
    try:
        taken = await members.text(resources, name, place.digest, place.entry.number)
    except (members.Refused, members.Failed) as error:
        return Half("failed", "", size, str(error), address)
    content = taken[0] if taken else b""
    if not members.is_text(content, cut=False):
        return Half("binary", "", size, address=address)
    return Half("text", content.decode("utf-8", "replace"), size, address=address)


def _fitting(found: list[Line]) -> tuple[list[Line], bool]:
    """As much as a page may have, and whether that is not all."""
    weight = 0
    for count, line in enumerate(found):
        weight += len(line.text.encode()) + _MARKUP
        if weight > _HEAVIEST:
            return found[:count], True
    return found, False
