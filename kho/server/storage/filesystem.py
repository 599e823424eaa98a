"""Blobs as files, in the layout that registry:2 uses.

    <root>/docker/registry/v2/blobs/sha256/<first 2 hex>/<hex>/data     a blob, whole and flushed
    <root>/uploads/<uuid>                                               a session's bytes so far
    <root>/quarantine/                                                  blobs that were damaged

    bytes ─► uploads/<uuid> ─► fsync ─► rename ─► …/<hex>/data ─► fsync of each folder that changed

A blob exists under its name only after its bytes are on disk; a crash leaves at most a file in
`uploads/`. One writer holds a session by flock, which a killed process loses at once.
"""

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kho.oci.digest import Digest
from kho.oci.errors import DigestInvalid
from kho.oci.hashing import Hasher, new_resumable_hasher, resume_hasher
from kho.server.storage.file_inventory import FileInventory
from kho.server.storage.file_reader import FileReader
from kho.server.storage.files import (
    as_registry_error,
    fsync_folder,
    fsync_named,
    make_folders,
)
from kho.server.storage.interface import Checkpoint, UploadMissing
from kho.server.storage.quarantine import Shelf, held_folder
from kho.server.storage.session_file import hash_file, lock, write_all
from kho.server.storage.threads import Threads
from kho.server.storage.verified import Verified, identity_of
from kho.server.storage.writeback import start_writeback

# Small enough to stay in the processor's cache between receive, hash and write.
BATCH: Final = 1024 * 1024
SMALL_BATCH: Final = 256 * 1024
# One thread less to wake: 1.5 to 1.8 CPU seconds per GiB on the event loop, 1.9 to 2.4 in threads.
# A write that takes longer than this would make other requests wait.
SLOW_SECONDS: Final = 0.01
PAUSE_SECONDS: Final = 5.0
# So much is written before the disk is asked to start on it.
WRITEBACK: Final = 8 * 1024 * 1024
_PRIVATE_FILE: Final = 0o600
_PRIVATE_FOLDER: Final = 0o700


class FileWriter:
    """One session's writer; on a slow disk one batch is written while the next is received.

    Nothing in the file changes before the first write, so a writer that was opened on a stale
    checkpoint does no harm when it is aborted.
    """

    def __init__(
        self, storage: "FilesystemStorage", path: Path, fd: int, size: int, hasher: Hasher
    ) -> None:
        self._storage = storage
        self._path = path
        self._fd = fd
        self._taken = size
        self._written = size
        self._started = size
        self._cut = os.fstat(fd).st_size > size
        self._flushed = size > 0
        self._hasher = hasher
        self._batch: list[bytes] = []
        self._batch_size = 0
        self._running: asyncio.Task[None] | None = None

    @property
    def size(self) -> int:
        """Bytes taken so far."""
        return self._taken

    async def write(self, chunk: bytes) -> None:
        """Hash and write at once while the disk is quick, else by the batch in a thread."""
        self._batch.append(chunk)
        self._batch_size += len(chunk)
        self._taken += len(chunk)
        if self._batch_size < SMALL_BATCH:
            return  # `docker push` sends pieces of 32 KiB
        if self._storage.quick:
            await self._settle()
            with self._storage.watched():
                self._drain(self._take_batch())
        elif self._batch_size >= BATCH:
            await self._settle()
            running = self._storage.threads.run(self._drain, self._take_batch())
            self._running = asyncio.create_task(running)

    def _take_batch(self) -> list[bytes]:
        batch, self._batch, self._batch_size = self._batch, [], 0
        return batch

    async def _settle(self) -> None:
        """Wait for the batch that is under way; its error is raised here."""
        if self._running is not None:
            running, self._running = self._running, None
            try:
                await asyncio.shield(running)
            except asyncio.CancelledError:
                await asyncio.wait([running])
                raise

    def _drain(self, batch: list[bytes]) -> None:
        if self._cut:
            os.ftruncate(self._fd, self._written)
            self._cut = self._flushed = False
        for chunk in batch:
            self._hasher.update(chunk)
            write_all(self._fd, chunk, self._written)
            self._written += len(chunk)
            self._flushed = False
        if self._written - self._started >= WRITEBACK:
            start_writeback(self._fd, self._started, self._written - self._started)
            self._started = self._written

    def _flush(self, batch: list[bytes]) -> Checkpoint:
        self._drain(batch)
        if not self._flushed:
            os.fdatasync(self._fd)
            self._flushed = True
        return Checkpoint(self._written, self._hasher.save())

    async def checkpoint(self) -> Checkpoint:
        """Flush; the writer goes on."""
        await self._settle()
        return await self._storage.threads.run(self._flush, self._take_batch())

    async def finish(self, digest: Digest) -> int:
        """Verify and place."""
        try:
            await self._settle()
            return await self._storage.threads.run(self._place, digest)
        finally:
            await self.abort()

    def _place(self, digest: Digest) -> int:
        self._drain(self._batch)
        actual = self._hasher.digest()
        if actual.algorithm != digest.algorithm:
            actual = hash_file(self._fd, self._written, digest.algorithm).digest()
        if actual != digest:
            self._path.unlink(missing_ok=True)
            raise DigestInvalid(
                "the content does not match the digest",
                detail={"expected": str(digest), "actual": str(actual), "size": self._written},
            )
        if not self._flushed:
            os.fsync(self._fd)
        target = self._storage.blob_path(digest)
        while not self._renamed(target):
            if not self._path.exists():
                raise UploadMissing  # cancelled meanwhile
        return self._written

    def _renamed(self, target: Path) -> bool:
        """Rename and flush; False when the file is gone, or a deletion took the folder."""
        try:
            self._storage.prepare_folder(target.parent)
            with held_folder(target.parent) as folder:
                os.rename(self._path, target)
                os.fsync(folder)
            # The journal has taken both by now: flushed before the rename, it would run twice.
            fsync_folder(target.parent.parent)
            self._storage.shelf.verified.add(identity_of(os.fstat(self._fd)))
        except FileNotFoundError:
            self._storage.forget_folders()
            return False
        return True

    async def abort(self) -> None:
        """Let go; the caller's last checkpoint stands."""
        running, self._running = self._running, None
        if running is not None:
            await asyncio.wait([running])
            running.exception()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class FilesystemStorage:
    """Blobs under one folder of a local file system."""

    def __init__(self, root: Path) -> None:
        self.threads = Threads()
        self.root = root
        self.blobs = root / "docker" / "registry" / "v2" / "blobs"
        self._blobs = str(self.blobs)
        self.uploads = root / "uploads"
        self.shelf = Shelf(self.threads, root, Verified())
        self.inventory = FileInventory(self.threads, self.blobs, self.uploads)
        self._durable = {root}
        self._slow_until = 0.0
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            fsync_folder(root.parent)
            for folder in (self.blobs, self.uploads):
                make_folders(folder, self._durable)
        except OSError as error:
            raise as_registry_error(error) from error

    def blob_path(self, digest: Digest) -> Path:
        """Where the blob's bytes are; built from a parsed digest only."""
        return Path(self.blob_file(digest))

    def blob_file(self, digest: Digest) -> str:
        """The same as text: joining paths took a fifth of a HEAD."""
        return f"{self._blobs}/{digest.algorithm}/{digest.hex[:2]}/{digest.hex}/data"

    def prepare_folder(self, path: Path) -> None:
        """Make a blob's folder; its entry is still to be flushed.

        The folders of the first two digits are few: they are made durable, and remembered.
        """
        make_folders(path.parent, self._durable)
        self._durable.update((path.parent, path.parent.parent))
        path.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)

    def make_folder(self, path: Path) -> None:
        """Make a blob's folder durable."""
        self.prepare_folder(path)
        fsync_folder(path.parent)

    @property
    def quick(self) -> bool:
        """Whether writes into the page cache return at once, as they do until it is full."""
        return time.monotonic() >= self._slow_until

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Write on the event loop: a slow write is the last one there for a while."""
        started = time.monotonic()
        try:
            yield
        except OSError as error:
            raise as_registry_error(error) from error
        ended = time.monotonic()
        if ended - started > SLOW_SECONDS:
            self._slow_until = ended + PAUSE_SECONDS

    def forget_folders(self) -> None:
        """Somebody removed folders behind our back: make them again."""
        self._durable = {self.root}

    async def create(self, upload_id: str, algorithm: str) -> FileWriter:
        """Start a session."""
        return await self.resume(upload_id, algorithm, Checkpoint(0, None))

    async def resume(self, upload_id: str, algorithm: str, checkpoint: Checkpoint) -> FileWriter:
        """Open, lock, cut back to the checkpoint, take up its hash."""
        if checkpoint.size == 0:
            hasher: Hasher | None = new_resumable_hasher(algorithm)
        else:
            hasher = resume_hasher(algorithm, checkpoint.state)
        if hasher is None:  # which takes as long as there are bytes
            return await self.threads.run(self._open_session, upload_id, checkpoint, algorithm)
        try:
            return self._open_session(upload_id, checkpoint, hasher)
        except OSError as error:
            raise as_registry_error(error) from error

    def _open_session(
        self, upload_id: str, checkpoint: Checkpoint, hasher: Hasher | str
    ) -> FileWriter:
        """With the hash so far, or the name of the algorithm to hash the bytes again."""
        path = self.uploads / upload_id
        flags = os.O_RDWR | os.O_CLOEXEC | (0 if checkpoint.size else os.O_CREAT)
        try:
            fd = os.open(path, flags, _PRIVATE_FILE)
        except FileNotFoundError as error:
            if not checkpoint.size:
                raise  # not the session, the folder is gone
            raise UploadMissing from error
        try:
            lock(fd, path)
            length = os.fstat(fd).st_size
            if length < checkpoint.size:
                raise UploadMissing
            if isinstance(hasher, str):
                hasher = hash_file(fd, checkpoint.size, hasher)
        except BaseException:
            os.close(fd)
            raise
        return FileWriter(self, path, fd, checkpoint.size, hasher)

    async def discard(self, upload_id: str) -> None:
        """Remove the session's file."""
        try:
            (self.uploads / upload_id).unlink(missing_ok=True)
        except OSError as error:
            raise as_registry_error(error) from error

    async def open(self, digest: Digest, size: int | None) -> FileReader | None:
        """Open, and check the size against the one expected."""
        path = self.blob_file(digest)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise as_registry_error(error) from error
        status = os.fstat(fd)
        if size is not None and status.st_size != size:
            os.close(fd)
            return None
        return FileReader(self.shelf, path, fd, status)

    async def holds(self, digest: Digest, size: int) -> bool:
        """One stat."""
        try:
            return os.stat(self.blob_file(digest)).st_size == size
        except FileNotFoundError:
            return False
        except OSError as error:
            raise as_registry_error(error) from error

    async def settle(self, digest: Digest, size: int) -> bool:
        """Stat; flush the file, its name and the folders above."""
        if not await self.holds(digest, size):
            return False
        path = self.blob_path(digest)
        await self.threads.run(fsync_named, path)
        await self.threads.run(self.make_folder, path.parent)
        return True

    async def delete(self, digest: Digest) -> None:
        """Unlink the file and its folder."""
        await self.threads.run(self.shelf.remove, self.blob_path(digest))

    async def stale_uploads(self, older_than_seconds: float) -> list[str]:
        """Files whose last write lies that far back."""

        def find() -> list[str]:
            limit = time.time() - older_than_seconds
            with os.scandir(self.uploads) as entries:
                return [entry.name for entry in entries if _touched(entry) < limit]

        return await self.threads.run(find)

    async def ping(self) -> None:
        """Write, flush and remove a file."""

        def probe() -> None:
            path = self.uploads / f".probe-{os.getpid()}"
            fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, _PRIVATE_FILE)
            try:
                os.write(fd, b"probe")
                os.fsync(fd)
            finally:
                os.close(fd)
                path.unlink(missing_ok=True)

        await self.threads.run(probe)

    async def close(self) -> None:
        """End the threads."""
        self.threads.close()


def _touched(entry: os.DirEntry[str]) -> float:
    """When the file was written last; now, when it went away meanwhile."""
    try:
        return entry.stat().st_mtime
    except FileNotFoundError:
        return time.time()
