"""Search: the repositories that a caller may see and that have all the words, the best first.

    rank 0  the name is what was typed          4  ... of which the last begins one of its
         1  its last component is               5  ... are in name and description
         2  either begins with it               6  ... are anywhere
         3  all words are words of the name

Among the same rank what is pulled more comes first, then the names in order. Where a great many
match, the first thousands are ranked, and the others follow by age: see searching/pool.py.
"""

import asyncio
from dataclasses import dataclass
from typing import Final, NamedTuple

from kho.server.database.engine import Transaction
from kho.server.database.searching import search
from kho.server.database.searching.search import Candidate
from kho.server.database.searching.search_document import Field
from kho.server.index.catalogue import paging
from kho.server.index.searching.explain import Match, explain
from kho.server.index.searching.pool import Pool, Wanted, further, matching, pool_of
from kho.server.index.searching.query import Query, parse
from kho.server.policy.access import Principal
from kho.server.policy.patterns import sort_key
from kho.server.policy.sight import sight_of
from kho.server.resources import Resources

MOST: Final = 100  # hits of a page
_AFTERWARDS: Final = 9  # instead of a rank: by number
_CHUNKS: Final = 200  # of a thousand repositories, for a page; then the cursor goes on


@dataclass(frozen=True, slots=True)
class Hit:
    """A repository; times in milliseconds, sizes in bytes. `match` is None of an empty search."""

    name: str
    description: str
    match: Match | None
    pulls: int
    pushed_at: int
    size: int
    tag_count: int
    public: bool


@dataclass(frozen=True, slots=True)
class Hits:
    """A page. `count` is exact, or else a lower bound; `cursor` None is the end."""

    hits: tuple[Hit, ...]
    count: int
    exact: bool
    cursor: str | None


class _Place(NamedTuple):
    """Where a hit stands; below every rank is what comes by number."""

    rank: int
    less: int
    key: str


async def find(
    resources: Resources,
    principal: Principal,
    query: str,
    *,
    platform: str = "",
    kind: str = "",
    public: bool | None = None,
    pushed_after: int | None = None,
    cursor: str | None = None,
    skip: int = 0,
    limit: int = 25,
) -> Hits:
    """A page of what the principal may see; an empty query finds everything, the most pulled first.

    `skip` hits are left out after the cursor. What has no word in it, as `***`, finds nothing.
    Raises InvalidRequest for a cursor that is none.
    """
    after = _read(cursor)
    limit = max(1, min(limit, MOST))
    wanted = Wanted(parse(query, platform, kind), sight_of(principal), public, pushed_after)
    pool, ranked = await resources.database.read(_ranked, wanted)
    rest = [(place, one) for place, one in ranked if place > after]
    scanned: int | None = after.less if after.rank == _AFTERWARDS else 0
    if pool.complete:
        scanned = None
    chunks = 0
    while scanned is not None and len(rest) <= skip + limit and chunks < _CHUNKS:
        found, scanned = await resources.database.read(further, wanted, pool, scanned)
        rest += [(_Place(_AFTERWARDS, one.id, ""), one) for one in found]
        chunks += 1
        await asyncio.sleep(0)  # others have their turn
    page = rest[skip : skip + limit]
    following: str | None = None
    if len(rest) > skip + limit:
        following = paging.encode(*page[-1][0])
    elif scanned is not None:
        following = paging.encode(_AFTERWARDS, scanned, "")
    hits = await _shown(resources, wanted, pool, [one for _, one in page])
    return Hits(hits, max(len(ranked), skip + len(page)), pool.complete, following)


def _read(cursor: str | None) -> _Place:
    if cursor is None:
        return _Place(-1, 0, "")
    rank, less, key = paging.decode(cursor, (int, int, str))
    return _Place(int(rank), int(less), str(key))


async def _ranked(tx: Transaction, wanted: Wanted) -> tuple[Pool, list[tuple[_Place, Candidate]]]:
    pool = await pool_of(tx, wanted)
    found = await matching(tx, wanted, sorted(pool.ids))
    return pool, sorted((_place(wanted.query, one), one) for one in found)


def _place(query: Query, one: Candidate) -> _Place:
    return _Place(_rank(query, one), -one.pulls, sort_key(one.name))


def _rank(query: Query, one: Candidate) -> int:
    if query.name:
        last = one.name.rpartition("/")[2]
        if one.name == query.name:
            return 0
        if last == query.name:
            return 1
        if one.name.startswith(query.name) or last.startswith(query.name):
            return 2
    worst = max(one.fields, default=int(Field.NAME))
    if worst == Field.NAME and query.last_word.search(one.name):
        return 3
    return 4 + worst


async def _shown(
    resources: Resources, wanted: Wanted, pool: Pool, page: list[Candidate]
) -> tuple[Hit, ...]:
    ids = [one.id for one in page]
    rows = await resources.database.read(search.shown, wanted.sight, ids)
    return tuple(
        Hit(
            found.name,
            found.description,
            explain(wanted.query, found, pool.digests.get(number, "")),
            found.pulls,
            found.pushed_at,
            found.size,
            found.tag_count,
            found.public == 1,
        )
        for number in ids
        if (found := rows.get(number)) is not None
    )
