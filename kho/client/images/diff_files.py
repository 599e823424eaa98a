"""Where the files of two images differ, of which the lowest layers may be the same and unread.

Both views have their lowest layer in common as `first`; what neither shows is the same in both.
What only one of them shows may be below in the other: then Unsure says that `first` is too high.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from kho.client.images.files import FileInfo
from kho.client.images.files_index import Parts
from kho.client.images.files_view import Node, Unsure, View
from kho.layers.tar import Kind


@dataclass(frozen=True, slots=True)
class FileChange:
    """One path: added without `before`, removed without `after`; else `what` has changed.

    `what` is of kind, mode, owner, size, content, link, device. Times do not count.
    """

    path: str
    before: FileInfo | None
    after: FileInfo | None
    what: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeChange:
    """The same, with the nodes that lead to the content."""

    parts: Parts
    before: Node | None
    after: Node | None
    what: tuple[str, ...]

    def file_change(self) -> FileChange:
        """For those who want no nodes."""
        infos = [FileInfo.of(self.parts, one) if one else None for one in self.nodes]
        return FileChange(FileInfo.of(self.parts, self.any).path, infos[0], infos[1], self.what)

    @property
    def nodes(self) -> tuple[Node | None, Node | None]:
        """Both."""
        return self.before, self.after

    @property
    def any(self) -> Node:
        """One of them."""
        found = self.after or self.before
        assert found is not None
        return found


def changes(before: View, after: View) -> Iterator[NodeChange]:
    """By path; raise Unsure where lower layers have to be known."""
    if before.first and (before.unsure or after.unsure):
        raise Unsure("an entry stands in a folder that only a lower layer describes")
    todo: list[tuple[Parts, Node | None, Node | None]] = [((), before.root, after.root)]
    while todo:
        path, old, new = todo.pop()
        what = _differences(old, new) if path else ()
        if what or old is None or new is None:
            yield NodeChange(path, old, new, what)
        names = {*((old and old.children) or ()), *((new and new.children) or ())}
        _same_below(old, new)
        pairs = [(name, _child(old, name), _child(new, name)) for name in names]
        pairs.sort(reverse=True, key=lambda pair: pair[0])
        todo += [((*path, name), one, two) for name, one, two in pairs if one or two]


def _same_below(old: Node | None, new: Node | None) -> None:
    """Raise Unsure where what no layer has named may be in one and not in the other."""
    hidden = [one is None or not one.is_folder or one.opaque for one in (old, new)]
    if hidden[0] != hidden[1]:
        raise Unsure("a folder hides what lower layers have in it, or not")


def _child(folder: Node | None, name: bytes) -> Node | None:
    if folder is None or folder.children is None:
        return None
    found = folder.children.get(name)
    if found is None and name not in folder.children and not folder.opaque:
        raise Unsure("a lower layer may have it")
    if found is not None and found.is_pending:
        raise Unsure("a lower layer has the file that it is a link to")
    return found


def _differences(old: Node | None, new: Node | None) -> tuple[str, ...]:
    """What of a path differs; nothing where one of them is not there."""
    if old is None or new is None or old.item is new.item:
        return ()
    one, two = FileInfo.of((), old), FileInfo.of((), new)
    if one.kind is not two.kind:
        return ("kind",)
    found = []
    # Links have no mode of their own.
    if one.mode != two.mode and one.kind is not Kind.SYMLINK:
        found.append("mode")
    if (one.uid, one.gid) != (two.uid, two.gid):
        found.append("owner")
    if one.size != two.size:
        found.append("size")
    if one.digest != two.digest:
        found.append("content")
    if one.link != two.link:
        found.append("link")
    if _device(old) != _device(new):
        found.append("device")
    return tuple(found)


def _device(node: Node) -> tuple[int, int]:
    if node.item is None or node.kind not in {Kind.CHARACTER, Kind.BLOCK}:
        return 0, 0
    return node.item.entry.major, node.item.entry.minor
