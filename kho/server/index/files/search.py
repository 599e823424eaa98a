"""Names that contain some text, inside one image."""

from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from kho.server.index.files.levels import Levels
from kho.server.index.files.squash import Node, View
from kho.server.index.files.stack import Stack
from kho.server.index.files.walk import pairs
from kho.server.resources import Resources

VISITS: Final = 50_000


@dataclass(frozen=True, slots=True)
class Match:
    """A path whose last component has the text."""

    path: bytes
    node: Node


@dataclass(frozen=True, slots=True)
class Matches:
    """A page of them; `next` is the path behind which the following one begins."""

    items: tuple[Match, ...]
    next: bytes | None


async def search(
    resources: Resources, stack: Stack, text: str, *, behind: bytes = b"", limit: int = 200
) -> Matches:
    """Files and directories with `text` in their name, in any case, by path.

    Text with a slash is looked for in whole paths. A page may have few items and yet a next one.
    """
    wanted = text.encode("utf-8", "surrogateescape").lower()
    whole = b"/" in wanted
    view = View(Levels(resources.database, stack.ids), stack.ids)
    items: list[Match] = []
    visits = 0
    async with aclosing(pairs(None, view, behind)) as found:
        async for path, _, node in found:
            assert node is not None
            visits += 1
            if wanted in (b"/" + path if whole else node.entry.name).lower():
                items.append(Match(path, node))
            if len(items) >= limit or visits >= VISITS:
                return Matches(tuple(items), path)
    return Matches(tuple(items), None)
