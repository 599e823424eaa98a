"""One directory of an image: of all its layers together, or what one of them has in it."""

from dataclasses import dataclass
from typing import Final

from kho.server.index.files.changes import Change, compared
from kho.server.index.files.find import NotThere, folder_of
from kho.server.index.files.levels import Levels
from kho.server.index.files.squash import Folder, Node, View
from kho.server.index.files.stack import Stack
from kho.server.inspection.packed import Entry
from kho.server.resources import Resources

MOST: Final = 1000


@dataclass(frozen=True, slots=True)
class Shown:
    """A name of a directory, and what the uppermost layer has done with it.

    `layer` is the position of the layer that it comes from, of what was removed that of the layer
    it came from. `is_touched` tells of a directory whether the uppermost layer has something in it.
    """

    entry: Entry
    layer: int
    change: Change
    is_touched: bool
    size: int


@dataclass(frozen=True, slots=True)
class Page:
    """Some names by their bytes; `next` is the last of them where more follow."""

    items: tuple[Shown, ...]
    next: bytes | None


@dataclass(frozen=True, slots=True)
class RawPage:
    """Entries of a layer as they are, with whiteouts; `next` as in `Page`."""

    items: tuple[Entry, ...]
    next: bytes | None
    # The layer hides what is below it in this directory.
    opaque: bool


async def directory(
    resources: Resources,
    stack: Stack,
    path: bytes = b"",
    *,
    behind: bytes = b"",
    limit: int = 200,
    changes_only: bool = False,
    removed: bool = True,
) -> Page:
    """Names behind `behind` of a directory of all layers together.

    With `removed` those, too, that the uppermost layer took away; with `changes_only` those that
    it has something to do with. Raises NotThere.
    """
    levels = Levels(resources.database, stack.ids)
    views = View(levels, stack.ids[:-1]), View(levels, stack.ids)
    folders = [await _folder(view, path) for view in views]
    if folders == [None, None]:
        raise NotThere(path)
    items: list[Shown] = []
    start: bytes | None = behind + b"\0" if behind else b""
    while start is not None and len(items) <= limit:
        level = await levels.level(path)
        window = await levels.window(path, start)
        before, after = (
            view.merged(folder, level, window) if folder else {}
            for view, folder in zip(views, folders, strict=True)
        )
        top = len(stack.layers) - 1
        for name in sorted(before.keys() | after.keys()):
            one = _shown(before.get(name), after.get(name), top)
            if one.change is Change.REMOVED and not removed:
                continue
            if not changes_only or one.change is not Change.NONE or one.is_touched:
                items.append(one)
        start = window.until
    more = start is not None or len(items) > limit
    shown = tuple(items[:limit])
    return Page(shown, shown[-1].entry.name if more and shown else None)


async def layer_directory(
    resources: Resources,
    stack: Stack,
    position: int,
    path: bytes = b"",
    *,
    behind: bytes = b"",
    limit: int = 200,
) -> RawPage:
    """What one layer alone has in a directory. Raises NotThere."""
    id_ = stack.layers[position].id
    levels = Levels(resources.database, [id_])
    level = await levels.level(path)
    if id_ is None or id_ not in level.firsts:
        raise NotThere(path)
    items: list[Entry] = []
    start: bytes | None = behind + b"\0" if behind else b""
    while start is not None and len(items) <= limit:
        window = await levels.window(path, start)
        items += window.entries.get(id_, [])
        start = window.until
    more = start is not None or len(items) > limit
    shown = tuple(items[:limit])
    return RawPage(shown, shown[-1].name if more and shown else None, bool(level.opaque))


async def _folder(view: View, path: bytes) -> Folder | None:
    return await folder_of(view, path) if view.ids else None


def _shown(before: Node | None, after: Node | None, top: int) -> Shown:
    node = after or before
    assert node is not None
    touched = after is not None and after.touched == top
    found = compared(b"", before, after)
    if found is not None:
        change = found.change
    elif touched and not node.is_directory:
        change = Change.MODIFIED  # put there again, be it the same
    else:
        change = Change.NONE
    return Shown(node.entry, node.layer, change, touched, node.size)
