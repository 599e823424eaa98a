"""Rows of blobs: each once, and which repository may read which."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import bindparam, delete, exists, select
from sqlalchemy.dialects.postgresql import insert

from kho.oci.digest import Digest, parse_digest
from kho.server.database.constructs import Now, OneOf, listed
from kho.server.database.engine import Transaction
from kho.server.database.repositories import ID_OF_NAME
from kho.server.database.schema import blobs, manifest_references, manifests, repository_blobs
from kho.server.database.statement import Statement

_links = repository_blobs.c

_SIZE: Final = Statement(
    select(blobs.c.size)
    .join(repository_blobs, _links.digest == blobs.c.digest)
    .where(_links.repository_id == ID_OF_NAME)
    .where(_links.digest == bindparam("digest"))
)
_SIZE_ANYWHERE: Final = Statement(select(blobs.c.size).where(blobs.c.digest == bindparam("digest")))
_INSERT: Final = Statement(
    insert(blobs)
    .values(digest=bindparam("digest"), size=bindparam("size"), created_at=Now())
    .on_conflict_do_nothing()
)
_LINK: Final = Statement(
    insert(repository_blobs)
    .values(repository_id=bindparam("repository_id"), digest=bindparam("digest"), created_at=Now())
    .on_conflict_do_nothing()
)
_UNLINK: Final = Statement(
    delete(repository_blobs)
    .where(_links.repository_id == ID_OF_NAME)
    .where(_links.digest == bindparam("digest"))
    .returning(
        _links.repository_id,
        select(blobs.c.size).where(blobs.c.digest == bindparam("digest")).scalar_subquery(),
    )
)
# The locks keep a concurrent unlink waiting until the manifest that needs the blobs is there.
_LINKED: Final = Statement(
    select(_links.digest)
    .where(_links.repository_id == bindparam("repository_id"))
    .where(OneOf(_links.digest, "digests"))
    .order_by(_links.digest)
    .with_for_update(read=True, key_share=True)
)
_SIZES: Final = Statement(
    select(blobs.c.digest, blobs.c.size)
    .join(repository_blobs, _links.digest == blobs.c.digest)
    .where(_links.repository_id == bindparam("repository_id"))
    .where(OneOf(_links.digest, "digests"))
    .order_by(_links.digest)
    .with_for_update(read=True, key_share=True, of=repository_blobs)
)
_REFERENCED: Final = Statement(
    select(
        exists()
        .where(manifest_references.c.digest == bindparam("digest"))
        .where(manifest_references.c.manifest_id == manifests.c.id)
        .where(manifests.c.repository_id == ID_OF_NAME)
    )
)


class Unlinked(NamedTuple):
    """A blob that was taken from a repository."""

    repository_id: int
    size: int


async def size(tx: Transaction, repository: str, digest: Digest) -> int | None:
    """The size of a blob that this repository may read."""
    row = await tx.one(_SIZE, repository=repository, digest=str(digest))
    return None if row is None else row[0]


async def size_anywhere(tx: Transaction, digest: Digest) -> int | None:
    """The size of a blob of any repository: for storage, never for an answer."""
    row = await tx.one(_SIZE_ANYWHERE, digest=str(digest))
    return None if row is None else row[0]


async def put(tx: Transaction, digest: Digest, size: int) -> None:
    """Record that the bytes are stored; again changes nothing, since a digest has one size."""
    await tx.run(_INSERT, digest=str(digest), size=size)


async def link(tx: Transaction, repository_id: int, digest: Digest) -> bool:
    """Let a repository read a blob that has been put; whether it could not before."""
    return await tx.run(_LINK, repository_id=repository_id, digest=str(digest)) > 0


async def unlink(tx: Transaction, repository: str, digest: Digest) -> Unlinked | None:
    """Take a blob from a repository; None when it was not there.

    Ask `referenced` after this, in the same transaction: no manifest can come between.
    """
    row = await tx.one(_UNLINK, repository=repository, digest=str(digest))
    return None if row is None else Unlinked(*row)


async def referenced(tx: Transaction, repository: str, digest: Digest) -> bool:
    """Whether a manifest of this repository needs the blob."""
    row = await tx.one(_REFERENCED, repository=repository, digest=str(digest))
    return row is not None and bool(row[0])


async def missing(tx: Transaction, repository_id: int, digests: Sequence[Digest]) -> list[Digest]:
    """Those that the repository lacks, in order; the others stay until the end of this write."""
    rows = await tx.all(_LINKED, repository_id=repository_id, digests=listed(digests))
    linked = {digest for (digest,) in rows}
    return [digest for digest in digests if str(digest) not in linked]


async def sizes(
    tx: Transaction, repository_id: int, digests: Sequence[Digest]
) -> dict[Digest, int]:
    """The stored size of each that the repository has; these stay until the end of this write."""
    rows = await tx.all(_SIZES, repository_id=repository_id, digests=listed(digests))
    return {parse_digest(digest): size for digest, size in rows}
