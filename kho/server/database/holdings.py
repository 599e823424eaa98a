"""How much is stored, for those who may see it: walked in chunks, so that nobody waits long."""

from functools import lru_cache
from typing import Final, NamedTuple

from sqlalchemy import Integer, Text, bindparam, case, func, literal_column, select

from kho.server.database import catalogue
from kho.server.database.catalogue import Shape, Wanted
from kho.server.database.engine import Transaction
from kho.server.database.schema import blobs, repositories, repository_blobs
from kho.server.database.sight import VISIBLE
from kho.server.database.statement import Statement, Value
from kho.server.policy.sight import Kind, Sight

CHUNK: Final = 2000

_table = repositories.c


class Holding(NamedTuple):
    """A repository; `pushed_at` in milliseconds, `size` in bytes."""

    sort_key: str
    size: int
    pulls: int
    pushed_at: int


class Stored(NamedTuple):
    """Blobs up to `last`: the bytes on the disk, and those that repositories have of them."""

    last: str | None
    stored: int
    linked: int


async def chunk(tx: Transaction, sight: Sight, after: str) -> list[Holding]:
    """At most `CHUNK` repositories after a sort key, in order."""
    few = await catalogue.narrowed(tx, sight)
    wanted = Wanted(after=(after, after))
    shape, values = catalogue.bound(sight, wanted, few)
    found = await tx.all(_chunk_statement(shape), **values, limit=CHUNK)
    return [Holding(*row) for row in found]


@lru_cache(maxsize=16)
def _chunk_statement(shape: Shape) -> Statement:
    query = select(_table.sort_key, _table.size, _table.pulls, _table.pushed_at)
    limited = catalogue.filtered(shape, query).order_by(_table.sort_key)
    return Statement(limited.limit(bindparam("limit", type_=Integer())))


async def stored(tx: Transaction, sight: Sight, after: str) -> Stored:
    """The next `CHUNK` blobs after a digest; only those that a visible repository has count."""
    values: dict[str, Value] = {"after": after, "limit": CHUNK}
    if sight.kind is Kind.SOME:
        values["conditions"] = sight.conditions
    row = await tx.one(_STORED[sight.kind], **values)
    return Stored(None, 0, 0) if row is None else Stored(row[0], int(row[1]), int(row[2]))


def _stored_statement(kind: Kind) -> Statement:
    some = (
        select(blobs.c.digest, blobs.c.size)
        .where(blobs.c.digest > bindparam("after", type_=Text()))
        .order_by(blobs.c.digest)
        .limit(bindparam("limit", type_=Integer()))
        .subquery("some")
    )
    holders = select(func.count()).where(repository_blobs.c.digest == some.c.digest)
    if kind is not Kind.EVERYTHING:
        seen = VISIBLE if kind is Kind.SOME else _table.public == literal_column("1")
        holders = holders.where(_table.id == repository_blobs.c.repository_id).where(seen)
    counted = select(
        some.c.digest, some.c.size, holders.scalar_subquery().label("holders")
    ).subquery("counted")
    zero: Final = literal_column("0", Integer())
    there = case((counted.c.holders > zero, counted.c.size), else_=zero)
    linked = counted.c.size * counted.c.holders
    return Statement(
        select(
            func.max(counted.c.digest),
            func.coalesce(func.sum(there), zero),
            func.coalesce(func.sum(linked), zero),
        )
    )


_STORED: Final = {kind: _stored_statement(kind) for kind in Kind}
