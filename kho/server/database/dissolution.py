"""Rows of a repository that goes away as a whole, some at a time.

tags ─► manifests ─► links to blobs ─► history, days, README, words ─► the repository

Pushes go on meanwhile: what has come since is found by the next step, and a link is not taken while
there is a manifest that could need it.
"""

from typing import Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    Delete,
    Integer,
    Table,
    bindparam,
    delete,
    exists,
    func,
    literal_column,
    select,
)

from kho.server.database import facts
from kho.server.database.constructs import OneOf, listed
from kho.server.database.engine import Transaction
from kho.server.database.identities import revisions
from kho.server.database.schema import (
    blobs,
    manifests,
    readmes,
    repositories,
    repository_blobs,
    tag_history,
    tags,
    traffic,
)
from kho.server.database.searching import search_writing
from kho.server.database.statement import Statement

STEP: Final = 500

_of = bindparam("of", type_=BigInteger())
_limit = literal_column(str(STEP), Integer())


def _some(table: Table, *columns: str) -> Delete:
    """Delete some rows of the repository, by these columns of its key."""
    picked = table.alias("picked")
    key = [table.c[column] for column in columns]
    found = select(*(picked.c[column] for column in columns)).where(picked.c.repository_id == _of)
    found = found.order_by(*(picked.c[column] for column in columns)).limit(_limit)
    query = delete(table).where(table.c.repository_id == _of)
    if len(key) == 1:
        return query.where(key[0].in_(found))
    days = found.subquery("days")
    return query.where(exists().where(*(table.c[column] == days.c[column] for column in columns)))


_TAGS: Final = Statement(_some(tags, "name"))
_MANIFESTS: Final = Statement(_some(manifests, "id").returning(manifests.c.size))
_HISTORY: Final = Statement(_some(tag_history, "id"))
_TRAFFIC: Final = Statement(_some(traffic, "day", "tag"))
_README: Final = Statement(delete(readmes).where(readmes.c.repository_id == _of))
_LINKS: Final = Statement(
    select(repository_blobs.c.digest, blobs.c.size)
    .join(blobs, blobs.c.digest == repository_blobs.c.digest)
    .where(repository_blobs.c.repository_id == _of)
    .order_by(repository_blobs.c.digest)
    .limit(_limit)
    .with_for_update(of=repository_blobs)
)
_HOLDS: Final = Statement(select(exists().where(manifests.c.repository_id == _of)))
_UNLINK: Final = Statement(
    delete(repository_blobs)
    .where(repository_blobs.c.repository_id == _of)
    .where(OneOf(repository_blobs.c.digest, "digests"))
)
_GONE: Final = Statement(delete(repositories).where(repositories.c.id == _of))
_other = repository_blobs.alias("other")
_own = (
    select(func.sum(blobs.c.size))
    .join(repository_blobs, repository_blobs.c.digest == blobs.c.digest)
    .where(repository_blobs.c.repository_id == _of)
    .where(~exists().where(_other.c.digest == blobs.c.digest).where(_other.c.repository_id != _of))
)
_IMPACT: Final = Statement(
    select(
        repositories.c.tag_count,
        select(func.count()).where(manifests.c.repository_id == _of).scalar_subquery(),
        repositories.c.size,
        func.coalesce(_own.scalar_subquery(), literal_column("0")),
    ).where(repositories.c.id == _of)
)


class Impact(NamedTuple):
    """What would go; `size` and `freed` in bytes, `freed` of blobs that no other repository has."""

    tags: int
    manifests: int
    size: int
    freed: int


async def impact(tx: Transaction, repository_id: int) -> Impact:
    """What goes with the repository."""
    row = await tx.one(_IMPACT, of=repository_id)
    return Impact(0, 0, 0, 0) if row is None else Impact(row[0], row[1], row[2], int(row[3]))


async def step(tx: Transaction, repository_id: int) -> bool:
    """Take some rows away; True when the repository is gone."""
    at = {"of": repository_id}
    untagged = await tx.run(_TAGS, **at)
    if untagged:
        await facts.change(tx, repository_id, tags=-untagged)
        return False
    sizes = await tx.all(_MANIFESTS, **at)
    if sizes:
        await facts.resize(tx, repository_id, -sum(size for (size,) in sizes))
        return False
    links = await tx.all(_LINKS, **at)
    if links:
        holds = await tx.one(_HOLDS, **at)
        if holds is None or not holds[0]:
            await tx.run(_UNLINK, **at, digests=listed(digest for digest, _ in links))
            await facts.resize(tx, repository_id, -sum(size for _, size in links))
        return False
    if await tx.run(_HISTORY, **at) or await tx.run(_TRAFFIC, **at):
        return False
    await tx.run(_README, **at)
    await search_writing.remove(tx, repository_id)
    await tx.run(_GONE, **at)
    await revisions.bump(tx)  # who remembers that it is public forgets it
    return True
