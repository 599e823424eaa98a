"""Where hits are looked for: a bounded number of repositories, however many match.

word, facet, what the caller may see, public, recent:   each a list of ids
    some list has 1,000 or fewer         ─► all hits are among what is in every whole list
    all that have 10,000 or fewer share
                        1,000 or fewer   ─► the same
    else a great many match              ─► the names that are it, or begin with it
                                            a few hundred of each list
                                            what is pulled the most
                                            and whoever wants more goes through all, by number
"""

import json
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from kho.server.database.engine import Transaction
from kho.server.database.searching import search
from kho.server.database.searching.search import Candidate, Word
from kho.server.database.searching.search_document import Field, component
from kho.server.index.searching.query import Query
from kho.server.policy.patterns import sort_key
from kho.server.policy.sight import Kind, Sight

WHOLE: Final = 1000  # ids that are looked at one by one
LONG: Final = 10_000  # ids of a list that is compared with others
ENOUGH: Final = 200  # a whole list so short makes the others needless
_SOME: Final = 300
_POPULAR: Final = 800
_CHUNK: Final = 1000
_RANGES: Final = 64
_END: Final = "\x7f"  # after every sort key
_TEXT: Final = (Field.NAME, Field.DESCRIPTION, Field.REST)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A query, for somebody, within limits."""

    query: Query
    sight: Sight
    public: bool | None = None
    pushed_after: int | None = None


@dataclass(frozen=True, slots=True)
class Pool:
    """Ids to look at first; `complete` when no other can match.

    Otherwise others can: those of `rest` in order, or any where that is None. `digests` says which
    digest was found.
    """

    ids: frozenset[int]
    complete: bool
    digests: dict[int, str] = field(default_factory=dict)
    rest: list[int] | None = None


async def pool_of(tx: Transaction, wanted: Wanted) -> Pool:
    """Where to look for the hits that come first."""
    query = wanted.query
    if query.nothing:
        return Pool(frozenset(), complete=True)
    if query.digest:
        return await _holders(tx, query.digest)
    sources = _sources(wanted)
    common, partial = await _common(tx, wanted, sources, WHOLE)
    if common is None and len(sources) > 1:
        common, partial = await _common(tx, wanted, sources, LONG)
    if common is not None and len(common) <= WHOLE:
        return Pool(common, complete=True)
    names = await _beginning(tx, query.name) if query.name else []
    popular = await search.popular(tx, _POPULAR)
    if common is None:
        found = frozenset(names).union(popular, *partial)
        return Pool(found, complete=len(popular) < _POPULAR)
    rest = sorted(common)
    found = common.intersection((*names, *popular)).union(rest[: -2 * _SOME : -1])
    return Pool(found, complete=False, rest=rest)


async def _holders(tx: Transaction, digest: str) -> Pool:
    digests, whole = await search.holding(tx, digest, LONG)
    if whole and len(digests) <= WHOLE:
        return Pool(frozenset(digests), complete=True, digests=digests)
    rest = sorted(digests)
    return Pool(frozenset(rest[-WHOLE:]), complete=False, digests=digests, rest=rest)


async def _common(
    tx: Transaction, wanted: Wanted, sources: list[Word | str], length: int
) -> tuple[frozenset[int] | None, list[list[int]]]:
    """What is in every whole list, None if none is whole; and the beginnings of the others."""
    common: frozenset[int] | None = None
    partial: list[list[int]] = []
    for source in sources:
        ids = await _listed(tx, wanted, source, length + 1)
        if len(ids) > length:
            partial.append(ids[:_SOME])
            continue
        common = frozenset(ids) if common is None else common.intersection(ids)
        if len(common) <= ENOUGH:
            break
    return common, partial


async def matching(tx: Transaction, wanted: Wanted, ids: Sequence[int]) -> list[Candidate]:
    """Which of these match and may be seen."""
    return await search.candidates(
        tx,
        wanted.sight,
        ids,
        wanted.query.ranges,
        wanted.query.facets,
        is_public=wanted.public,
        pushed_after=wanted.pushed_after,
    )


async def further(
    tx: Transaction, wanted: Wanted, pool: Pool, after: int
) -> tuple[list[Candidate], int | None]:
    """Hits among the next thousand ids after `after` that are not in the pool, and the last id.

    None: these were the last.
    """
    if pool.rest is None:
        ids = await search.following(tx, after, _CHUNK)
    else:
        start = bisect_right(pool.rest, after)
        ids = pool.rest[start : start + _CHUNK]
    found = await matching(tx, wanted, [one for one in ids if one not in pool.ids])
    found.sort(key=lambda one: one.id)
    return found, ids[-1] if len(ids) == _CHUNK else None


def _sources(wanted: Wanted) -> list[Word | str]:
    """What may be in few repositories, the likeliest first: words, facets, and named sets."""
    by_length = sorted(wanted.query.ranges, key=lambda word: -len(word.low))
    found: list[Word | str] = [*by_length, *wanted.query.facets]
    if wanted.sight.kind is Kind.SOME:
        found.append("seen")
    if wanted.public or wanted.sight.kind is Kind.PUBLIC:
        found.append("public")
    if wanted.pushed_after is not None:
        found.append("recent")
    return found


async def _listed(tx: Transaction, wanted: Wanted, source: Word | str, limit: int) -> list[int]:
    """So many ids at most."""
    if isinstance(source, Word):
        found: list[int] = []
        for field in _TEXT:
            if len(found) < limit:
                found += await search.having(tx, field, source, limit - len(found))
        return found
    if source == "seen":
        return await _seen(tx, wanted.sight, limit)
    if source == "public":
        return await search.public(tx, limit)
    if source == "recent":
        return await search.recent(tx, wanted.pushed_after or 0, limit)
    return await search.having(tx, Field.FACET, Word.exactly(source), limit)


async def _seen(tx: Transaction, sight: Sight, limit: int) -> list[int]:
    """At least what the caller may see: of the condition that lets the fewest through."""
    best: list[int] | None = None
    for condition in json.loads(sight.conditions):
        found: list[int] = []
        for low, high, _ in condition if len(condition) <= _RANGES else ():
            room = limit - len(found)
            if room <= 0:
                break
            if low == "public":
                found += await search.public(tx, room)
            else:
                found += await search.named(tx, low, _END if high is None else high, room)
        if len(condition) <= _RANGES and (best is None or len(found) < len(best)):
            best = found
    return [0] * limit if best is None else best


async def _beginning(tx: Transaction, name: str) -> list[int]:
    """Repositories whose name, or its last component, is or begins with the text."""
    key = sort_key(name)
    found = await search.named(tx, key, key + _END, _SOME)
    if "/" not in name:
        last = Word.beginning(component(name))
        found += await search.having(tx, Field.COMPONENT, last, _SOME)
    return found
