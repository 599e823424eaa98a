"""Blobs of a repository: find, read, mount, delete; and adopt, where all bytes come in."""

from kho.oci.digest import Digest
from kho.oci.errors import BlobUnknown
from kho.server.database import blobs as rows
from kho.server.database.engine import Transaction
from kho.server.policy.access import Caller
from kho.server.registry import indexing, repositories, trail, verification
from kho.server.registry.recent import recent
from kho.server.resources import Resources
from kho.server.storage.interface import BlobReader

__all__ = ["BlobReader", "adopt", "delete", "mount", "read", "size"]


def _unknown(digest: Digest) -> BlobUnknown:
    return BlobUnknown("blob unknown to this repository", detail={"digest": str(digest)})


async def size(resources: Resources, repository: str, digest: Digest) -> int:
    """Length in bytes; raise BlobUnknown, also when the stored bytes are not whole."""
    found = await _recorded(resources, repository, digest)
    if not await resources.storage.holds(digest, found):
        await verification.absent(resources, repository, digest, found)
        raise _unknown(digest)
    return found


async def _recorded(resources: Resources, repository: str, digest: Digest) -> int:
    """What the rows say of its length; raise BlobUnknown."""
    known = recent(resources)
    found = known.sizes.get((repository, digest))
    if found is None:
        found = await resources.database.read(rows.size, repository, digest)
        if found is None:
            raise _unknown(digest)
        known.add_size(repository, digest, found)
    return found


async def read(resources: Resources, repository: str, digest: Digest) -> BlobReader:
    """Open for reading; the caller closes. Raise BlobUnknown like `size`.

    Reading never comes to a good end with bytes that are not those of the digest.
    """
    found = await _recorded(resources, repository, digest)
    stored = await resources.storage.open(digest, found)
    if stored is None:
        await verification.absent(resources, repository, digest, found)
        raise _unknown(digest)
    reader = await verification.sound(resources, repository, digest, stored)
    if reader is None:
        raise _unknown(digest)
    return reader


async def adopt(
    tx: Transaction, repository: str, digest: Digest, length: int, caller: Caller
) -> None:
    """Make stored bytes a blob of the repository, which comes into being with its first one.

    Last in its transaction.
    """
    repository_id = await repositories.enter(tx, repository, caller)
    await rows.put(tx, digest, length)
    if await rows.link(tx, repository_id, digest):
        await indexing.linked(tx, repository_id, length)


async def mount(
    resources: Resources, repository: str, digest: Digest, source: str | None, caller: Caller
) -> bool:
    """Link a blob that `source`, or any repository, holds; False when there is none.

    Whether the caller may read `source` is the door's question.
    """
    found = await resources.database.read(_length, source, digest)
    if found is None or not await resources.storage.holds(digest, found):
        return False
    return await resources.database.write(_mount, repository, digest, source, caller)


async def _length(tx: Transaction, source: str | None, digest: Digest) -> int | None:
    if source is None:
        return await rows.size_anywhere(tx, digest)
    return await rows.size(tx, source, digest)


async def _mount(
    tx: Transaction, repository: str, digest: Digest, source: str | None, caller: Caller
) -> bool:
    length = await _length(tx, source, digest)
    if length is None:
        return False
    await adopt(tx, repository, digest, length, caller)
    return True


async def delete(resources: Resources, repository: str, digest: Digest, caller: Caller) -> None:
    """Take the blob out of this repository only; raise BlobUnknown."""
    if not await resources.database.remove(_delete, repository, digest, caller):
        raise _unknown(digest)


async def _delete(tx: Transaction, repository: str, digest: Digest, caller: Caller) -> bool:
    found = await rows.unlink(tx, repository, digest)
    if found is None:
        return False
    await trail.record(tx, caller, "blob.delete", repository, str(digest))
    await indexing.linked(tx, found.repository_id, -found.size)
    return True
