"""Rows of one directory in many layers, in windows of names.

    layer 1   | a … f | g … p | q … |        parts, each of at most 1,000 names
    layer 2   | b … k         | l … |
    windows   |      |.|.|....|          what all layers tell of some names

A directory of 100,000 files is never in memory as a whole.
"""

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from operator import attrgetter
from typing import Final, NamedTuple

from kho.server.database import layer_listings as rows
from kho.server.database.engine import Database
from kho.server.inspection.packed import Damaged, Entry, Kind, unpack

_LEVELS: Final = 32
_PARTS: Final = 64
# Names in memory, of all directories but the one that is being read.
_HELD: Final = 200_000
# Names of all layers in a window; of one layer there are at least some, so that one goes on: a
# layer may say two things of a name.
_WIDEST: Final = 4000
_FEWEST: Final = 4
# So many names are unpacked, then requests have their turn.
_AT_ONCE: Final = 4000
_FEW: Final = 20  # layers

_name = attrgetter("name")


class Window(NamedTuple):
    """Entries by the id of their layer, names from somewhere up to `until`, None being the end."""

    entries: dict[int, list[Entry]]
    until: bytes | None


class Level:
    """One directory. `opaque` has the layers that hide what is below them in it."""

    def __init__(self, directory: bytes) -> None:
        self.directory = directory
        self.firsts: dict[int, list[bytes]] = {}
        self.opaque: set[int] = set()
        self.held = 0
        self._parts: dict[tuple[int, bytes], list[Entry]] = {}

    async def read(self, heads: list[rows.Head]) -> None:
        """Take in what its layers have, the beginnings of the longer ones."""
        unpacked = 0
        for layer, first, packed in heads:
            self.firsts.setdefault(layer, []).append(first)
            if packed is not None:
                entries = _unpacked(packed)
                if entries and entries[0].kind is Kind.OPAQUE:
                    self.opaque.add(layer)
                self._keep(layer, first, entries)
                unpacked += len(entries)
                if unpacked > _AT_ONCE:
                    unpacked = 0
                    await asyncio.sleep(0)

    def _keep(self, layer: int, first: bytes, entries: list[Entry]) -> None:
        most = max(_PARTS, 2 * len(self.firsts))
        while len(self._parts) >= most:
            self.held -= len(self._parts.pop(next(iter(self._parts))))
        self._parts[layer, first] = entries
        self.held += len(entries)

    async def window(self, database: Database, start: bytes) -> Window:
        """The names from `start` on, as many as the shortest part has, or fewer of many layers."""
        chosen: list[tuple[int, bytes]] = []
        until: bytes | None = None
        for layer, firsts in self.firsts.items():
            at = bisect_right(firsts, start)
            chosen.append((layer, firsts[max(at - 1, 0)]))
            if at < len(firsts) and (until is None or firsts[at] < until):
                until = firsts[at]
        most = max(_FEWEST, _WIDEST // max(1, len(chosen)))
        found: dict[int, list[Entry]] = {}
        for number, (layer, first) in enumerate(chosen, 1):
            entries = await self._part(database, layer, first)
            begin = bisect_left(entries, start, key=_name)
            while begin < len(entries) and not entries[begin].name:
                begin += 1
            found[layer] = entries[begin : begin + most]
            if begin + most < len(entries):
                behind = entries[begin + most].name
                until = behind if until is None else min(until, behind)
            if number % _FEW == 0:
                await asyncio.sleep(0)
        if until is not None:
            found = {
                layer: entries[: bisect_left(entries, until, key=_name)]
                for layer, entries in found.items()
            }
        return Window(found, until)

    async def _part(self, database: Database, layer: int, first: bytes) -> list[Entry]:
        known = self._parts.get((layer, first))
        if known is None:
            packed = await database.read(rows.part, layer, self.directory, first)
            known = _unpacked(packed) if packed else []
            self._keep(layer, first, known)
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
            found = Level(directory)
            await found.read(heads)
            while self._known and (len(self._known) >= _LEVELS or self._held() > _HELD):
                del self._known[next(iter(self._known))]
            self._known[directory] = found
        return found

    def _held(self) -> int:
        return sum(one.held for one in self._known.values())

    async def window(self, directory: bytes, start: bytes) -> Window:
        """Some names of it, from `start` on."""
        return await (await self.level(directory)).window(self._database, start)


def _unpacked(packed: bytes) -> list[Entry]:
    """What a damaged row had is not shown: it can be listed again, and nothing depends on it."""
    try:
        return unpack(packed)
    except Damaged:
        return []
