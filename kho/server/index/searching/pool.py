"""Where hits are looked for: a bounded number of repositories, however many match.

word, facet, what the caller may see, public, recent:   each a list of ids, 1,500 at most
    some list is whole ─► all hits are among what is in every whole list: complete
    none is            ─► the word is in a great many; of those
                            the names that are it, or begin with it
                            a few hundred of each list
                            what is pulled the most
                          and whoever wants more goes through all repositories, by number
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kho.server.database import search
from kho.server.database.engine import Transaction
from kho.server.database.search import Candidate, Word
from kho.server.database.search_document import Field, component
from kho.server.index.searching.query import Query
from kho.server.policy.patterns import sort_key
from kho.server.policy.sight import Kind, Sight

WHOLE: Final = 1500  # ids of a list
ENOUGH: Final = 200  # a whole list so short makes the others needless
_SOME: Final = 300
_POPULAR: Final = 1000
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
    """Ids to look at; `complete` when no other can match. `digests` says which digest was found."""

    ids: frozenset[int]
    complete: bool
    digests: dict[int, str]


async def pool_of(tx: Transaction, wanted: Wanted) -> Pool:
    """Where to look for the hits that come first."""
    query = wanted.query
    if query.nothing:
        return Pool(frozenset(), True, {})
    if query.digest:
        digests = await search.holding(tx, query.digest, WHOLE)
        return Pool(frozenset(digests), True, digests)
    whole: frozenset[int] | None = None
    partial: list[list[int]] = []
    for source in _sources(wanted):
        ids = await _listed(tx, wanted, source)
        if len(ids) > WHOLE:
            partial.append(ids[:_SOME])
            continue
        whole = frozenset(ids) if whole is None else whole & frozenset(ids)
        if len(whole) <= ENOUGH:
            break
    if whole is not None:
        return Pool(whole, True, {})
    names = await _beginning(tx, query.name) if query.name else []
    popular = await search.popular(tx, _POPULAR)
    found = frozenset(names).union(popular, *partial)
    return Pool(found, len(popular) < _POPULAR, {})


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
    ids = await search.following(tx, after, _CHUNK)
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


async def _listed(tx: Transaction, wanted: Wanted, source: Word | str) -> list[int]:
    limit = WHOLE + 1
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
