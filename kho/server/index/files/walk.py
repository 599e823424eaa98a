"""Two stacks side by side, name by name, a directory before what is in it.

Directories that the same layers have made are the same on both sides, and are not looked into. So
two images with a common base cost what differs. One side may be missing: then it is a walk.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from typing import Final, NamedTuple

from kho.server.index.files.squash import ROOT, Folder, Hidden, Node, View, joined

# So many names, then requests have their turn.
_AT_ONCE: Final = 200


class Pair(NamedTuple):
    """A path, and what it is on both sides."""

    path: bytes
    left: Node | None
    right: Node | None


class _Frame:
    """One directory that is being gone through."""

    def __init__(self, path: bytes, sides: tuple[Folder | None, Folder | None]) -> None:
        self.path = path
        self.sides = sides
        self.rest: Iterator[tuple[bytes, Node | None, Node | None]] = iter(())
        self.start: bytes | None = b""
        # Components of the path after which one goes on.
        self.resume: tuple[bytes, ...] = ()


async def pairs(
    left: View | None,
    right: View | None,
    after: bytes = b"",
    *,
    hidden: list[tuple[bytes, Hidden]] | None = None,
) -> AsyncGenerator[Pair, None]:
    """All that is on one side or both, but for what is surely the same, by path and its components.

    Only what comes behind the path `after`. What is hidden of the right side is added to `hidden`.
    """
    views = left, right
    top = _Frame(b"", (ROOT if left else None, ROOT if right else None))
    _go_on(top, tuple(after.split(b"/")) if after else ())
    stack, count = [top], 0
    while stack:
        frame = stack[-1]
        found = next(frame.rest, None)
        if found is None:
            if frame.start is None:
                stack.pop()
            else:
                count += await _load(frame, views, hidden)
                if count > _AT_ONCE:
                    count = 0
                    await asyncio.sleep(0)
            continue
        name, one, other = found
        path = joined(frame.path, name)
        resumed = bool(frame.resume) and frame.resume[0] == name
        if not resumed:
            yield Pair(path, one, other)
        inner = _inner(frame, name, one, other)
        if inner is not None:
            if resumed:
                _go_on(inner, frame.resume[1:])
            stack.append(inner)


def _go_on(frame: _Frame, resume: tuple[bytes, ...]) -> None:
    frame.resume = resume
    if resume:
        frame.start = resume[0]


def _inner(frame: _Frame, name: bytes, one: Node | None, other: Node | None) -> _Frame | None:
    """A directory to look into, unless it is the same on both sides."""
    sides = [
        folder.inner(name, node) if folder and node and node.is_directory else None
        for folder, node in zip(frame.sides, (one, other), strict=True)
    ]
    if sides == [None, None]:
        return None
    if one and other and all(sides) and one.sources == other.sources:
        return None
    return _Frame(joined(frame.path, name), (sides[0], sides[1]))


async def _load(
    frame: _Frame,
    views: tuple[View | None, View | None],
    hidden: list[tuple[bytes, Hidden]] | None,
) -> int:
    """The next window of a directory, on both sides; how many names."""
    assert frame.start is not None
    levels = next(view for view in views if view is not None).levels
    level = await levels.level(frame.path)
    window = await levels.window(frame.path, frame.start)
    frame.start = window.until
    gone: list[Hidden] | None = None if hidden is None else []
    found: list[dict[bytes, Node]] = []
    for view, folder in zip(views, frame.sides, strict=True):
        there = view.merged(folder, level, window, gone) if view and folder else {}
        found.append(there)
    if hidden is not None and gone:
        hidden += [(joined(frame.path, one.name), one) for one in gone]
    names = sorted(found[0].keys() | found[1].keys())
    frame.rest = iter([(name, found[0].get(name), found[1].get(name)) for name in names])
    return len(names)
