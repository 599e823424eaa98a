"""One directory of layers on top of each other, as a container sees it.

From the lowest layer on: a whiteout takes a name away, then entries come, and of a directory that
was there before what is in it stays, unless the layer hides it. Paths are those of the layers: a
layer that puts `lib/x` where a lower one has a link `lib` shows a directory.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kho.server.index.files.levels import Level, Levels, Window
from kho.server.inspection.packed import Entry, Kind


@dataclass(frozen=True, slots=True)
class Node:
    """A name that is there.

    `layer` is the position of the layer that describes it, `sources` the ids of all whose entries
    are in it (of a directory) or whose it is. What lower layers than `floor` have in it is hidden.
    `size` of a directory is what these layers have below it, whether it is seen or not.
    """

    entry: Entry
    layer: int
    floor: int
    touched: int
    sources: tuple[int, ...]
    size: int

    @property
    def is_directory(self) -> bool:
        """Whether it can have entries."""
        return self.entry.kind.is_directory


@dataclass(frozen=True, slots=True)
class Hidden:
    """Bytes of lower layers that a layer takes away or replaces, and nobody sees."""

    name: bytes
    size: int
    layer: int


@dataclass(frozen=True, slots=True)
class Folder:
    """A directory: its path, and the lowest layer whose entries in it are seen."""

    path: bytes
    floor: int = 0

    def inner(self, name: bytes, node: Node) -> "Folder":
        """A directory in it."""
        return Folder(joined(self.path, name), node.floor)


ROOT = Folder(b"")


def joined(folder: bytes, name: bytes) -> bytes:
    """`usr` and `lib` to `usr/lib`; the root is empty."""
    return folder + b"/" + name if folder else name


class View:
    """The layers with these ids on top of each other."""

    def __init__(self, levels: Levels, ids: Sequence[int | None]) -> None:
        self.levels = levels
        self.ids = tuple(ids)

    async def some(self, folder: Folder, start: bytes) -> tuple[dict[bytes, Node], bytes | None]:
        """Names from `start` on, and where the next ones begin."""
        level = await self.levels.level(folder.path)
        window = await self.levels.window(folder.path, start)
        return self.merged(folder, level, window), window.until

    async def one(self, folder: Folder, name: bytes) -> Node | None:
        """What a name is."""
        found, _ = await self.some(folder, name)
        return found.get(name)

    def floor(self, folder: Folder, level: Level) -> int:
        """The lowest layer that is seen, with what the directory itself says of it."""
        hiding = [at for at, id_ in enumerate(self.ids) if id_ in level.opaque]
        return max([folder.floor, *hiding])

    def merged(
        self, folder: Folder, level: Level, window: Window, hidden: list[Hidden] | None = None
    ) -> dict[bytes, Node]:
        """The names of a window; what is taken away on the way is added to `hidden`."""
        found: dict[bytes, Node] = {}
        floor = self.floor(folder, level)
        if hidden is not None and floor > folder.floor:
            below = View(self.levels, self.ids[:floor]).merged(folder, level, window, hidden)
            for name, node in below.items():
                _hide(hidden, name, node, floor)
        for position in range(floor, len(self.ids)):
            id_ = self.ids[position]
            entries = window.entries.get(id_) if id_ is not None else None
            if not entries:
                continue
            assert id_ is not None
            for one in entries:
                if one.kind is Kind.WHITEOUT:
                    gone = found.pop(one.name, None)
                    _hide(hidden, one.name, gone, position)
            _put(found, entries, position, id_, hidden)
        return found


def _put(
    found: dict[bytes, Node],
    entries: Sequence[Entry],
    position: int,
    id_: int,
    hidden: list[Hidden] | None,
) -> None:
    """What one layer has on top of what was found so far."""
    for one in entries:
        if one.kind is Kind.WHITEOUT:
            continue
        before = found.get(one.name)
        node = Node(one, position, position, position, (id_,), one.size)
        if before is not None and before.is_directory and one.kind.is_directory:
            described = before if one.kind is Kind.IMPLIED else node
            node = replace(
                before,
                entry=described.entry,
                layer=described.layer,
                touched=position,
                sources=(*before.sources, id_),
                size=before.size + one.size,
            )
        else:
            _hide(hidden, one.name, before, position)
        found[one.name] = node


def _hide(hidden: list[Hidden] | None, name: bytes, gone: Node | None, layer: int) -> None:
    if hidden is not None and gone is not None and gone.size:
        hidden.append(Hidden(name, gone.size, layer))
