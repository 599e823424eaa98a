"""Files inside images: folders, names, what differs, what nobody sees, and their bytes."""

import re
from collections.abc import AsyncGenerator
from typing import Annotated, Final
from urllib.parse import quote

from msgspec import Meta

from kho.oci.digest import Digest
from kho.oci.errors import ManifestUnknown
from kho.server.index.errors import NotFound
from kho.server.index.files import browse, changes, find, search, stack, waste
from kho.server.index.files.stack import Stack
from kho.server.policy.access import Action
from kho.server.registry import members
from kho.server.registry.contents import image
from kho.server.resources import Resources
from kho.server.web.api.entries import (
    Difference,
    File,
    ShownFile,
    bytes_of,
    difference,
    file_of,
    shown,
    text_of,
)
from kho.server.web.api.images import Platform, Reference, two
from kho.server.web.api.operation import Call, Given, Operation, Told
from kho.server.web.api.paging import Listing, Paged, cursor, key_of
from kho.server.web.request import Request, StreamResponse

BYTES: Final = "application/octet-stream"
_UNSAFE: Final = re.compile(rb"[^A-Za-z0-9._+-]")

Path = Annotated[
    str,
    Meta(
        max_length=4096,
        description="usr/bin; what is not UTF-8 (and `%`) as %XX, beside what a URL escapes itself",
    ),
]


class WhichFolder(Paged, frozen=True):
    """Which folder, of the image or of its lowest `layers` layers.

    `changes`: only what the uppermost of these has something to do with.
    """

    path: Path = ""
    platform: Platform = ""
    layers: Annotated[int, Meta(ge=1, le=image.LAYERS)] | None = None
    changes: bool = False


class WhichFile(Given, frozen=True):
    """Which file, of the image or of its lowest `layers` layers."""

    path: Path
    platform: Platform = ""
    layers: Annotated[int, Meta(ge=1, le=image.LAYERS)] | None = None


class WhichNames(Paged, frozen=True):
    """Text in names, in any case; text with a slash is looked for in whole paths."""

    text: Annotated[str, Meta(min_length=1, max_length=255)]
    platform: Platform = ""


class WhichPlatform(Given, frozen=True):
    """Of an index: which platform."""

    platform: Platform = ""


class WhichTwoImages(Paged, frozen=True):
    """From which image to which."""

    a: Reference
    b: Reference
    platform: Platform = ""


class Folder(Told, frozen=True):
    """A page of a folder. `unlisted` layers are not known yet, or never will be: look again."""

    items: list[ShownFile]
    next: str | None
    unlisted: list["Unlisted"]


class Unlisted(Told, frozen=True):
    """A layer whose files are unknown: `state` is unasked, waiting, running, refused or absent."""

    digest: str
    state: str
    reason: str


class Wasted(Told, frozen=True):
    """A path that higher layers replaced or took away, and its bytes."""

    path: str
    size: int
    times: int


class Waste(Told, frozen=True):
    """`stored` bytes of files have all layers, `seen` of them a container."""

    stored: int
    seen: int
    worst: list[Wasted]
    complete: bool
    unlisted: list[Unlisted]


async def list_files(resources: Resources, call: Call[WhichFolder, None]) -> Folder:
    """As a container sees them. Layers that nobody has looked into are asked for."""
    query = call.query
    layers = await _stack(resources, call.request, query.platform, query.layers)
    path = bytes_of(query.path)
    try:
        found = await browse.directory(
            resources,
            layers,
            path,
            behind=_behind(query.after),
            limit=query.limit,
            changes_only=query.changes,
        )
    except find.NotThere:
        if not layers.unlisted:
            raise _not_there() from None
        found = browse.Page((), None)
    return Folder(
        items=[shown(path, one) for one in found.items],
        next=_cursor(found.next),
        unlisted=_unlisted(layers),
    )


async def find_files(resources: Resources, call: Call[WhichNames, None]) -> Listing[File]:
    """By path. A page may have few names, or none, and not be the last."""
    query = call.query
    layers = await _stack(resources, call.request, query.platform)
    found = await search.search(
        resources, layers, query.text, behind=_behind(query.after), limit=query.limit
    )
    return Listing([file_of(one.path, one.node) for one in found.items], _cursor(found.next))


async def show_waste(resources: Resources, call: Call[WhichPlatform, None]) -> Waste:
    """What is pulled and stored, and seen by no container."""
    layers = await _stack(resources, call.request, call.query.platform)
    found = await waste.efficiency(resources, layers)
    worst = [Wasted(path=text_of(one.path), size=one.size, times=one.times) for one in found.wasted]
    return Waste(
        stored=found.stored,
        seen=found.seen,
        worst=worst,
        complete=found.complete,
        unlisted=_unlisted(layers),
    )


async def compare_files(
    resources: Resources, call: Call[WhichTwoImages, None]
) -> Listing[Difference]:
    """By path. Times alone are no difference. A page may be empty and not be the last."""
    query = call.query
    stacks = [
        await _stack_of(resources, call.request, one, query.platform)
        for one in two(query.a, query.b)
    ]
    found = await changes.diff(
        resources, stacks[0], stacks[1], behind=_behind(query.after), limit=query.limit
    )
    return Listing([difference(one) for one in found.items], _cursor(found.next))


async def read_file(resources: Resources, call: Call[WhichFile, None]) -> StreamResponse:
    """Its bytes, never as anything that a browser would show. Links lead inside the image."""
    query = call.query
    layers = await _stack(resources, call.request, query.platform, query.layers)
    path = bytes_of(query.path)
    try:
        place = await find.content_of(resources, layers, path)
    except find.NotThere:
        raise _not_there() from None
    name = _UNSAFE.sub(b"_", path.rpartition(b"/")[2]).lstrip(b".")[:200] or b"file"
    headers = [
        (b"content-type", BYTES.encode("ascii")),
        (b"content-length", b"%d" % place.entry.size),
        (b"content-disposition", b'attachment; filename="%b"' % name),
        (b"content-security-policy", b"default-src 'none'; sandbox"),
        (b"x-content-type-options", b"nosniff"),
        (b"cache-control", b"no-store"),
    ]
    return StreamResponse(200, headers, _pieces(resources, call, place))


async def _pieces(
    resources: Resources, call: Call[WhichFile, None], place: find.Found
) -> AsyncGenerator[bytes, None]:
    async with members.member(
        *(resources, call.name, place.digest, place.entry.number), call.caller
    ) as content:
        if content is None or content.size != place.entry.size:
            raise ManifestUnknown("the layer does not hold this file as it was listed")
        async for piece in content.pieces:
            yield piece


async def _stack(
    resources: Resources, request: Request, platform: str, lowest: int | None = None
) -> Stack:
    layers = await _stack_of(resources, request, request.values.reference, platform)
    return layers if lowest is None else layers.below(lowest)


async def _stack_of(
    resources: Resources, request: Request, reference: Digest | str, platform: str
) -> Stack:
    """The layers of an image; those that nobody has looked into are asked for."""
    found = await image.find(
        resources,
        request.caller.principal,
        request.values.name,
        reference,
        platform=platform or None,
    )
    if found.detail is None or found.detail.nature != "image":
        raise ManifestUnknown("no image of this platform is here, so it has no files")
    digests = [Digest.parse(step.layer.digest) for step in found.detail.steps if step.layer]
    layers = await stack.stack_of(resources, request.values.name, digests, sparse=True)
    await stack.ensure(resources, layers)
    return layers


def _unlisted(layers: Stack) -> list[Unlisted]:
    return [
        Unlisted(digest=str(one.digest), state=one.state.value, reason=one.reason)
        for one in layers.unlisted
    ]


def _not_there() -> NotFound:
    return NotFound("the image has no such file or directory")


def _behind(after: str) -> bytes:
    return bytes_of(key_of(after, str) or "")


def _cursor(following: bytes | None) -> str | None:
    return None if following is None else cursor(quote(following))


_IMAGE: Final = "/repositories/{name}/-/images/{reference}"
OPERATIONS: Final = (
    Operation(
        id="listFiles",
        noun="files",
        method="GET",
        path=f"{_IMAGE}/files",
        action=Action.PULL,
        summary="List a folder of an image",
        function=list_files,
        query=WhichFolder,
        answer=Folder,
    ),
    Operation(
        id="findFiles",
        noun="files",
        method="GET",
        path=f"{_IMAGE}/found-files",
        action=Action.PULL,
        summary="Find names inside an image",
        function=find_files,
        query=WhichNames,
        answer=Listing[File],
    ),
    Operation(
        id="readFile",
        noun="files",
        method="GET",
        path=f"{_IMAGE}/file",
        action=Action.PULL,
        summary="Get one file of an image",
        function=read_file,
        query=WhichFile,
        media_types=(BYTES,),
    ),
    Operation(
        id="showWaste",
        noun="files",
        method="GET",
        path=f"{_IMAGE}/waste",
        action=Action.PULL,
        summary="Say which bytes of an image no container sees",
        function=show_waste,
        query=WhichPlatform,
        answer=Waste,
    ),
    Operation(
        id="compareFiles",
        noun="files",
        method="GET",
        path="/repositories/{name}/-/file-differences",
        action=Action.PULL,
        summary="Compare the files of two images",
        function=compare_files,
        query=WhichTwoImages,
        answer=Listing[Difference],
    ),
)
