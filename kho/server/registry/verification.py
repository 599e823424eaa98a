"""No blob goes out whole before this worker has hashed its file once (docs/decisions/0015).

A manifest is a row, and is hashed whenever it comes from the database (at the end).

    reader ─► hashed before? ─yes─► served as it is
                  │ no
                  ▼
      one task hashes the file, however many ask ─► right: remembered for a day
                  │                               └► wrong: quarantine, log, metric, audit event
                  ▼
      up to 4 MiB the answer waits; else it streams, and its last piece waits

The hash runs beside the stream, so that a range of a large file begins at once, too.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Hashable
from contextlib import suppress
from typing import Final

from kho.oci.digest import Digest, parse_digest
from kho.oci.errors import RegistryError, Unavailable
from kho.server import metrics, telemetry
from kho.server.database import audit
from kho.server.database.audit import Event
from kho.server.database.manifests import ManifestRow
from kho.server.resources import Resources
from kho.server.storage.interface import BlobReader, StoredReader

SMALL: Final = 4 * 1024 * 1024
AT_ONCE: Final = 2
# The same absence is told once in so long by each worker: clients ask again and again.
QUIET_SECONDS: Final = 3600.0
_MOST_TOLD: Final = 10_000


class _Checks:
    """What one worker is hashing, and what it has told."""

    def __init__(self) -> None:
        self.running: dict[Hashable, asyncio.Task[bool]] = {}
        self.turns = asyncio.Semaphore(AT_ONCE)
        self.told: dict[str, float] = {}


class HeldBack:
    """A reader whose last piece waits until the whole file is known to be right."""

    def __init__(self, reader: StoredReader, check: asyncio.Task[bool]) -> None:
        self._reader = reader
        self._check = check

    @property
    def size(self) -> int:
        """Length of the whole blob."""
        return self._reader.size

    async def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """Raises Unavailable before the last piece when the file is damaged."""
        held: bytes | None = None
        async for piece in self._reader.chunks(start, stop):
            if held is not None:
                yield held
            held = piece
        if not await asyncio.shield(self._check):
            raise Unavailable("a stored blob is damaged")
        if held is not None:
            yield held

    def close(self) -> None:
        """The check has a descriptor of its own."""
        self._reader.close()


async def sound(
    resources: Resources, repository: str, digest: Digest, reader: StoredReader
) -> BlobReader | None:
    """A reader that never ends well with wrong bytes; None, and closed, for known damage."""
    if reader.verified:
        return reader
    try:
        check = _checking(resources, repository, digest, reader)
        if reader.size > SMALL:
            return HeldBack(reader, check)
        right = await asyncio.shield(check)
    except BaseException:
        reader.close()
        raise
    if right:
        return reader
    reader.close()
    return None


def _checking(
    resources: Resources, repository: str, digest: Digest, reader: StoredReader
) -> asyncio.Task[bool]:
    """The one task that hashes this file."""
    checks = resources.memory.keep(_Checks)
    identity = reader.identity
    known = checks.running.get(identity)
    if known is not None:
        return known

    def ended(task: asyncio.Task[bool]) -> None:
        del checks.running[identity]
        if not task.cancelled():
            task.exception()  # whoever still waits is told; perhaps nobody does

    work = _check(resources, repository, digest, reader.twin())
    task = checks.running[identity] = asyncio.create_task(work)
    task.add_done_callback(ended)
    return task


async def _check(
    resources: Resources, repository: str, digest: Digest, reader: StoredReader
) -> bool:
    turns = resources.memory.keep(_Checks).turns
    try:
        if reader.size > SMALL:
            async with turns:  # the others' files must not wait for a thread
                actual = await reader.digest(digest.algorithm)
        else:
            actual = await reader.digest(digest.algorithm)
        if actual == digest:
            reader.confirm()
            resources.memory.keep(_Checks).told.pop(str(digest), None)
            return True
        moved = False
        with suppress(RegistryError):  # on a full disk it stays, and is found again
            moved = await reader.set_aside()
        found = f"the bytes are those of {actual}"
        await _tell_of_blob(resources, repository, digest, found, moved)
        return False
    finally:
        reader.close()


async def absent(resources: Resources, repository: str, digest: Digest, size: int) -> None:
    """Tell, from time to time, that a blob which has a row has not its bytes."""
    if _told_lately(resources, str(digest)):
        return
    reader = await resources.storage.open(digest, None)
    if reader is None:
        what = f"its {size} bytes are not there"
    else:
        what = f"{reader.size} bytes are stored, {size} were pushed"
        reader.close()
    await _tell_of_blob(resources, repository, digest, what, moved=False)


async def _tell_of_blob(
    resources: Resources, repository: str, digest: Digest, found: str, moved: bool
) -> None:
    metrics.count("kho_blobs_damaged_total")
    details = {"found": found, "quarantined": moved}
    telemetry.log_event(
        "blob damaged", "error", digest=str(digest), repository=repository, **details
    )
    event = Event("blob.damaged", "failed", "system", repository, str(digest), details=details)
    await _record(resources, event, str(digest))


def right(resources: Resources, repository: str, row: ManifestRow) -> bool:
    """Whether a manifest's bytes are those of its digest: 1 to 7 us for 1 to 10 KiB."""
    digest = parse_digest(row.digest)
    if Digest.of(row.body, digest.algorithm) != digest:
        return False
    told = resources.memory.keep(_Checks).told
    if told:
        told.pop(_of_manifest(repository, row), None)
    return True


async def tell_of_manifest(resources: Resources, repository: str, row: ManifestRow) -> None:
    """Tell, from time to time, that a manifest is not `right`; the next push of it heals it."""
    key = _of_manifest(repository, row)
    if _told_lately(resources, key):
        return
    metrics.count("kho_manifests_damaged_total")
    actual = Digest.of(row.body, parse_digest(row.digest).algorithm)
    found = f"the {len(row.body)} bytes are those of {actual}"
    telemetry.log_event(
        "manifest damaged", "error", digest=row.digest, repository=repository, found=found
    )
    details = {"found": found}
    event = Event("manifest.damaged", "failed", "system", repository, row.digest, details=details)
    await _record(resources, event, key)


def _of_manifest(repository: str, row: ManifestRow) -> str:
    return f"{repository}@{row.digest}"


def _told_lately(resources: Resources, key: str) -> bool:
    return time.monotonic() < resources.memory.keep(_Checks).told.get(key, 0.0)


async def _record(resources: Resources, event: Event, key: str) -> None:
    """In the trail, and not again for a while."""
    told = resources.memory.keep(_Checks).told
    if len(told) >= _MOST_TOLD:
        told.clear()
    told[key] = time.monotonic() + QUIET_SECONDS
    with suppress(RegistryError):  # the log has it
        await resources.database.write(audit.record, event)
