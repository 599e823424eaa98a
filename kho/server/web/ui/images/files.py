"""The files of an image: folders of all layers together or of one, and names that are found.

    ?view=files                     all layers together
    ?view=files&layer=3             up to layer 3, with what that layer added, changed, removed
    ?view=files&path=etc&q=conf     a folder; names that have the text

Paths are bytes, in URLs percent-encoded. A folder may be named by a link that leads to it.
"""

from typing import Final, NamedTuple
from urllib.parse import quote, quote_from_bytes, unquote_to_bytes

from kho.oci.digest import Digest
from kho.oci.errors import InvalidRequest, ManifestUnknown
from kho.server.index.files import browse, find, search, stack
from kho.server.index.files.stack import Stack, State
from kho.server.registry.contents import image as images
from kho.server.resources import Resources
from kho.server.web.request import Request, Response
from kho.server.web.ui import render
from kho.server.web.ui.images import file_rows, image
from kho.server.web.ui.images.file_rows import ROWS, Places, Row

LONGEST_PATH: Final = 4096
_LONGEST_TEXT: Final = 200


def bytes_of(request: Request, key: str) -> bytes:
    """A query parameter as bytes. Raises InvalidRequest."""
    for part in request.scope["query_string"].split(b"&"):
        name, _, value = part.partition(b"=")
        if name == key.encode("ascii"):
            found = unquote_to_bytes(value.replace(b"+", b" "))
            if len(found) > LONGEST_PATH or b"\0" in found:
                raise InvalidRequest("the parameter %(key)s is too long, or holds a NUL", key=key)
            return found
    return b""


def number_of(request: Request, most: int) -> int:
    """The layer that was chosen, from 1; 0 is all of them."""
    text = request.query("layer") or ""
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0  # noqa: PLR2004
    return number if number <= most else 0


def steps_of(path: bytes) -> list[tuple[bytes, bytes]]:
    """The folders on the way: name and path of each."""
    parts = path.split(b"/") if path else []
    return [(part, b"/".join(parts[: at + 1])) for at, part in enumerate(parts)]


def places_of(request: Request, layer: int) -> Places:
    """Where links to folders and files lead."""
    platform = request.query("platform") or ""
    query = f"platform={quote(platform, safe='/')}&" if platform else ""
    return Places(image.itself(request), query, layer, request.query("only") == "1")


class _Found(NamedTuple):
    """What a page shows; `following` is where the next begins, `folder` the true path."""

    rows: list[Row]
    following: bytes | None
    folder: bytes
    missing: bool


async def page(resources: Resources, request: Request) -> Response:
    """A folder, or what was found."""
    name, principal = request.values.name, request.caller.principal
    platform = request.query("platform") or None
    found = await images.find(
        *(resources, principal, name, image.reference_of(request)),
        platform=platform,
        sharing=False,
    )
    if found.detail is None or found.detail.nature != "image":
        raise ManifestUnknown("no image of this platform is here, so it has no files to show")
    digests = [Digest.parse(step.layer.digest) for step in found.detail.steps if step.layer]
    layers = await stack.stack_of(resources, name, digests, sparse=True)
    number = number_of(request, len(layers.layers))
    shown = layers.below(number) if number else layers
    asked = await stack.ensure(resources, shown)
    text = (request.query("q") or "").strip()[:_LONGEST_TEXT]
    places = places_of(request, number)
    if text:
        listed = await _matches(resources, request, shown, text, places)
    else:
        listed = await _folder(resources, request, shown, places)
    coming = sum(one.is_coming for one in shown.unlisted)
    return await render.page(
        *(resources, request, "image_files.html"),
        status=404 if listed.missing and not coming else 200,
        shared=image.frame(request, found, "files"),
        commands=(),
        layers=layers.layers,
        number=number,
        only=places.only,
        folder=listed.folder,
        form_path=_sendable(listed.folder),
        steps=[(part, places.folder(where)) for part, where in steps_of(listed.folder)],
        up=places.folder(listed.folder.rpartition(b"/")[0]),
        top=places.folder(b""),
        text=text,
        rows=listed.rows,
        missing=listed.missing,
        waiting=coming or int(asked),
        refused=[one for one in shown.unlisted if one.state is State.REFUSED],
        absent=[one for one in shown.unlisted if one.state is State.ABSENT],
        following=_following(places, listed, text),
        first=_first(places, listed, text) if request.query("behind") else "",
        switched_off=not resources.config.index.files,
    )


async def _matches(
    resources: Resources, request: Request, shown: Stack, text: str, places: Places
) -> _Found:
    behind = bytes_of(request, "behind")
    found = await search.search(resources, shown, text, behind=behind, limit=ROWS)
    kept = file_rows.fitting(found.items, (one.path for one in found.items))
    more = kept[-1].path if len(kept) < len(found.items) else found.next
    return _Found(file_rows.matches(kept, places), more, b"", missing=False)


async def _folder(resources: Resources, request: Request, shown: Stack, places: Places) -> _Found:
    path = bytes_of(request, "path").strip(b"/")
    behind = bytes_of(request, "behind")
    try:
        path, found = await _listed(resources, shown, path, behind, places)
    except find.NotThere:
        return _Found([], None, path, missing=bool(path))
    kept = file_rows.fitting(found.items, (path + one.entry.name for one in found.items))
    more = kept[-1].entry.name if len(kept) < len(found.items) else found.next
    return _Found(file_rows.shown(kept, path, places), more, path, missing=False)


async def _listed(
    resources: Resources, shown: Stack, path: bytes, behind: bytes, places: Places
) -> tuple[bytes, browse.Page]:
    """A folder and its true path: /bin may be a link to /usr/bin. Raises NotThere."""
    for last in (False, True):
        try:
            return path, await browse.directory(
                *(resources, shown, path),
                behind=behind,
                limit=ROWS,
                changes_only=bool(places.layer) and places.only,
                removed=bool(places.layer),
            )
        except find.NotThere:
            if last or not path:
                raise
            path = (await find.find(resources, shown, path)).path
    raise AssertionError


def _sendable(path: bytes) -> str:
    """A path that a form can send: browsers send UTF-8."""
    try:
        return path.decode("utf-8")
    except UnicodeDecodeError:
        return ""


def _following(places: Places, found: _Found, text: str) -> str:
    if found.following is None:
        return ""
    return f"{_first(places, found, text)}&behind={quote_from_bytes(found.following)}"


def _first(places: Places, found: _Found, text: str) -> str:
    start = places.folder(found.folder).rstrip("&")
    return f"{start}&q={quote(text)}" if text else start
