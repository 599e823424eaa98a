"""Upload sessions: start, append, finish, cancel, expire.

The row holds what is acknowledged (size and hash state, flushed before it is written), the storage
holds the bytes. Any worker goes on with any session:

    PATCH ─► row ─► storage.resume(size, state), which locks ─► row again: unchanged?
          ─► bytes ─► checkpoint ─► row ─► unlock
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from kho.oci.digest import Digest
from kho.oci.errors import (
    BlobUploadUnknown,
    DigestInvalid,
    InsufficientStorage,
    RangeInvalid,
    RegistryError,
    RequestTimeout,
    SizeInvalid,
    Unavailable,
)
from kho.oci.hashing import resume_hasher
from kho.oci.ranges import ByteRange, upload_range
from kho.server import metrics
from kho.server.database import uploads as rows
from kho.server.database.engine import Transaction
from kho.server.database.uploads import UploadRow
from kho.server.policy.access import Caller
from kho.server.registry import blobs, open_uploads, repositories
from kho.server.resources import Resources
from kho.server.storage.interface import BlobWriter, Checkpoint, UploadBusy, UploadMissing

__all__ = [
    "Body",
    "BodyCut",
    "UploadRow",
    "append",
    "cancel",
    "expire",
    "find",
    "finish",
    "put_whole",
    "start",
    "status",
]

# What a killed worker can lose of one long request: the client resends at most this much.
CHECKPOINT: Final = 64 * 1024 * 1024
BUSY_SECONDS: Final = 5.0
BUSY_STEP: Final = 0.1
STATUS_SECONDS: Final = 2.0
EXPIRE_BATCH: Final = 100


class BodyCut(Exception):
    """The client left before its body was whole: what came is kept, nobody is answered."""


@dataclass(frozen=True, slots=True)
class Body:
    """A request's bytes. `length` and `chunk` are what its headers announce, where they do."""

    chunks: AsyncIterator[bytes]
    length: int | None = None
    chunk: ByteRange | None = None


def _unknown(upload_id: str) -> BlobUploadUnknown:
    return BlobUploadUnknown("upload unknown to this repository", detail={"upload": upload_id})


async def start(resources: Resources, repository: str, caller: Caller, algorithm: str) -> UploadRow:
    """Open a session that holds nothing; it is its caller's alone."""
    await repositories.check_creation(resources, repository, caller)
    await open_uploads.check(resources, caller)
    upload_id, actor = str(uuid4()), caller.name
    await resources.database.write_lazily(rows.create, upload_id, repository, actor, algorithm)
    metrics.count("kho_uploads_started_total")
    return UploadRow(upload_id, repository, actor, algorithm, 0, None, 0)


async def find(resources: Resources, repository: str, upload_id: str, caller: Caller) -> UploadRow:
    """Raise BlobUploadUnknown unless the session is open in this repository, and the caller's."""
    row = await resources.database.read(rows.find, upload_id, repository)
    if row is None or row.actor != caller.name:
        raise _unknown(upload_id)
    return row


async def status(resources: Resources, row: UploadRow) -> int:
    """How many bytes can be relied on; raise BlobUploadUnknown when they are gone.

    What a broken line still delivers of an earlier request is waited for a little: it would be sent
    once more, and refused.
    """
    try:
        row, writer = await _take(resources, row, STATUS_SECONDS)
    except Unavailable:
        return (await _still_open(resources, row)).size
    except BlobUploadUnknown:
        if row.size == 0 or await _placed(resources, row) is None:
            raise
    else:
        await writer.abort()
    return row.size


async def _still_open(resources: Resources, row: UploadRow) -> UploadRow:
    fresh = await resources.database.read(rows.find, row.id, row.repository)
    if fresh is None:
        raise _unknown(row.id)
    return fresh


async def _placed(resources: Resources, row: UploadRow) -> Digest | None:
    """The digest of a session whose bytes became a blob just before a crash kept the row.

    Its hash state proves that exactly these bytes were sent in this session.
    """
    hasher = resume_hasher(row.algorithm, row.state)
    if hasher is None or not await resources.storage.settle(hasher.digest(), row.size):
        return None
    return hasher.digest()


async def append(resources: Resources, row: UploadRow, body: Body) -> int:
    """Add the body's bytes; return the session's size. The bytes are flushed on return."""
    async with _writing(resources, row) as (fresh, writer):
        received = await _receive(resources, fresh, writer, body)
        return (await _save(resources, received, await writer.checkpoint())).size


async def finish(
    resources: Resources, row: UploadRow, digest: Digest, body: Body, caller: Caller
) -> None:
    """Add the last bytes, verify the whole, and make it a blob of the repository.

    Raises DigestInvalid, after which the session is gone, and what `append` raises.
    """
    try:
        size = await _store(resources, row, digest, body)
    except BlobUploadUnknown:
        row = await find(resources, row.repository, row.id, caller)
        if await anext(body.chunks, b"") or await _placed(resources, row) != digest:
            raise
        size = row.size
    await resources.database.write(_adopt, row, digest, size, caller)
    metrics.count("kho_uploads_finished_total")


async def _store(resources: Resources, row: UploadRow, digest: Digest, body: Body) -> int:
    async with _writing(resources, row) as (fresh, writer):
        await _receive(resources, fresh, writer, body)
        try:
            return await writer.finish(digest)
        except DigestInvalid:
            await resources.database.remove(rows.remove, row.id)
            raise
        except UploadMissing as error:
            raise _unknown(row.id) from error


@asynccontextmanager
async def _writing(
    resources: Resources, row: UploadRow
) -> AsyncIterator[tuple[UploadRow, BlobWriter]]:
    """Be the session's only writer. A session that fills the disk is given up: 507 must pass."""
    row, writer = await _take(resources, row, BUSY_SECONDS)
    try:
        yield row, writer
    except InsufficientStorage:
        await writer.abort()
        await resources.storage.discard(row.id)
        with suppress(RegistryError):  # the database may be full, too
            await resources.database.remove(rows.remove, row.id)
        raise
    finally:
        await writer.abort()


async def _adopt(
    tx: Transaction, row: UploadRow, digest: Digest, size: int, caller: Caller
) -> None:
    await rows.remove(tx, row.id)
    await blobs.adopt(tx, row.repository, digest, size, caller)


async def put_whole(
    resources: Resources, repository: str, caller: Caller, digest: Digest, body: Body
) -> None:
    """Take a blob in one request (end-4b): no session that another request could see."""
    await repositories.check_creation(resources, repository, caller)
    row = UploadRow(str(uuid4()), repository, caller.name, digest.algorithm, 0, None, 0)
    metrics.count("kho_uploads_started_total")
    writer = await resources.storage.create(row.id, row.algorithm)
    try:
        async for chunk in body.chunks:
            _check_size(resources, writer.size + len(chunk))
            await writer.write(chunk)
        size = await writer.finish(digest)
    except BaseException:
        await writer.abort()
        await resources.storage.discard(row.id)
        raise
    await resources.database.write(blobs.adopt, repository, digest, size, caller)
    metrics.count("kho_uploads_finished_total")


async def cancel(resources: Resources, row: UploadRow) -> None:
    """Forget the session and its bytes."""
    if not await resources.database.remove(rows.remove, row.id):
        raise _unknown(row.id)
    metrics.count("kho_uploads_cancelled_total")
    await resources.storage.discard(row.id)


async def _take(
    resources: Resources, row: UploadRow, patience: float
) -> tuple[UploadRow, BlobWriter]:
    """Become the session's only writer, at what is acknowledged now.

    The row is read again under the storage's lock: whoever held the lock before has written it, or
    never will, since no write of a row outlives the lock (`write_lazily`).
    """
    deadline = asyncio.get_running_loop().time() + patience
    while True:
        writer = None
        try:
            checkpoint = Checkpoint(row.size, row.state)
            writer = await resources.storage.resume(row.id, row.algorithm, checkpoint)
        except UploadMissing as error:
            raise _unknown(row.id) from error
        except UploadBusy as error:
            if asyncio.get_running_loop().time() > deadline:
                message = "another request is writing to this upload"
                raise Unavailable(message, retry_after=1) from error
            await asyncio.sleep(BUSY_STEP)
        try:
            fresh = await resources.database.read_settled(rows.find_settled, row.id, row.repository)
            if fresh is None:
                raise _unknown(row.id)
        except BaseException:
            if writer is not None:
                await writer.abort()
            raise
        if writer is not None:
            if (fresh.size, fresh.state) == (row.size, row.state):
                return row, writer
            await writer.abort()
        row = fresh


async def _receive(
    resources: Resources, row: UploadRow, writer: BlobWriter, body: Body
) -> UploadRow:
    """Write the body, acknowledging in the row as it goes; keep what came when it is cut."""
    _check_chunk(row, body)
    stop = None if body.chunk is None else body.chunk.stop
    try:
        async for chunk in body.chunks:
            if stop is not None and writer.size + len(chunk) > stop:
                raise SizeInvalid("the body is longer than its Content-Range")
            _check_size(resources, writer.size + len(chunk))
            await writer.write(chunk)
            if writer.size - row.size >= CHECKPOINT:
                row = await _save(resources, row, await writer.checkpoint())
    except (BodyCut, RequestTimeout):
        await _save(resources, row, await writer.checkpoint())
        raise
    if stop is not None and writer.size != stop:
        raise SizeInvalid("the body is shorter than its Content-Range")
    return row


async def _save(resources: Resources, row: UploadRow, checkpoint: Checkpoint) -> UploadRow:
    """Acknowledge a checkpoint; raise BlobUploadUnknown when the session is gone or has moved."""
    if checkpoint.size == row.size:
        return row
    moved = await resources.database.write_lazily(
        rows.advance, row.id, expected=row.size, size=checkpoint.size, state=checkpoint.state
    )
    if not moved:
        raise _unknown(row.id)
    return row._replace(size=checkpoint.size, state=checkpoint.state)


def _check_chunk(row: UploadRow, body: Body) -> None:
    """Chunks come in order and are as long as they say (section 3.4 of the protocol notes)."""
    if body.chunk is None:
        return
    if body.chunk.start != row.size:
        raise RangeInvalid(
            "the chunk starts at %(start)s, the upload holds %(size)s bytes",
            start=body.chunk.start,
            size=row.size,
            headers=(
                ("Location", f"/v2/{row.repository}/blobs/uploads/{row.id}"),
                ("Range", upload_range(row.size)),
                ("Docker-Upload-UUID", row.id),
            ),
        )
    if body.length is not None and body.length != body.chunk.length:
        raise SizeInvalid(
            "Content-Range announces %(length)s bytes, Content-Length %(length_2)s",
            length=body.chunk.length,
            length_2=body.length,
        )


def _check_size(resources: Resources, size: int) -> None:
    limit = resources.config.limits.blob_bytes
    if limit and size > limit:
        raise SizeInvalid("the blob is larger than the limit of %(limit)s bytes", limit=limit)


async def expire(resources: Resources) -> int:
    """Forget sessions that nobody touched for long; return how many."""
    age = resources.config.uploads.expire_hours * 3600.0
    count = 0
    while True:
        expired = await resources.database.read(rows.expired, int(age * 1000), EXPIRE_BATCH)
        for upload_id in expired:
            await resources.database.remove(rows.remove, upload_id)
            await resources.storage.discard(upload_id)
        count += len(expired)
        metrics.count("kho_uploads_expired_total", len(expired))
        if len(expired) < EXPIRE_BATCH:
            break
    for upload_id in await resources.storage.stale_uploads(age):
        await resources.storage.discard(upload_id)
    return count
