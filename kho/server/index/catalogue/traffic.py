"""Pulls, pushes and sizes of a repository or of one of its tags, day by day."""

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from kho.server.database import profiles as rows
from kho.server.database.engine import Transaction
from kho.server.index.catalogue import paging
from kho.server.resources import Resources

MOST_DAYS: Final = 400
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Day(msgspec.Struct, frozen=True):
    """A day of UTC as YYYY-MM-DD; `size` in bytes at its end, None where that is not known."""

    day: str
    pulls: int
    pushes: int
    size: int | None


class Series(msgspec.Struct, frozen=True):
    """Every day to today, the oldest first."""

    days: tuple[Day, ...]
    pulls: int
    pushes: int


async def series(resources: Resources, repository: str, *, tag: str = "", days: int = 30) -> Series:
    """Of the repository, or of one tag; raise NameUnknown.

    The size of a repository is that of what is there now: what was deleted is not in it.
    """
    wanted = max(1, min(days, MOST_DAYS))
    return await resources.database.read(_series, repository, tag, wanted)


async def _series(tx: Transaction, repository: str, tag: str, count: int) -> Series:
    repository_id = await paging.repository_id(tx, repository)
    today = await rows.today(tx)
    first = today - count + 1
    known = {day.day: day for day in await rows.days(tx, repository_id, tag, first - 1)}
    if tag:
        moves = await rows.tag_sizes(tx, repository_id, tag)
    else:
        moves = await rows.growth(tx, repository_id)
    sizes = _sizes(moves, first, today, added=not tag)
    found = [
        Day(_text(day), of.pulls, of.pushes, size)
        for day, size in zip(range(first, today + 1), sizes, strict=True)
        for of in (known.get(day, rows.Day(day, 0, 0)),)
    ]
    return Series(tuple(found), sum(day.pulls for day in found), sum(day.pushes for day in found))


def _sizes(moves: list[tuple[int, int]], first: int, last: int, *, added: bool) -> list[int | None]:
    """The size at the end of each day: all that has come, or what came last."""
    size, place = None, 0
    found: list[int | None] = []
    for day in range(first, last + 1):
        while place < len(moves) and moves[place][0] < (day + 1) * rows.DAY_MS:
            size = moves[place][1] + (size or 0 if added else 0)
            place += 1
        found.append(size)
    return found


def _text(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).date().isoformat()
