"""Layers that were pushed are listed: one at a time, the newest first, far behind the requests.

a row that waits ─► sifted ─► leased ─► bytes ─► a process (kho/server/inspection) ─► parts ─► rows
                                  └─ renewed while it lasts; when this worker dies, another takes it

Leases and refusals are not flushed: what the loss of power takes away is done once more.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, closing
from typing import Final

import msgspec

from kho.layers.errors import LayerRefused
from kho.layers.tar_header import is_header
from kho.layers.zstd_frames import ZSTD_MAGIC, is_skippable
from kho.oci.digest import parse_digest
from kho.oci.errors import Unavailable
from kho.server import telemetry
from kho.server.database import layer_listings as rows
from kho.server.database.layer_listings import Fresh, Lease
from kho.server.inspection.frames import Row
from kho.server.inspection.order import DEFAULT, Bounds
from kho.server.inspection.process import Failed, Refused, listing
from kho.server.resources import Resources
from kho.server.storage.interface import BlobReader

ATTEMPTS: Final = 3
NO_TAR: Final = "not a tar layer: it is neither gzip, nor zstd, nor begins as a tar"
LEASE_MS: Final = 60_000
_RENEW_SECONDS: Final = 20.0
# After an attempt that failed; it counts as long as the lease of a worker that has died.
_PAUSE_MS: Final = 10_000
# Of one transaction: pushes wait behind it.
_ROWS: Final = 100
_BYTES: Final = 256 * 1024
_ORPHANS: Final = 20
# Of a list: bytes that any layer may have, and for each byte of the layer. 2,000,000 empty files in
# one folder take ten for each.
_SMALL_LIST: Final = 1 << 20
_GROWTH: Final = 64
_HEAD: Final = 512
_PACKED: Final = (b"\x1f\x8b", ZSTD_MAGIC)


async def work(resources: Resources, bounds: Bounds = DEFAULT) -> int:
    """List until nothing waits; how many layers were looked at."""
    index = resources.config.index
    count = 0
    passed: set[int] = set()
    while index.enabled and index.files and await resources.database.read(rows.is_waiting):
        count += await _sift(resources, passed)
        held = await resources.database.write_lazily(rows.lease, LEASE_MS)
        if held is None:
            break
        await _look(resources, held, bounds)
        count += 1
    return count


async def _sift(resources: Resources, passed: set[int]) -> int:
    """Refuse together what begins as no layer does; how many. `passed` are not looked at again."""
    count = 0
    while True:
        fresh = [one for one in await resources.database.read(rows.fresh) if one.id not in passed]
        refused = [one.id for one in fresh if not await _may_be_layer(resources, one)]
        passed.update(one.id for one in fresh)
        if not refused:
            return count
        for digest in await resources.database.write_lazily(rows.refuse_fresh, refused, NO_TAR):
            telemetry.log_event("layer refused", "warning", digest=digest, reason=NO_TAR)
            count += 1


async def _may_be_layer(resources: Resources, one: Fresh) -> bool:
    """Also where the bytes cannot be read: whoever leases it finds out."""
    try:
        reader = await resources.storage.open(parse_digest(one.digest), one.size)
        if reader is not None:
            with closing(reader):
                await _begins_well(reader)
    except Unavailable:
        return True
    except Refused:
        return False
    return True


async def purge(resources: Resources) -> int:
    """Forget what was in layers that no repository has any more."""
    count = 0
    while found := await resources.database.remove(rows.purge, _ORPHANS):
        count += found
    return count


async def _look(resources: Resources, held: Lease, bounds: Bounds) -> None:
    """List one layer, or say why not."""
    try:
        async with _renewed(resources, held):
            if held.attempt > ATTEMPTS:
                raise Refused(f"reading it was begun {ATTEMPTS} times, and never came to an end")
            await _list(resources, held, bounds)
    except Refused as error:
        await _refuse(resources, held, str(error))
    except Failed as error:
        if held.attempt < ATTEMPTS:
            telemetry.log_event(
                "layer not listed", "warning", digest=held.digest, reason=str(error)
            )
            await resources.database.write(rows.renew, held, _PAUSE_MS * held.attempt)
        else:
            await _refuse(resources, held, str(error))
    except asyncio.CancelledError:
        await resources.database.write(rows.release, held)
        raise


async def _refuse(resources: Resources, held: Lease, reason: str) -> None:
    telemetry.log_event("layer refused", "warning", digest=held.digest, reason=reason)
    await resources.database.write_lazily(rows.refuse, held, reason)


async def _list(resources: Resources, held: Lease, bounds: Bounds) -> None:
    reader = None
    if held.size is not None:
        reader = await resources.storage.open(parse_digest(held.digest), held.size)
    if reader is None:
        raise Failed("its bytes are not stored")
    try:
        await _begins_well(reader)
        await resources.database.write(rows.clear, held)
        batch: list[tuple[bytes, bytes, bytes]] = []
        length = 0
        bounds = _in_proportion(bounds, reader.size)
        async with aclosing(listing(reader.chunks(0, reader.size), held.digest, bounds)) as found:
            async for one in found:
                if isinstance(one, Row):
                    batch.append((one.directory, one.first, one.entries))
                    length += len(one.directory) + len(one.entries)
                    if len(batch) < _ROWS and length < _BYTES:
                        continue
                if not await resources.database.write(rows.put_parts, held, LEASE_MS, batch):
                    return  # somebody else is at it
                batch, length = [], 0
                if not isinstance(one, Row):
                    await resources.database.write(rows.finish, held, one.files, one.size)
    finally:
        reader.close()


def _in_proportion(bounds: Bounds, size: int) -> Bounds:
    """Names that share folders of folders pack well: a few bytes must not fill the database."""
    most = min(bounds.output, _SMALL_LIST + _GROWTH * size)
    return msgspec.structs.replace(bounds, output=most)


async def _begins_well(reader: BlobReader) -> None:
    """Spare the process what is surely no layer; nothing is unpacked here."""
    head = b""
    async for piece in reader.chunks(0, min(_HEAD, reader.size)):
        head += piece
    packed = head.startswith(_PACKED) or is_skippable(head)
    if head and not packed and not _begins_as_tar(head):
        raise Refused(NO_TAR)


def _begins_as_tar(head: bytes) -> bool:
    """Whether it is a header, or zeros: then the tar is empty."""
    try:
        return len(head) == _HEAD and (not any(head) or is_header(head))
    except LayerRefused:
        return False


@asynccontextmanager
async def _renewed(resources: Resources, held: Lease) -> AsyncIterator[None]:
    """Keep the lease while something lasts."""

    async def renew() -> None:
        while True:
            await asyncio.sleep(_RENEW_SECONDS)
            await resources.database.write(rows.renew, held, LEASE_MS)

    renewing = asyncio.create_task(renew())
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)
