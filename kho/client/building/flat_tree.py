"""What layers make together, by their headers alone: which entry is where at the end.

    layer 1: a, b ═ a      a ─┐
    layer 2: a (new)          └─► node of layer 1 ◄─ b       a ─► node of layer 2

A name points at a node, as in a file system: a hard link is a second name for it. So what a link
means does not change when its first name is replaced or deleted above.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from kho.layers.errors import LayerRefused, shown
from kho.layers.names import METADATA, OPAQUE, components, is_metadata, whiteout
from kho.layers.tar_header import Entry, Kind

_HOPS: Final = 40
_FOLDER_MODE: Final = 0o755

Path = tuple[bytes, ...]
Place = tuple[int, int]
"""Which layer, and which of its entries."""


class Node:
    """A file or folder; `children` is None for what is no folder."""

    __slots__ = ("children", "entry", "place")

    def __init__(
        self, entry: Entry | None, place: Place | None, children: "dict[bytes, Node] | None"
    ) -> None:
        self.entry = entry
        self.place = place
        self.children = children


class FlatTree:
    """Layers put on one another, lowest first."""

    def __init__(self) -> None:
        self._root = Node(None, None, {})

    def apply(self, number: int, entries: Sequence[Entry]) -> None:
        """Put a layer on top; LayerRefused for what no file system could have.

        Whiteouts are of the layers below, wherever they stand in this one.
        """
        paths = [components(one.path) for one in entries]
        for path in paths:
            self._remove(path)
        for index, (entry, path) in enumerate(zip(entries, paths, strict=True)):
            if is_metadata(path) or (path and whiteout(path[-1]) is not None):
                continue
            try:
                self._put(entry, path, (number, index))
            except LayerRefused as error:
                raise LayerRefused(f"{shown(entry.path)}: {error}") from None

    def _remove(self, path: Path) -> None:
        found = None if is_metadata(path) or not path else whiteout(path[-1])
        if found is None or found is METADATA:
            return
        parent = self._folder(path[:-1], make=False)
        if parent is None or parent.children is None:
            return
        if found is OPAQUE:
            parent.children.clear()
        elif isinstance(found, bytes):
            parent.children.pop(found, None)

    def _put(self, entry: Entry, path: Path, place: Place) -> None:
        if not path:
            if entry.kind is not Kind.DIRECTORY:
                raise LayerRefused("the root is a folder")
            self._root.entry, self._root.place = entry, place
            return
        parent = self._folder(path[:-1], make=True)
        assert parent is not None
        assert parent.children is not None
        name = path[-1]
        there = parent.children.get(name)
        if entry.kind is Kind.HARDLINK:
            parent.children[name] = self._linked(entry)
        elif entry.kind is not Kind.DIRECTORY:
            parent.children[name] = Node(entry, place, None)
        elif there is not None and there.children is not None:
            there.entry, there.place = entry, place
        else:
            parent.children[name] = Node(entry, place, {})

    def _linked(self, entry: Entry) -> Node:
        """What a hard link is another name of."""
        path = components(entry.link)
        parent = self._folder(path[:-1], make=False) if path else None
        found = None if parent is None or parent.children is None else parent.children.get(path[-1])
        if found is None:
            raise LayerRefused(f"a hard link to {shown(entry.link)}, which is not there")
        if found.children is not None:
            raise LayerRefused(f"a hard link to the folder {shown(entry.link)}")
        return found

    def _folder(self, path: Path, *, make: bool) -> Node | None:
        """The folder of a path, symbolic links in it followed inside the root; None if missing."""
        stack, todo, hops = [self._root], list(reversed(path)), 0
        while todo:
            name = todo.pop()
            if name in (b"", b".", b".."):
                if name == b".." and len(stack) > 1:
                    stack.pop()
                continue
            node = _below(stack[-1], name, make=make)
            link = b"" if node is None or node.entry is None else node.entry.link
            if node is None or (node.children is None and not link and not make):
                return None
            if link:
                hops += 1
                if hops > _HOPS:
                    raise LayerRefused(f"{shown(name)}: symbolic links in a circle")
                if link.startswith(b"/"):
                    del stack[1:]
                todo.extend(reversed(link.split(b"/")))
            elif node.children is None:
                raise LayerRefused(f"{shown(name)} is no folder, yet something is in it")
            else:
                stack.append(node)
        return stack[-1]

    # What there is at the end

    def folders(self) -> Iterator[Entry]:
        """Folders, each before what it holds; one that no layer tells of is as usual."""
        for path, node in self._walk():
            if node.children is None:
                continue
            told = node.entry
            if not path and told is None:
                continue
            yield Entry(
                b"/".join(path) + b"/" if path else b"./",
                Kind.DIRECTORY,
                _FOLDER_MODE if told is None else told.mode,
                0 if told is None else told.uid,
                0 if told is None else told.gid,
                0,
                0 if told is None else told.mtime_ns,
                xattrs={} if told is None else told.xattrs,
            )

    def files(self) -> dict[int, dict[int, list[bytes]]]:
        """All names of what is no folder, by layer and by entry."""
        found: dict[int, dict[int, list[bytes]]] = {}
        for path, node in self._walk():
            if node.children is None and node.place is not None:
                number, index = node.place
                found.setdefault(number, {}).setdefault(index, []).append(b"/".join(path))
        return found

    def _walk(self) -> Iterator[tuple[Path, Node]]:
        """Everything, in the order of names; without recursion, as paths may be deep."""
        todo: list[tuple[Path, Node]] = [((), self._root)]
        while todo:
            path, node = todo.pop()
            yield path, node
            if node.children is not None:
                todo += [
                    ((*path, name), node.children[name])
                    for name in sorted(node.children, reverse=True)
                ]


def _below(folder: Node, name: bytes, *, make: bool) -> Node | None:
    """What has the name in a folder; a new folder where nothing has."""
    children = folder.children
    assert children is not None
    found = children.get(name)
    if found is None and make:
        found = children[name] = Node(None, None, {})
    return found
