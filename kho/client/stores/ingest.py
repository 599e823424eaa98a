"""One blob on its way into a folder: locked, gone on with, verified, then named.

    event loop   receives ─► gathers 1 MiB ─┐  next ─┐
    a thread                                └► hashes, writes ─► ...

One part is with the thread while the next is gathered, so two processors work on one blob.
"""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Final

from kho.oci.digest import Digest
from kho.oci.hashing import Hasher, new_hasher
from kho.oci.manifest import Descriptor

WAIT_SECONDS: Final = 0.2
_PIECE: Final = 1024 * 1024
# Handed to the thread at once: less costs more in hand-overs than it brings. From a slow line what
# has come in this time: a run that is killed loses what it has not written, and has to fetch for
# about as long again.
_PART: Final = 1024 * 1024
_PART_SECONDS: Final = 0.02


class Ingest:
    """A part file, which this process alone writes."""

    def __init__(self, path: Path, fd: int) -> None:
        self._path = path
        self._fd = fd
        # Whether the last look found bytes of an earlier run.
        self.resumed = False

    @classmethod
    @asynccontextmanager
    async def locked(cls, folder: Path, digest: Digest) -> "AsyncIterator[Ingest]":
        """Wait until nobody else is at this digest; its part stays unless it is placed."""
        path = _prepared(folder, digest)
        while (fd := _lock(path)) is None:  # noqa: ASYNC110 - another process has it
            await asyncio.sleep(WAIT_SECONDS)
        try:
            yield cls(path, fd)
        finally:
            _leave(path, fd)

    async def resume(self, content: Descriptor) -> tuple[int, Hasher]:
        """How many bytes an earlier run has left, and their hash."""
        hasher = new_hasher(content.digest.algorithm)
        if os.fstat(self._fd).st_size > content.size:
            os.ftruncate(self._fd, 0)
        size = await asyncio.to_thread(self._hash, hasher)
        os.lseek(self._fd, size, os.SEEK_SET)
        self.resumed = size > 0
        return size, hasher

    def _hash(self, hasher: Hasher) -> int:
        position = 0
        while piece := os.pread(self._fd, _PIECE, position):
            hasher.update(piece)
            position += len(piece)
        return position

    @asynccontextmanager
    async def writing(self, hasher: Hasher) -> "AsyncIterator[Writing]":
        """Append; all is in the file and hashed at the end, what came of it after an error."""
        with ThreadPoolExecutor(1, "ingest") as thread:
            writing = Writing(self._fd, hasher, thread)
            try:
                yield writing
            except BaseException:
                writing.save()
                raise
            await writing.flush()

    async def place(self, target: Path) -> None:
        """Flush and name; the bytes are those of the digest."""
        target.parent.mkdir(parents=True, exist_ok=True)
        await asyncio.to_thread(os.fsync, self._fd)
        os.fchmod(self._fd, 0o644)
        os.replace(self._path, target)

    def drop(self) -> None:
        """The bytes are wrong: nothing of them stays."""
        os.ftruncate(self._fd, 0)


class Writing:
    """Hashes and writes beside the event loop."""

    def __init__(self, fd: int, hasher: Hasher, thread: ThreadPoolExecutor) -> None:
        self._fd = fd
        self._hasher = hasher
        self._thread = thread
        self._gathered: list[bytes] = []
        self._size = 0
        self._due = monotonic() + _PART_SECONDS
        self._busy: Future[None] | None = None

    async def take(self, piece: bytes) -> None:
        """At the end; raise what went wrong with earlier pieces."""
        self._gathered.append(piece)
        self._size += len(piece)
        if self._size >= _PART or monotonic() >= self._due:
            await self._settle()
            self._busy = self._thread.submit(self._put, self._part())

    async def flush(self) -> None:
        """Wait until all is written; raise what went wrong."""
        await self._settle()
        self._put(self._part())

    def save(self) -> None:
        """Keep what came: the next run goes on behind it."""
        if self._busy is None or self._busy.exception() is None:  # waits for it
            with suppress(OSError):
                self._put(self._part())

    def _part(self) -> list[bytes]:
        part, self._gathered, self._size = self._gathered, [], 0
        self._due = monotonic() + _PART_SECONDS
        return part

    async def _settle(self) -> None:
        """The thread is done with what it had."""
        if self._busy is not None:
            await asyncio.shield(asyncio.wrap_future(self._busy))

    def _put(self, part: list[bytes]) -> None:
        for piece in part:
            self._hasher.update(piece)
            view = memoryview(piece)
            while view:
                view = view[os.write(self._fd, view) :]


def _prepared(folder: Path, digest: Digest) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder / f"{digest.algorithm}-{digest.hex}"


def _lock(path: Path) -> int | None:
    """Open and lock the part; None while somebody else is at it, or has just placed it."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with suppress(BlockingIOError):
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_still(path, fd):
            return fd
    os.close(fd)
    return None


def _leave(path: Path, fd: int) -> None:
    """Let go; an empty part is no use to anybody."""
    if _is_still(path, fd) and os.fstat(fd).st_size == 0:
        path.unlink()
    os.close(fd)


def _is_still(path: Path, fd: int) -> bool:
    """Whether the name is that of the open file: whoever had it may have placed it."""
    try:
        return os.path.samestat(path.stat(), os.fstat(fd))
    except FileNotFoundError:
        return False
