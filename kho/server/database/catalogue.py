"""Repositories as they are looked through: in four orders, filtered, those that the caller may see.

    everything, or most of it     the index of the order is walked until the page is full
    few may be seen               those are found by the ranges of their names, and sorted
    few are of the kind wanted    those are found by that word of the search, and sorted

Which it is, a count says that ends at `FEW`. Every way gives the same page.
"""

import json
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    Text,
    bindparam,
    exists,
    func,
    literal_column,
    select,
    tuple_,
    union,
)

from kho.server.database.constructs import Now, OneOf, entries, listed
from kho.server.database.engine import Transaction
from kho.server.database.schema import repositories, search_words
from kho.server.database.searching.search_document import Field
from kho.server.database.sight import VISIBLE
from kho.server.database.statement import Row, Statement, Value
from kho.server.policy.patterns import sort_key
from kho.server.policy.sight import Kind, Sight

Order = Literal["name", "pushed", "pulls", "size"]

FEW: Final = 3000
COUNTED: Final = 10_000
_END: Final = "\x7f"  # above every name
_PUBLIC: Final = ["public", None, None]
DAY_MS: Final = 86_400_000

_table = repositories.c
_words = search_words.c
_KEYS: Final[dict[Order, ColumnElement[Any]]] = {
    "name": _table.sort_key,
    "pushed": _table.pushed_at,
    "pulls": _table.pulls,
    "size": _table.size,
}
_ranges = entries("ranges")
_near = repositories.alias("near")


class Wanted(NamedTuple):
    """Which repositories, in which order; what is None or "" asks nothing.

    `low` and `high` bound the sort key, `like` is a pattern of LIKE for it, escaped by `|`. `after`
    is the key and the sort key of the last row of the page before. `kind` and `platform` are words
    of the search: what the newest tags point at.
    """

    order: Order = "name"
    descending: bool = False
    low: str = ""
    high: str = _END
    like: str | None = None
    public: bool | None = None
    kind: str | None = None
    platform: str | None = None
    pushed_days: int | None = None
    after: tuple[int | str, str] | None = None


class RepositoryRow(NamedTuple):
    """A repository; times in milliseconds, 0 is never."""

    id: int
    name: str
    public: bool
    description: str
    created_at: int
    pushed_at: int
    pulled_at: int
    pulls: int
    size: int
    tags: int


class Shape(NamedTuple):
    """What decides over the text of a statement."""

    order: Order
    descending: bool
    kind: Kind
    few: bool  # found by ranges, not by walking
    with_public: bool
    filters: frozenset[str]
    rare: bool = False  # found by a word, not by walking


_COLUMNS: Final = (
    _table.id,
    _table.name,
    _table.public,
    _table.description,
    _table.created_at,
    _table.pushed_at,
    _table.pulled_at,
    _table.pulls,
    _table.size,
    _table.tag_count,
)
_ROWS: Final = Statement(select(*_COLUMNS).where(OneOf(_table.sort_key, "keys")))
_ROW: Final = Statement(select(*_COLUMNS).where(_table.name == bindparam("name")))


async def keys(
    tx: Transaction, sight: Sight, wanted: Wanted, limit: int
) -> list[tuple[int | str, str]]:
    """Key and sort key of the rows of a page, in order."""
    few = await narrowed(tx, sight)
    rare = await _rare(tx, wanted) if few is None else None
    shape, values = bound(sight, wanted, few, rare)
    found = await tx.all(_keys_statement(shape), **values, limit=limit)
    return [(one[0], one[1]) for one in found]


async def count(tx: Transaction, sight: Sight, wanted: Wanted) -> int | None:
    """How many there are in all; None where that are more than `COUNTED`, or takes long."""
    few = await narrowed(tx, sight)
    rare = await _rare(tx, wanted) if few is None else None
    if few is None and rare is None and (sight.kind is Kind.SOME or _words_of(wanted)):
        return None
    shape, values = bound(sight, wanted._replace(after=None), few, rare)
    row = await tx.one(_count_statement(shape), **values, limit=COUNTED + 1)
    return None if row is None or row[0] > COUNTED else int(row[0])


async def rows(tx: Transaction, sort_keys: list[str]) -> list[RepositoryRow]:
    """These repositories, in the order that is given; one that is gone is left out."""
    read = await tx.all(_ROWS, keys=listed(sort_keys))
    found = {sort_key(one[1]): _row(one) for one in read}
    return [found[key] for key in sort_keys if key in found]


async def row(tx: Transaction, name: str) -> RepositoryRow | None:
    """One repository, whoever may see it."""
    found = await tx.one(_ROW, name=name)
    return None if found is None else _row(found)


def _row(row: Row) -> RepositoryRow:
    return RepositoryRow(row[0], row[1], bool(row[2]), *row[3:])


class Candidates(NamedTuple):
    """Ranges of names that hold all that may be seen; `public` when the public ones may be, too."""

    ranges: str
    public: bool


async def narrowed(tx: Transaction, sight: Sight) -> Candidates | None:
    """Where to look when there is little to be seen; None when there is much."""
    if sight.kind is Kind.EVERYTHING:
        return None
    conditions = [[_PUBLIC]] if sight.kind is Kind.PUBLIC else json.loads(sight.conditions)
    for condition in conditions:
        own = [[low, high or _END] for low, high, _ in condition if low != _PUBLIC[0]]
        found = Candidates(json.dumps(own), _PUBLIC in condition)
        row = await tx.one(_RANGED, ranges=found.ranges, limit=FEW + 1) if own else (0,)
        number = 0 if row is None else int(row[0])
        if number <= FEW and found.public:
            row = await tx.one(_OPEN, limit=FEW + 1)
            number += 0 if row is None else int(row[0])
        if number <= FEW:
            return found
    return None


def _words_of(wanted: Wanted) -> list[str]:
    return [word for word in (wanted.platform, wanted.kind) if word is not None]


async def _rare(tx: Transaction, wanted: Wanted) -> str | None:
    """The word that few repositories have, of those that are asked for."""
    for word in _words_of(wanted):
        row = await tx.one(_HAVING, facet=word, limit=FEW + 1)
        if row is not None and row[0] <= FEW:
            return word
    return None


def _counted(query: Select[Any]) -> Statement:
    limited = query.limit(bindparam("limit", type_=Integer())).subquery("counted")
    return Statement(select(func.count()).select_from(limited))


# LEFT JOIN, so that SQLite begins with the ranges, which it does not know to be few. NULL is no
# number of a repository.
_in_ranges: Final = (
    select(_near.c.id.label("id"))
    .select_from(_ranges)
    .outerjoin(_near, (_near.c.sort_key >= _ranges.c.first) & (_near.c.sort_key < _ranges.c.second))
)
_open_to_all: Final = select(_near.c.id.label("id")).where(_near.c.public == literal_column("1"))
_having: Final = (
    select(_words.repository_id.label("id"))
    .where(_words.field == literal_column(str(int(Field.FACET))))
    .where(_words.word == bindparam("facet", type_=Text()))
)
_RANGED: Final = _counted(_in_ranges)
_OPEN: Final = _counted(_open_to_all)
_HAVING: Final = _counted(_having)


def bound(
    sight: Sight, wanted: Wanted, few: Candidates | None, rare: str | None = None
) -> tuple[Shape, dict[str, Value]]:
    """The shape of the statement, and the values that it takes."""
    values: dict[str, Value] = {}
    if sight.kind is Kind.SOME:
        values["conditions"] = sight.conditions
    if few is not None and sight.kind is Kind.SOME:
        values["ranges"] = few.ranges
    told: dict[str, Value] = {
        "low": wanted.low or None,
        "high": None if wanted.high == _END else wanted.high,
        "like": wanted.like,
        "public": None if wanted.public is None else int(wanted.public),
        "kind": wanted.kind,
        "platform": wanted.platform,
        "facet": rare,
        "pushed_ms": None if wanted.pushed_days is None else wanted.pushed_days * DAY_MS,
    }
    filters = {name: value for name, value in told.items() if value is not None}
    values |= filters
    names = set(filters) - {"facet"}
    if wanted.after is not None:
        names.add("after")
        values["after"] = wanted.after[1]
        if wanted.order != "name":
            values["key"] = wanted.after[0]
    with_public = few is not None and few.public
    order = (wanted.order, wanted.descending)
    shape = Shape(
        *order, sight.kind, few is not None, with_public, frozenset(names), rare is not None
    )
    return shape, values


@lru_cache(maxsize=512)
def _keys_statement(shape: Shape) -> Statement:
    key = _KEYS[shape.order]
    query = filtered(shape, select(key, _table.sort_key))
    pair = (_table.sort_key,) if shape.order == "name" else (key, _table.sort_key)
    ordered = [one.desc() for one in pair] if shape.descending else list(pair)
    return Statement(query.order_by(*ordered).limit(bindparam("limit", type_=Integer())))


@lru_cache(maxsize=512)
def _count_statement(shape: Shape) -> Statement:
    return _counted(filtered(shape, select(_table.id)))


def _candidates(shape: Shape) -> Any:  # noqa: ANN401
    """The numbers of what may perhaps be seen, or is perhaps wanted."""
    if shape.rare:
        return _having
    if shape.kind is Kind.PUBLIC:
        return _open_to_all
    return union(_in_ranges, _open_to_all) if shape.with_public else _in_ranges.distinct()


def filtered(shape: Shape, query: Select[Any]) -> Select[Any]:
    """Of a query about repositories what may be seen and is wanted."""
    if shape.few or shape.rare:
        found = _candidates(shape).subquery("candidates")
        query = query.select_from(found.outerjoin(repositories, _table.id == found.c.id))
        query = query.where(_table.id.is_not(None))
    if shape.kind is Kind.PUBLIC:
        query = query.where(_table.public == literal_column("1"))
    elif shape.kind is Kind.SOME:
        query = query.where(VISIBLE)
    for name in sorted(shape.filters):
        query = query.where(_after(shape) if name == "after" else _FILTERS[name])
    return query


def _after(shape: Shape) -> ColumnElement[bool]:
    last = bindparam("after", type_=Text())
    if shape.order == "name":
        return _table.sort_key < last if shape.descending else _table.sort_key > last
    here = tuple_(_KEYS[shape.order], _table.sort_key)
    there = tuple_(bindparam("key", type_=BigInteger()), last)
    return here < there if shape.descending else here > there


def _holding(parameter: str) -> ColumnElement[bool]:
    return (
        exists()
        .where(_words.repository_id == _table.id)
        .where(_words.word == bindparam(parameter, type_=Text()))
    )


_FILTERS: Final[dict[str, ColumnElement[bool]]] = {
    "low": _table.sort_key >= bindparam("low", type_=Text()),
    "high": _table.sort_key < bindparam("high", type_=Text()),
    "like": _table.sort_key.like(bindparam("like", type_=Text()), escape="|"),
    "public": _table.public == bindparam("public", type_=Integer()),
    "kind": _holding("kind"),
    "platform": _holding("platform"),
    "pushed_ms": _table.pushed_at >= Now() - bindparam("pushed_ms", type_=BigInteger()),
}
