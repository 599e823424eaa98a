"""What a path of an image leads to, without ever leaving the image."""

from dataclasses import dataclass
from typing import Final

from kho.layers.errors import LayerRefused
from kho.layers.names import components
from kho.oci.digest import Digest
from kho.server.index.files.levels import Levels
from kho.server.index.files.squash import ROOT, Folder, Node, View
from kho.server.index.files.stack import Stack
from kho.server.inspection.packed import Entry, Kind
from kho.server.resources import Resources

LINKS: Final = 40


class NotThere(Exception):
    """The image has no such file or directory; the argument is the path."""


@dataclass(frozen=True, slots=True)
class Found:
    """An entry: of which layer by position and digest, and its path with all links followed."""

    path: bytes
    entry: Entry
    layer: int
    digest: Digest


async def find(resources: Resources, stack: Stack, path: bytes, *, follow: bool = True) -> Found:
    """The entry of a path; symbolic links lead inside the image, the last only with `follow`.

    Raises NotThere, also for links that lead in circles.
    """
    view = View(Levels(resources.database, stack.ids), stack.ids)
    place = await _way(view, path, follow=follow)
    if place is None:
        raise NotThere(path)
    where, node = place
    return _found(stack, where, node)


async def content_of(resources: Resources, stack: Stack, path: bytes) -> Found:
    """The member whose bytes are those of the file: hard links are followed, too.

    Its `layer` and `entry.number` say which one. Raises NotThere where no file is.
    """
    found = await find(resources, stack, path)
    for _ in range(LINKS):
        if found.entry.kind is not Kind.HARDLINK:
            break
        below = stack.below(found.layer + 1)
        try:
            parts = components(found.entry.link)
        except LayerRefused:
            raise NotThere(path) from None
        target = await find(resources, below, b"/".join(parts), follow=False)
        if target.path == found.path:
            break
        found = target
    if found.entry.kind is not Kind.FILE or found.entry.number < 0:
        raise NotThere(path)
    return found


async def folder_of(view: View, path: bytes) -> Folder | None:
    """A directory as the layers name it; None when it is not there."""
    folder = ROOT
    for name in path.split(b"/") if path else ():
        node = await view.one(folder, name)
        if node is None or not node.is_directory:
            return None
        folder = folder.inner(name, node)
    return folder


def _found(stack: Stack, path: bytes, node: Node) -> Found:
    return Found(path, node.entry, node.layer, stack.layers[node.layer].digest)


async def _way(view: View, path: bytes, *, follow: bool) -> tuple[bytes, Node] | None:
    """The place of a path and what is there; None for the root and for what is not there."""
    todo, links = path.split(b"/")[::-1], 0
    way: list[tuple[Folder, Node | None]] = [(ROOT, None)]
    while todo:
        name = todo.pop()
        if name in {b"", b"."}:
            continue
        if name == b"..":
            way = way[:-1] or way[:1]
            continue
        folder, above = way[-1]
        node = await view.one(folder, name) if above is None or above.is_directory else None
        if node is None:
            return None
        if node.entry.kind is Kind.SYMLINK and (follow or any(todo)):
            links += 1
            if links > LINKS:
                return None
            target = node.entry.link
            way = way[:1] if target.startswith(b"/") else way
            todo += target.split(b"/")[::-1]
        else:
            way.append((folder.inner(name, node), node))
    folder, last = way[-1]
    return None if last is None else (folder.path, last)
