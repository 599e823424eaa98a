"""Bytes of files that are pulled and stored, and that no container sees."""

import asyncio
import heapq
from collections import Counter
from collections.abc import Hashable
from contextlib import aclosing
from dataclasses import dataclass
from itertools import islice
from typing import Final

from kho.server.index.files.levels import Levels
from kho.server.index.files.squash import Hidden, View
from kho.server.index.files.stack import Stack
from kho.server.index.files.walk import pairs
from kho.server.inspection.packed import Kind
from kho.server.resources import Resources

MOST: Final = 20
VISITS: Final = 500_000
_KEPT: Final = 64
_AT_ONCE: Final = 5000


@dataclass(frozen=True, slots=True)
class Wasted:
    """A path that a higher layer replaced or took away, `times` over, with these bytes in all."""

    path: bytes
    size: int
    times: int


@dataclass(frozen=True, slots=True)
class Efficiency:
    """`stored` bytes of files have all layers, `seen` a container; the worst paths come first."""

    stored: int
    seen: int
    wasted: tuple[Wasted, ...]
    # False when there was too much to look at: the list has what was found so far.
    complete: bool

    @property
    def wasted_size(self) -> int:
        """Bytes that nobody sees."""
        return self.stored - self.seen

    @property
    def ratio(self) -> float:
        """The part that a container sees, 1.0 is all."""
        return self.seen / self.stored if self.stored else 1.0


class _Kept:
    """What was found lately: the layers are their key, and never change."""

    def __init__(self) -> None:
        self.known: dict[Hashable, Efficiency] = {}


def known(resources: Resources, stack: Stack) -> Efficiency | None:
    """What was found lately, if somebody has asked."""
    return resources.memory.keep(_Kept).known.get(stack.ids)


async def efficiency(resources: Resources, stack: Stack) -> Efficiency:
    """How much of the layers is seen; what is not listed counts as nothing."""
    kept = resources.memory.keep(_Kept).known
    found = kept.get(stack.ids)
    if found is None:
        found = await _looked(resources, stack)
        if len(kept) >= _KEPT:
            del kept[next(iter(kept))]
        kept[stack.ids] = found
    return found


async def _looked(resources: Resources, stack: Stack) -> Efficiency:
    view = View(Levels(resources.database, stack.ids), stack.ids)
    hidden: list[tuple[bytes, Hidden]] = []
    seen = visits = 0
    complete = True
    async with aclosing(pairs(None, view, hidden=hidden)) as found:
        async for _, _, node in found:
            visits += 1
            if node is not None and node.entry.kind is Kind.FILE:
                seen += node.entry.size
            if visits >= VISITS:
                complete = False
                break
    stored = sum(one.total_size for one in stack.layers)
    if not complete:
        seen = stored - sum(one.size for _, one in hidden)
    return Efficiency(stored, seen, await _worst(hidden), complete)


async def _worst(hidden: list[tuple[bytes, Hidden]]) -> tuple[Wasted, ...]:
    """What wastes most; half a million of them are counted a few at a time."""
    sizes: Counter[bytes] = Counter()
    times: Counter[bytes] = Counter()
    for number, (path, one) in enumerate(hidden):
        sizes[path] += one.size
        times[path] += 1
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)
    worst: list[tuple[bytes, int]] = []
    items = iter(sizes.items())
    while some := [*islice(items, _AT_ONCE)]:
        worst = heapq.nsmallest(MOST, [*worst, *some], key=lambda item: (-item[1], item[0]))
        await asyncio.sleep(0)
    return tuple(Wasted(path, size, times[path]) for path, size in worst)
