"""What a repository's row says of what it holds: size, tags, when it was pushed to.

The row is the last thing that a transaction changes: whoever waits for it holds nothing that its
holder may still want, so nothing deadlocks.
"""

from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    select,
    update,
)
from sqlalchemy.sql.selectable import ScalarSelect

from kho.server.database.constructs import Now
from kho.server.database.engine import Transaction
from kho.server.database.schema import blobs, manifests, repositories, repository_blobs, tags
from kho.server.database.statement import Statement

_table = repositories.c
_number = bindparam("of", type_=BigInteger())
_grown = _table.size + cast(bindparam("bytes"), BigInteger())

_RESIZE: Final = Statement(update(repositories).values(size=_grown).where(_table.id == _number))
_CHANGE: Final = Statement(
    update(repositories)
    .values(size=_grown, tag_count=_table.tag_count + cast(bindparam("tags"), Integer()))
    .where(_table.id == _number)
)
_now = Now()
_PUSH: Final = Statement(
    update(repositories)
    .values(
        size=_grown,
        tag_count=_table.tag_count + cast(bindparam("tags"), Integer()),
        # The clock may have been set back.
        pushed_at=case((_table.pushed_at < _now, _now), else_=_table.pushed_at),
    )
    .where(_table.id == _number)
)
_FORGET: Final = Statement(update(repositories).values(indexed=0).where(_table.id == _number))
_FORGET_NAMED: Final = Statement(
    update(repositories).values(indexed=-1).where(_table.name == bindparam("named"))
)
_FORGET_ALL: Final = Statement(update(repositories).values(indexed=-1))
_DOUBTED: Final = Statement(
    select(_table.id, _table.name, _table.indexed)
    .where(_table.indexed < literal_column("1"))
    .where(_table.id > bindparam("after", type_=BigInteger()))
    .order_by(_table.id)
    .limit(bindparam("limit", type_=Integer()))
)
_STATE: Final = Statement(select(_table.indexed).where(_table.id == _number))
_LOCK: Final = Statement(
    select(_table.id).where(_table.id == _number).with_for_update(key_share=True)
)


def _sum(query: ScalarSelect[Any]) -> ColumnElement[Any]:
    return func.coalesce(query, literal_column("0"))


_linked = (
    select(func.sum(blobs.c.size))
    .join(repository_blobs, repository_blobs.c.digest == blobs.c.digest)
    .where(repository_blobs.c.repository_id == _number)
    .scalar_subquery()
)
_stored = (
    select(func.sum(manifests.c.size)).where(manifests.c.repository_id == _number).scalar_subquery()
)
_last_pushed = (
    select(func.max(manifests.c.created_at))
    .where(manifests.c.repository_id == _number)
    .scalar_subquery()
)
_last_tagged = (
    select(func.max(tags.c.updated_at)).where(tags.c.repository_id == _number).scalar_subquery()
)
_COUNT: Final = Statement(
    select(
        cast(_sum(_linked), BigInteger()) + cast(_sum(_stored), BigInteger()),
        select(func.count()).where(tags.c.repository_id == _number).scalar_subquery(),
        _sum(_last_pushed),
        _sum(_last_tagged),
    )
)
_SET: Final = Statement(
    update(repositories)
    .values(
        size=bindparam("to_size"),
        tag_count=bindparam("to_tags"),
        pushed_at=case(
            (_table.pushed_at < bindparam("to_pushed"), bindparam("to_pushed")),
            else_=_table.pushed_at,
        ),
        indexed=1,
    )
    .where(_table.id == _number)
)


class Doubted(NamedTuple):
    """A repository; `indexed` is 0 where what is known is right, -1 where nothing is believed."""

    id: int
    name: str
    indexed: int


async def resize(tx: Transaction, repository_id: int, size: int) -> None:
    """So many bytes more, or fewer; last in its transaction."""
    if size:
        await tx.run(_RESIZE, of=repository_id, bytes=size)


async def change(tx: Transaction, repository_id: int, *, size: int = 0, tags: int = 0) -> None:
    """So many bytes and tags more, or fewer; last in its transaction."""
    await tx.run(_CHANGE, of=repository_id, bytes=size, tags=tags)


async def push(tx: Transaction, repository_id: int, *, size: int, tags: int) -> None:
    """The same, and it was pushed to now."""
    await tx.run(_PUSH, of=repository_id, bytes=size, tags=tags)


async def doubt(tx: Transaction, repository_id: int) -> None:
    """Have what is known of the repository found out anew."""
    await tx.run(_FORGET, of=repository_id)


async def doubt_all(tx: Transaction, name: str | None) -> int:
    """The same of a repository, or of every one, also of what is known; how many."""
    if name is None:
        return await tx.run(_FORGET_ALL)
    return await tx.run(_FORGET_NAMED, named=name)


async def doubted(tx: Transaction, after: int, limit: int) -> list[Doubted]:
    """Repositories of which not all is known, after a number."""
    return [Doubted(*row) for row in await tx.all(_DOUBTED, after=after, limit=limit)]


async def is_doubted(tx: Transaction, repository_id: int) -> bool:
    """Whether it is one of those still."""
    row = await tx.one(_STATE, of=repository_id)
    return row is not None and row[0] < 1


async def recount(tx: Transaction, repository_id: int) -> None:
    """Find size and tags out from the rows: exact, since who changes them needs the row after."""
    await tx.one(_LOCK, of=repository_id)
    row = await tx.one(_COUNT, of=repository_id)
    if row is not None:
        size, count, pushed, tagged = row
        await tx.run(
            _SET, of=repository_id, to_size=size, to_tags=count, to_pushed=max(pushed, tagged)
        )
