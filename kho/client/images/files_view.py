"""Layers put on top of each other, as far as they are known: the files of an image, no content.

A view may lack the lowest layers. Then what it does not show may still be below:

    children[name] is a Node    it is there, unless the node is only a way to others (no `item`)
    children[name] is None      it is not there: an upper layer took it away
    name is missing             not there in an opaque folder, else unsure: lower layers know
"""

from collections.abc import Iterator, Sequence
from typing import Final, Self

from kho.client.errors import ClientError
from kho.client.images.files_index import ENTRIES, Item, LayerIndex, Parts
from kho.layers.errors import LayerRefused, shown
from kho.layers.names import OPAQUE, components
from kho.layers.tar import Kind

LINKS: Final = 40


class Unsure(ClientError):
    """Lower layers must be read to know."""


class LoopingLinks(ClientError):
    """Symbolic links that lead to each other."""


class Node:
    """One name; hard links share `item` and `layer`, which say where the content is."""

    __slots__ = ("children", "item", "layer", "linked", "opaque", "parent", "touched")

    def __init__(self, parent: Self | None, item: Item | None, layer: int) -> None:
        self.parent: Node = parent if parent is not None else self
        self.item = item
        self.layer = layer
        # Of folders alone.
        self.children: dict[bytes, Node | None] | None = None
        self.opaque = False
        # The last layer that put something into it.
        self.touched = layer
        # A hard link; without `item` its file is in a lower layer.
        self.linked = False

    @property
    def is_folder(self) -> bool:
        """Whether it has entries, or might."""
        return self.children is not None

    @property
    def is_pending(self) -> bool:
        """Whether it is a hard link to what only a lower layer has."""
        return self.item is None and self.linked

    @property
    def kind(self) -> Kind:
        """What it is; a folder that no layer describes is one all the same."""
        return Kind.DIRECTORY if self.item is None else self.item.entry.kind


class View:
    """The files of some layers, `first` being the number of the lowest of them."""

    def __init__(self, layers: Sequence[LayerIndex], first: int = 0) -> None:
        self.first = first
        # Whether an entry stands in a folder that only a lower layer describes: a link, perhaps.
        self.unsure = False
        self.root = _folder(Node(None, None, first), opaque=first == 0)
        self._count = 0
        for number, layer in enumerate(layers, first):
            for item in layer.items:
                try:
                    self._apply(item, number)
                except LayerRefused as error:
                    raise LayerRefused(f"{shown(item.entry.path)}: {error}") from None

    # Looking

    def find(self, path: Parts, *, follow: bool = True) -> Node | None:
        """What a path leads to inside the image; links in its last component only if `follow`.

        Raises Unsure, LoopingLinks.
        """
        at, todo, links = self.root, list(reversed(path)), 0
        while todo:
            name = todo.pop()
            if name in {b"", b"."} or not at.is_folder:
                if at.is_folder:
                    continue
                return None
            if name == b"..":
                at = at.parent
                continue
            child = self._child(at, name)
            if child is None:
                return None
            if child.kind is Kind.SYMLINK and (todo or follow):
                assert child.item is not None
                links += 1
                if links > LINKS:
                    raise LoopingLinks(f"/{shown(b'/'.join(path))}: links lead in circles")
                target = child.item.entry.link
                at = self.root if target.startswith(b"/") else at
                todo += reversed(target.split(b"/"))
                continue
            at = child
        return at

    def _child(self, folder: Node, name: bytes) -> Node | None:
        assert folder.children is not None
        child = folder.children.get(name)
        if child is None:
            if name not in folder.children and not folder.opaque:
                raise Unsure("a lower layer may have it")
            return None
        if child.is_pending or (child.item is None and self.first and not child.opaque):
            raise Unsure("only a lower layer describes it")
        return child

    def walk(self, start: Node | None = None, above: Parts = ()) -> Iterator[tuple[Parts, Node]]:
        """Everything below a folder, itself left out: by name, a folder before what is in it."""
        todo: list[tuple[Parts, Node]] = [(above, start or self.root)]
        while todo:
            path, node = todo.pop()
            if path != above:
                yield path, node
            if node.children:
                known = sorted(node.children.items(), reverse=True)
                todo += [((*path, name), child) for name, child in known if child is not None]

    def entries(self, folder: Node) -> Sequence[tuple[bytes, Node]]:
        """What a folder has in it, by name."""
        known = sorted((folder.children or {}).items())
        return [(name, child) for name, child in known if child is not None]

    # Making

    def _apply(self, item: Item, layer: int) -> None:
        if item.gone is not None:
            self._white_out(item, layer)
            return
        if not item.path:
            if item.entry.kind is not Kind.DIRECTORY:
                raise LayerRefused(f"the root cannot be a {item.entry.kind.value}")
            self.root.item, self.root.layer = item, layer
            return
        self._count += 1
        if self._count > ENTRIES:
            raise LayerRefused(f"the image has more than {ENTRIES} entries")
        folder = self._way(item.path[:-1], layer)
        assert folder is not None
        name = item.path[-1]
        if item.entry.kind is Kind.DIRECTORY:
            self._put_folder(folder, name, item, layer)
        elif item.entry.kind is Kind.HARDLINK:
            self._put(folder, name, self._linked(folder, item, layer))
        else:
            self._put(folder, name, Node(folder, item, layer))

    def _put(self, folder: Node, name: bytes, node: Node) -> None:
        assert folder.children is not None
        folder.children[name] = node
        at = folder
        while at.touched != node.touched:
            at.touched = node.touched
            at = at.parent

    def _put_folder(self, folder: Node, name: bytes, item: Item, layer: int) -> None:
        assert folder.children is not None
        there = folder.children.get(name)
        if there is not None and there.is_folder:
            there.item, there.layer = item, layer
            there.touched = layer
            self._put(folder, name, there)
            return
        hides = name in folder.children or folder.opaque
        self._put(folder, name, _folder(Node(folder, item, layer), opaque=hides))

    def _linked(self, folder: Node, item: Item, layer: int) -> Node:
        """A node that shares the content of another."""
        made = Node(folder, None, layer)
        made.linked = True
        parts = components(item.entry.link)
        try:
            target = self.find(parts, follow=False)
        except Unsure:
            return made
        except LoopingLinks as error:
            raise LayerRefused(f"a hard link: {error}") from None
        if target is None or target.is_folder:
            raise LayerRefused(f"a hard link to {shown(item.entry.link)}, which is no file")
        made.item, made.layer, target.linked = target.item, target.layer, True
        return made

    def _way(self, path: Parts, layer: int, *, make: bool = True) -> Node | None:
        """The folder of a path, links followed; folders that are missing are made, or None."""
        at, todo, links = self.root, list(reversed(path)), 0
        while todo:
            name = todo.pop()
            assert at.children is not None
            child = at.children.get(name)
            if name in {b"", b"."}:
                continue
            if name == b"..":
                at = at.parent
            elif child is None or child.is_pending:
                made = self._missing(at, name, layer, make=make)
                if made is None:
                    return None
                at = made
            elif child.is_folder:
                at = child
            elif child.kind is Kind.SYMLINK and child.item is not None:
                links += 1
                if links > LINKS:
                    raise LayerRefused("too many symbolic links")
                target = child.item.entry.link
                at = self.root if target.startswith(b"/") else at
                todo += reversed(target.split(b"/"))
            elif make:
                raise LayerRefused(f"{shown(name)} is no folder, yet has entries")
            else:
                return None
        return at

    def _missing(self, folder: Node, name: bytes, layer: int, *, make: bool) -> Node | None:
        """A folder on the way to something, of which only lower layers may know more."""
        assert folder.children is not None
        if folder.children.get(name) is not None:
            self.unsure = True  # and so nobody looks at what is put there
            return _folder(Node(folder, None, layer), opaque=False)
        surely_not = name in folder.children or folder.opaque
        if surely_not and not make:
            return None
        self.unsure = self.unsure or not surely_not
        made = _folder(Node(folder, None, layer), opaque=surely_not)
        self._put(folder, name, made)
        return made

    def _white_out(self, item: Item, layer: int) -> None:
        folder = self._way(item.path, layer, make=False)
        if folder is None:
            return
        if item.gone is OPAQUE:
            self._hide(folder, layer)
            return
        assert isinstance(item.gone, bytes)
        assert folder.children is not None
        child = folder.children.get(item.gone)
        if child is None or child.touched != layer:
            folder.children[item.gone] = None
        elif child.is_folder:
            _forget(child, layer)
            self._hide(child, layer)

    def _hide(self, folder: Node, layer: int) -> None:
        """Take away what lower layers have in a folder."""
        todo = [folder]
        while todo:
            one = todo.pop()
            one.opaque = True
            for name, child in list((one.children or {}).items()):
                if child is None or child.touched != layer:
                    assert one.children is not None
                    one.children[name] = None
                elif child.is_folder:
                    _forget(child, layer)
                    todo.append(child)


def _forget(folder: Node, layer: int) -> None:
    """What lower layers said of a folder is whited out, too."""
    if folder.layer != layer:
        folder.item, folder.layer = None, layer


def _folder(node: Node, *, opaque: bool) -> Node:
    node.children, node.opaque = {}, opaque
    return node
