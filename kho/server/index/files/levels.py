"""Rows of one directory in many layers, in windows of names.

    layer 1   | a … f | g … p | q … |        parts, each of at most 1,000 names
    layer 2   | b … k         | l … |
    windows   |      |.|.|....|          what all layers tell of some names

A directory of 100,000 files is never in memory as a whole.
"""

from bisect import bisect_right
from collections.abc import Iterable
from typing import Final, NamedTuple

from kho.server.database import layer_listings as rows
from kho.server.database.engine import Database
from kho.server.inspection.packed import Damaged, Entry, Kind, unpack

_LEVELS: Final = 32
_PARTS: Final = 64


class Window(NamedTuple):
    """Entries by the id of their layer, names from somewhere up to `until`, None being the end."""

    entries: dict[int, list[Entry]]
    until: bytes | None


class Level:
    """One directory. `opaque` has the layers that hide what is below them in it."""

    def __init__(self, directory: bytes, heads: list[rows.Head]) -> None:
        self.directory = directory
        self.firsts: dict[int, list[bytes]] = {}
        self.opaque: set[int] = set()
        self._parts: dict[tuple[int, bytes], list[Entry]] = {}
        for layer, first, packed in heads:
            self.firsts.setdefault(layer, []).append(first)
            if packed is not None:
                entries = self._parts[layer, first] = _unpacked(packed)
                if entries and entries[0].kind is Kind.OPAQUE:
                    self.opaque.add(layer)

    async def window(self, database: Database, start: bytes) -> Window:
        """The names from `start` on, as many as the shortest part has."""
        chosen: list[tuple[int, bytes]] = []
        until: bytes | None = None
        for layer, firsts in self.firsts.items():
            at = bisect_right(firsts, start)
            chosen.append((layer, firsts[max(at - 1, 0)]))
            if at < len(firsts) and (until is None or firsts[at] < until):
                until = firsts[at]
        found: dict[int, list[Entry]] = {}
        for layer, first in chosen:
            entries = await self._part(database, layer, first)
            found[layer] = [
                one
                for one in entries
                if start <= one.name and (until is None or one.name < until) and one.name
            ]
        return Window(found, until)

    async def _part(self, database: Database, layer: int, first: bytes) -> list[Entry]:
        known = self._parts.get((layer, first))
        if known is None:
            packed = await database.read(rows.part, layer, self.directory, first)
            if len(self._parts) >= _PARTS:
                self._parts.clear()
            known = self._parts[layer, first] = _unpacked(packed) if packed else []
        return known


class Levels:
    """Directories of some layers as they are asked for; the last few stay in memory."""

    def __init__(self, database: Database, ids: Iterable[int | None]) -> None:
        self._database = database
        self._ids = sorted({one for one in ids if one is not None})
        self._known: dict[bytes, Level] = {}

    async def level(self, directory: bytes) -> Level:
        """What the layers say of it, perhaps nothing."""
        found = self._known.get(directory)
        if found is None:
            heads = await self._database.read(rows.heads, self._ids, directory)
            if len(self._known) >= _LEVELS:
                del self._known[next(iter(self._known))]
            found = self._known[directory] = Level(directory, heads)
        return found

    async def window(self, directory: bytes, start: bytes) -> Window:
        """Some names of it, from `start` on."""
        return await (await self.level(directory)).window(self._database, start)


def _unpacked(packed: bytes) -> list[Entry]:
    """What a damaged row had is not shown: it can be listed again, and nothing depends on it."""
    try:
        return unpack(packed)
    except Damaged:
        return []
