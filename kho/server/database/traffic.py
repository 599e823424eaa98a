"""Rows of pulls and pushes: by day, and what tags, images and repositories say of them.

Rows are changed in one order, tags, images, days, repositories, each sorted: flushes of several
workers wait for each other and for pushes, and nothing deadlocks.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    Integer,
    bindparam,
    cast,
    delete,
    literal_column,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from kho.server.database.constructs import Now, OneOf, OneOfNumbers, entries, listed
from kho.server.database.engine import Transaction
from kho.server.database.schema import (
    images,
    manifest_references,
    manifests,
    repositories,
    tags,
    traffic,
)
from kho.server.database.statement import Statement

DAY_MS: Final = 86_400_000
MOST_TAGS: Final = 200  # of a repository on a day; what others were pulled counts for it alone
TOGETHER_MS: Final = 60_000  # an index and its image that are pulled within this are one pull

_table = traffic.c
_wanted = entries("wanted")
_index = manifests.alias("listing")


def _number(name: str) -> Any:  # noqa: ANN401
    return bindparam(name, type_=BigInteger())


_NOW: Final = Statement(select(Now()))
_NAMED: Final = Statement(
    select(repositories.c.name, repositories.c.id).where(OneOf(repositories.c.name, "names"))
)
_IMAGES: Final = Statement(
    select(_wanted.c.first, _wanted.c.second, manifests.c.id)
    .select_from(_wanted)
    .join(repositories, repositories.c.name == _wanted.c.first)
    .join(
        manifests,
        (manifests.c.repository_id == repositories.c.id) & (manifests.c.digest == _wanted.c.second),
    )
)
_TAGGED: Final = Statement(
    select(_wanted.c.first, _wanted.c.second, tags.c.name)
    .select_from(_wanted)
    .join(repositories, repositories.c.name == _wanted.c.first)
    .join(
        tags,
        (tags.c.repository_id == repositories.c.id) & (tags.c.digest == _wanted.c.second),
    )
)
_LISTING: Final = Statement(
    select(_wanted.c.first, _wanted.c.second, images.c.pulled_at)
    .select_from(_wanted)
    .join(repositories, repositories.c.name == _wanted.c.first)
    .join(manifest_references, manifest_references.c.digest == _wanted.c.second)
    .join(
        _index,
        (_index.c.id == manifest_references.c.manifest_id)
        & (_index.c.repository_id == repositories.c.id),
    )
    .join(images, images.c.manifest_id == _index.c.id)
    .where(manifest_references.c.kind == literal_column("'manifest'"))
)
_TAG: Final = Statement(
    update(tags)
    .values(pulls=tags.c.pulls + _number("more"), pulled_at=_number("now"))
    .where(tags.c.repository_id == _number("of"))
    .where(tags.c.name == bindparam("tag"))
)
_IMAGE: Final = Statement(
    update(images)
    .values(pulls=images.c.pulls + _number("more"), pulled_at=_number("now"))
    .where(images.c.manifest_id == _number("of"))
)
_REPOSITORY: Final = Statement(
    update(repositories)
    .values(pulls=repositories.c.pulls + _number("more"), pulled_at=_number("now"))
    .where(repositories.c.id == _number("of"))
)
_day = bindparam("day", type_=Integer())
_days = entries("days", "number", "tag", "pulls", "pushes")
_add = insert(traffic).from_select(
    ["repository_id", "day", "tag", "pulls", "pushes"],
    select(
        cast(_days.c.number, BigInteger()),
        cast(_day, Integer()),
        _days.c.tag,
        cast(_days.c.pulls, BigInteger()),
        cast(_days.c.pushes, BigInteger()),
    )
    # SQLite takes ON CONFLICT for a part of FROM where there is no WHERE.
    .where(_days.c.position >= literal_column("0"))
    .order_by(_days.c.position),
)
_ADD: Final = Statement(
    _add.on_conflict_do_update(
        index_elements=[_table.repository_id, _table.day, _table.tag],
        set_={
            "pulls": _table.pulls + _add.excluded.pulls,
            "pushes": _table.pushes + _add.excluded.pushes,
        },
    )
)
_TAGS_OF_DAY: Final = Statement(
    select(_table.repository_id, _table.tag)
    .where(OneOfNumbers(_table.repository_id, "numbers"))
    .where(_table.day == _day)
    .order_by(_table.repository_id, _table.tag)
)
_key = tuple_(_table.repository_id, _table.day, _table.tag)
_TRIM: Final = Statement(
    delete(traffic).where(
        _key.in_(
            select(_table.repository_id, _table.day, _table.tag)
            .where(_table.day < bindparam("before"))
            .order_by(_table.day)
            .limit(bindparam("limit", type_=Integer()))
        )
    )
)


class Pulled(NamedTuple):
    """What was asked for; `tag` is "" where it was asked for by digest."""

    repository: str
    digest: str
    tag: str


class Pushed(NamedTuple):
    """A manifest that came in with this tag; "" is the repository as a whole."""

    repository: str
    tag: str


@dataclass(slots=True)
class _Sums:
    """What is to be added to which row; pulls and pushes of days by repository and tag."""

    images: Counter[int] = field(default_factory=Counter)
    tags: Counter[tuple[int, str]] = field(default_factory=Counter)
    pulls: Counter[tuple[int, str]] = field(default_factory=Counter)
    pushes: Counter[tuple[int, str]] = field(default_factory=Counter)
    pulled: set[int] = field(default_factory=set)


async def settle(
    tx: Transaction,
    pulls: Mapping[Pulled, int],
    pushes: Mapping[Pushed, int],
    *,
    undecided: bool,
) -> dict[Pulled, int]:
    """Add the counts to the rows; those that are gone are left out.

    With `undecided`, pulls by digest of what an index lists are handed back: whether the index was
    pulled too is known when all workers have settled theirs.
    """
    row = await tx.one(_NOW)
    now = 0 if row is None else int(row[0])
    names = sorted({one.repository for one in pulls} | {one.repository for one in pushes})
    ids: dict[str, int] = dict(await tx.all(_NAMED, names=listed(names)))
    by_digest = [one for one in pulls if not one.tag]
    listing = await _listing(tx, by_digest)
    later = {
        one: count for one, count in pulls.items() if undecided and not one.tag and one in listing
    }
    part = {one for one, pulled_at in listing.items() if now - pulled_at <= TOGETHER_MS}
    counted = {one: count for one, count in pulls.items() if one not in later}
    sums = _Sums()
    await _resolve(tx, ids, counted, part, sums)
    for push, count in pushes.items():
        if push.repository in ids:
            sums.pushes[ids[push.repository], push.tag] += count
    await _write(tx, sums, now)
    return later


async def _listing(tx: Transaction, wanted: Iterable[Pulled]) -> dict[Pulled, int]:
    """Those that an index lists, and when the last pulled of their indexes was."""
    rows = await tx.all(_LISTING, wanted=_pairs(wanted))
    found: dict[Pulled, int] = {}
    for repository, digest, pulled_at in rows:
        one = Pulled(repository, digest, "")
        found[one] = max(found.get(one, 0), pulled_at)
    return found


async def _resolve(
    tx: Transaction,
    ids: Mapping[str, int],
    pulls: Mapping[Pulled, int],
    part: set[Pulled],
    sums: _Sums,
) -> None:
    """A pull by tag counts for that tag, one by digest for all tags that point there."""
    numbers = {
        (repository, digest): number
        for repository, digest, number in await tx.all(_IMAGES, wanted=_pairs(pulls))
    }
    tagged = defaultdict(list)
    whole = [one for one in pulls if not one.tag and one not in part]
    for repository, digest, name in await tx.all(_TAGGED, wanted=_pairs(whole)):
        tagged[repository, digest].append(name)
    for one, count in pulls.items():
        of = ids.get(one.repository)
        if of is None:
            continue
        sums.pulled.add(of)
        number = numbers.get((one.repository, one.digest))
        if number is not None:
            sums.images[number] += count
        if one in part:
            continue
        sums.pulls[of, ""] += count
        for tag in [one.tag] if one.tag else tagged[one.repository, one.digest]:
            sums.pulls[of, tag] += count
            sums.tags[of, tag] += count


async def _write(tx: Transaction, sums: _Sums, now: int) -> None:
    for (of, tag), count in sorted(sums.tags.items()):
        await tx.run(_TAG, of=of, tag=tag, more=count, now=now)
    for number, count in sorted(sums.images.items()):
        await tx.run(_IMAGE, of=number, more=count, now=now)
    day = now // DAY_MS
    days = [
        (of, tag, sums.pulls[of, tag], sums.pushes[of, tag])
        for of, tag in await _within_bounds(tx, sums, day)
    ]
    if days:
        await tx.run(_ADD, day=day, days=json.dumps(days))
    for of in sorted(sums.pulled):
        await tx.run(_REPOSITORY, of=of, more=sums.pulls[of, ""], now=now)


async def _within_bounds(tx: Transaction, sums: _Sums, day: int) -> list[tuple[int, str]]:
    """The rows of the day to write: the repository's, and of tags no more than there may be."""
    wanted: dict[int, list[str]] = defaultdict(list)
    for of, tag in sorted({*sums.pulls, *sums.pushes}):
        wanted[of].append(tag)
    known: dict[int, set[str]] = defaultdict(set)
    for of, tag in await tx.all(_TAGS_OF_DAY, numbers=json.dumps(list(wanted)), day=day):
        if tag:
            known[of].add(tag)
    found = []
    for of, names in wanted.items():
        for tag in names:
            if tag and tag not in known[of]:
                if len(known[of]) >= MOST_TAGS:
                    continue
                known[of].add(tag)
            found.append((of, tag))
    return found


def _pairs(wanted: Iterable[Pulled]) -> str:
    return json.dumps(sorted({(one.repository, one.digest) for one in wanted}))


async def trim(tx: Transaction, days: int, limit: int) -> int:
    """Remove at most `limit` rows that are older than so many days; how many there were."""
    row = await tx.one(_NOW)
    today = 0 if row is None else int(row[0]) // DAY_MS
    return await tx.run(_TRIM, before=today - days, limit=limit)
