"""Rows of files, ready for templates: a page has 200 of them, so what can be said once is."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, TypeVar
from urllib.parse import quote_from_bytes

from kho.server.index.files.browse import Shown
from kho.server.index.files.changes import Change
from kho.server.index.files.search import Match
from kho.server.index.files.squash import joined
from kho.server.inspection.packed import Entry, Kind
from kho.server.web.ui.formats import bytes_text, mode

T = TypeVar("T")

ROWS: Final = 200
# Of all names and addresses of a page: very long paths make fewer rows.
HEAVIEST: Final = 60_000
_NOTE: Final = 160
_SIZED: Final = frozenset({Kind.FILE, Kind.HARDLINK, Kind.DIRECTORY, Kind.IMPLIED})
_ICONS: Final = {Kind.DIRECTORY: "folder", Kind.IMPLIED: "folder", Kind.SYMLINK: "link"}


class Row(NamedTuple):
    """A name: `address` is where it leads, "" nowhere; `size` is None for what has none.

    `note` is where a link leads, `device` the numbers of one; `mark` what a layer did with it.
    """

    icon: str
    name: str
    address: str
    note: str
    device: str
    pipe: bool
    mark: str
    inside: bool
    size: int | None
    mode: str
    owner: str
    layer: int


class Places(NamedTuple):
    """Where folders and files are shown; `layer` is the one that marks tell of, 0 for none.

    `query` has what all addresses share: the platform, `&` at its end, or nothing.
    """

    itself: str
    query: str
    layer: int
    only: bool

    def folder(self, path: bytes, layer: int | None = None) -> str:
        """The page of a folder, as a query of the image's own."""
        only = "only=1&" if self.only and layer is None else ""
        where = f"path={quote_from_bytes(path)}" if path else ""
        return f"?view=files&{self.query}{self._layer(layer)}{only}{where}".rstrip("&")

    def file(self, path: bytes, layer: int | None = None) -> str:
        """The page of a file."""
        start = f"{self.itself}/-/file?{self.query}{self._layer(layer)}"
        return f"{start}path={quote_from_bytes(path)}"

    def _layer(self, layer: int | None) -> str:
        chosen = self.layer if layer is None else layer
        return f"layer={chosen}&" if chosen else ""


def shown(entries: Iterable[Shown], folder: bytes, places: Places) -> list[Row]:
    """Of a folder; what the layer removed leads to where it still was."""
    return [_shown(one, joined(folder, one.entry.name), places) for one in entries]


def _shown(one: Shown, path: bytes, places: Places) -> Row:
    marked = bool(places.layer)
    gone = one.change is Change.REMOVED
    mark = one.change.value if marked else ""
    inside = marked and not mark and one.is_touched and one.entry.kind.is_directory
    before = places.layer - 1 if gone and marked else None
    return _row(one.entry, bytes_text(one.entry.name), path, places, before)._replace(
        mark=mark, inside=inside, size=_size(one.entry, one.size), layer=one.layer + 1
    )


def matches(found: Iterable[Match], places: Places) -> list[Row]:
    """Of a search, by whole paths."""
    return [
        _row(one.node.entry, bytes_text(one.path), one.path, places, None)._replace(
            size=_size(one.node.entry, one.node.size), layer=one.node.layer + 1
        )
        for one in found
    ]


def _row(entry: Entry, name: str, path: bytes, places: Places, layer: int | None) -> Row:
    kind = entry.kind
    address = ""
    if kind.is_directory:
        address = places.folder(path, layer)
    elif kind in {Kind.FILE, Kind.HARDLINK, Kind.SYMLINK}:
        address = places.file(path, layer)
    linked = kind in {Kind.SYMLINK, Kind.HARDLINK}
    return Row(
        icon=_ICONS.get(kind, "file"),
        name=name + ("/" if kind.is_directory else ""),
        address=address,
        note=_cut(bytes_text(entry.link)) if linked else "",
        device=bytes_text(entry.link) if kind in {Kind.CHARACTER, Kind.BLOCK} else "",
        pipe=kind is Kind.FIFO,
        mark="",
        inside=False,
        size=None,
        mode=mode(entry),
        owner=f"{entry.uid}:{entry.gid}",
        layer=0,
    )


def _cut(text: str) -> str:
    return text if len(text) <= _NOTE else text[:_NOTE] + "…"


def _size(entry: Entry, size: int) -> int | None:
    return size if entry.kind in _SIZED else None


def fitting(items: Sequence[T], paths: Iterable[bytes]) -> Sequence[T]:
    """As many of them as one page may have, at least one."""
    weight = 0
    for count, path in enumerate(paths):
        # Once as it is, once or twice in addresses.
        weight += len(path) + 2 * len(quote_from_bytes(path))
        if count and weight > HEAVIEST:
            return items[:count]
    return items
