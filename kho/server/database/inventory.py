"""Rows of blobs and sessions, page by page, for those who compare them with what is stored.

A page is asked for by the key of the row before it, so that no page costs more than the first.
"""

from typing import Any, Final, NamedTuple

from sqlalchemy import Integer, Select, bindparam, delete, exists, select

from kho.oci.digest import Digest
from kho.server.database.constructs import Now, OneOf, listed
from kho.server.database.engine import Transaction
from kho.server.database.schema import blobs, repositories, repository_blobs, uploads
from kho.server.database.statement import Row, Statement


def limited(query: Select[Any]) -> Statement:
    """A page of the query."""
    return Statement(query.limit(bindparam("limit", type_=Integer())))


_BLOBS: Final = limited(
    select(blobs.c.digest).where(blobs.c.digest > bindparam("after")).order_by(blobs.c.digest)
)
_KNOWN: Final = Statement(select(blobs.c.digest).where(OneOf(blobs.c.digest, "digests")))
_HOLDERS: Final = limited(
    select(repositories.c.name)
    .join(repository_blobs, repository_blobs.c.repository_id == repositories.c.id)
    .where(repository_blobs.c.digest == bindparam("digest"))
    .order_by(repositories.c.name)
)
_FORGET: Final = Statement(
    delete(blobs)
    .where(blobs.c.digest == bindparam("digest"))
    .where(~exists().where(repository_blobs.c.digest == blobs.c.digest))
)

_UPLOADS: Final = limited(
    select(uploads.c.id).where(uploads.c.id > bindparam("after")).order_by(uploads.c.id)
)
_SESSIONS: Final = Statement(select(uploads.c.id).where(OneOf(uploads.c.id, "ids")))
_UPLOAD: Final = Statement(
    select(
        uploads.c.repository,
        uploads.c.algorithm,
        uploads.c.size,
        uploads.c.state,
        Now() - uploads.c.touched_at,
    ).where(uploads.c.id == bindparam("id"))
)


class SessionFacts(NamedTuple):
    """An upload's row."""

    repository: str
    algorithm: str
    size: int
    state: bytes | None
    rested_ms: int


async def blob_digests(tx: Transaction, after: str, limit: int) -> list[str]:
    """The digests of blobs after `after`."""
    return firsts(await tx.all(_BLOBS, after=after, limit=limit))


async def known_blobs(tx: Transaction, digests: list[Digest]) -> set[str]:
    """Those that have a row."""
    return set(firsts(await tx.all(_KNOWN, digests=listed(digests))))


async def holders(tx: Transaction, digest: str, limit: int) -> list[str]:
    """Repositories that may read a blob."""
    return firsts(await tx.all(_HOLDERS, digest=digest, limit=limit))


async def forget_blob(tx: Transaction, digest: str) -> bool:
    """Remove the row of a blob that no repository may read."""
    return await tx.run(_FORGET, digest=digest) > 0


async def upload_ids(tx: Transaction, after: str, limit: int) -> list[str]:
    """The ids of sessions after `after`."""
    return firsts(await tx.all(_UPLOADS, after=after, limit=limit))


async def known_uploads(tx: Transaction, ids: list[str]) -> set[str]:
    """Those that have a row."""
    return set(firsts(await tx.all(_SESSIONS, ids=listed(ids))))


async def upload(tx: Transaction, id: str) -> SessionFacts | None:  # noqa: A002
    """One session."""
    row = await tx.one(_UPLOAD, id=id)
    return None if row is None else SessionFacts(*row)


def firsts(rows: list[Row]) -> list[Any]:
    """The first column."""
    return [row[0] for row in rows]
