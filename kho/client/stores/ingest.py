"""One blob on its way into a folder: locked, gone on with, verified, then named."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from kho.oci.digest import Digest
from kho.oci.hashing import Hasher, new_hasher
from kho.oci.manifest import Descriptor

WAIT_SECONDS: Final = 0.2
_PIECE: Final = 1024 * 1024


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

    def write(self, piece: bytes) -> None:
        """At the end; into the page cache, which takes it at once."""
        view = memoryview(piece)
        while view:
            view = view[os.write(self._fd, view) :]

    async def place(self, target: Path) -> None:
        """Flush and name; the bytes are those of the digest."""
        target.parent.mkdir(parents=True, exist_ok=True)
        await asyncio.to_thread(os.fsync, self._fd)
        os.fchmod(self._fd, 0o644)
        os.replace(self._path, target)

    def drop(self) -> None:
        """The bytes are wrong: nothing of them stays."""
        os.ftruncate(self._fd, 0)


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
