"""Two images of a repository side by side, at an address that can be passed on."""

from typing import Final, NamedTuple
from urllib.parse import quote, quote_from_bytes, urlencode

from kho.oci.digest import Digest
from kho.oci.errors import ManifestUnknown, RegistryError
from kho.oci.reference import natural_key, parse_reference
from kho.server.index.files import changes, stack
from kho.server.index.files.changes import Changed
from kho.server.index.files.stack import Stack, State
from kho.server.inspection.packed import Kind
from kho.server.registry import manifests
from kho.server.registry.contents import comparison
from kho.server.registry.contents import image as images
from kho.server.registry.contents.comparison import Comparison, LayerChange
from kho.server.resources import Resources
from kho.server.web.request import Request, Response
from kho.server.web.ui import render
from kho.server.web.ui.formats import bytes_text
from kho.server.web.ui.images import file_rows, files
from kho.server.web.ui.images.file_rows import Places
from kho.server.web.ui.repositories import repository

ROWS: Final = 200
LONGEST: Final = 256
# More layers of both than this are folded.
FOLDED: Final = 6
_CONTENT: Final = frozenset({Kind.FILE, Kind.HARDLINK, Kind.SYMLINK})


class Row(NamedTuple):
    """A path that differs; sizes are of files, None for what has none."""

    path: str
    address: str
    change: str
    what: tuple[str, ...]
    before: int | None
    after: int | None
    growth: int


class Listed(NamedTuple):
    """What differs in files, and what is not known of them; `able`: both are images."""

    rows: list[Row]
    following: bytes | None
    waiting: int
    refused: int
    able: bool


async def page(resources: Resources, request: Request) -> Response:
    """`a` is before, `b` after; also as two `tag`, as the list of tags asks."""
    a, b = _sides(request)
    platform = request.query("platform") or None
    found: Comparison | None = None
    wrong: RegistryError | None = None
    unknown = ""
    if a and b:
        try:
            unknown = await _unknown(resources, request, a, b)
            if not unknown:
                one, other = parse_reference(a), parse_reference(b)
                found = await comparison.compare(
                    resources, request.values.name, one, other, platform=platform
                )
        except RegistryError as error:
            if error.status not in (400, 404):
                raise
            wrong = error
    given = query_of(a, b, platform)
    listed = _NOTHING
    if found:
        listed = await _files(resources, request, found, given)
    following = listed.following
    layers = found.layers if found else ()
    return await render.page(
        *(resources, request, "diff.html"),
        status=404 if wrong or unknown else 200,
        shared=repository.frame(request, "tags"),
        a=a,
        b=b,
        platform=platform or "",
        comparison=found,
        layers=_unshared(layers),
        folded=_folded(layers),
        listed=listed,
        turned=query_of(b, a, platform),
        following=f"{given}&behind={quote_from_bytes(following)}" if following else "",
        first=given if request.query("behind") else "",
        addresses=[_address(request, one) for one in (a, b)],
        wrong=wrong,
        unknown=unknown,
    )


_NOTHING: Final = Listed([], None, 0, 0, able=False)


async def _unknown(resources: Resources, request: Request, *sides: str) -> str:
    """Which of both is not there, "" for none. Raises TagInvalid and such."""
    for one in sides:
        try:
            await manifests.find(resources, request.values.name, parse_reference(one))
        except ManifestUnknown:
            return one
    return ""


def references(request: Request) -> tuple[Digest | str, Digest | str]:
    """What is compared. Raises TagInvalid or DigestInvalid."""
    a, b = _sides(request)
    return parse_reference(a), parse_reference(b)


def query_of(a: str, b: str, platform: str | None) -> str:
    """The query of a comparison."""
    return "?" + urlencode({"a": a, "b": b, **({"platform": platform} if platform else {})})


def _sides(request: Request) -> tuple[str, str]:
    # Of two that were ticked in a list, whatever its order, 1.9 is before 1.10.
    tags = [*sorted(request.query_all("tag")[:2], key=natural_key), "", ""]
    a = (request.query("a") or tags[0]).strip()[:LONGEST]
    b = (request.query("b") or tags[1]).strip()[:LONGEST]
    return a, b


def _address(request: Request, reference: str) -> str:
    mark = "@" if ":" in reference else ":"
    return f"{repository.address_of(request)}{mark}{quote(reference, safe=':')}"


def _unshared(layers: tuple[LayerChange, ...]) -> list[LayerChange]:
    """Those that are shown at once: all, unless many are in both."""
    folded = _folded(layers)
    return [one for one in layers if not folded or one.where != "both"]


def _folded(layers: tuple[LayerChange, ...]) -> list[LayerChange]:
    both = [one for one in layers if one.where == "both"]
    return both if len(both) > FOLDED else []


async def _files(resources: Resources, request: Request, found: Comparison, given: str) -> Listed:
    """What differs, and how many layers are still to be listed."""
    name = request.values.name
    try:
        one = await stack_of(resources, name, found.a.image)
        other = await stack_of(resources, name, found.b.image)
    except ManifestUnknown:
        return _NOTHING
    unlisted = {layer.digest: layer for layer in (*one.unlisted, *other.unlisted)}
    for layers in (one, other):
        await stack.ensure(resources, layers)
    behind = files.bytes_of(request, "behind")
    differing = await changes.diff(resources, one, other, behind=behind, limit=ROWS)
    items = file_rows.fitting(differing.items, (item.path for item in differing.items))
    more = items[-1].path if len(items) < len(differing.items) else differing.next
    places = [
        Places(f"{repository.address_of(request)}@{side.image}", "", 0, only=False)
        for side in (found.a, found.b)
    ]
    pair = f"{repository.address_of(request)}/-/diff/file{given}"
    return Listed(
        [_row(item, pair, *places) for item in items],
        more,
        sum(layer.is_coming for layer in unlisted.values()),
        sum(layer.state in {State.REFUSED, State.ABSENT} for layer in unlisted.values()),
        able=True,
    )


async def stack_of(resources: Resources, name: str, digest: str) -> Stack:
    """The layers of an image. Raises ManifestUnknown, also for what is none."""
    if not digest:
        raise ManifestUnknown("the image is not here")
    layers = await images.layers_of(resources, name, Digest.parse(digest), None)
    return await stack.stack_of(resources, name, layers, sparse=True)


def _row(item: Changed, pair: str, before: Places, after: Places) -> Row:
    sizes = [
        node.entry.size if node is not None and node.entry.kind is Kind.FILE else None
        for node in (item.before, item.after)
    ]
    nodes = [node for node in (item.before, item.after) if node is not None]
    folder = nodes[-1].is_directory
    address = ""
    if len(nodes) == 1 and nodes[0].entry.kind in _CONTENT:
        address = (before if item.before else after).file(item.path)
    elif len(nodes) == 2 and any(node.entry.kind in _CONTENT for node in nodes):  # noqa: PLR2004
        address = f"{pair}&path={quote_from_bytes(item.path)}"
    return Row(
        bytes_text(item.path) + ("/" if folder else ""),
        address,
        item.change.value,
        item.what,
        sizes[0],
        sizes[1],
        item.growth,
    )
