"""Files behind an event loop: threads that wait, flushed folders, blobs open for reading."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from kho.oci.errors import InsufficientStorage, RegistryError, Unavailable

T = TypeVar("T")

CHUNK: Final = 128 * 1024
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_PRIVATE_FOLDER: Final = 0o700
_NOWAIT: Final = getattr(os, "RWF_NOWAIT", 0)


def as_registry_error(error: OSError) -> RegistryError:
    """Name what the disk said: full is 507, anything else 503."""
    if error.errno in _FULL:
        return InsufficientStorage("the registry's storage is full")
    return Unavailable(
        f"the registry's storage failed: {errno.errorcode.get(error.errno or 0, 'unknown')}"
    )


class Threads:
    """The threads in which files are flushed, hashed and read when not in the page cache."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=16, thread_name_prefix="storage")

    async def run(self, function: Callable[..., T], *args: object) -> T:
        """Run and turn the disk's errors into answers."""
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._pool, function, *args)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            # The caller is gone, but the thread still uses the file: wait before it is closed.
            await asyncio.wait([future])
            raise
        except OSError as error:
            raise as_registry_error(error) from error

    def close(self) -> None:
        """Wait for running work."""
        self._pool.shutdown(wait=True)


@contextmanager
def opened_folder(path: Path) -> Iterator[int]:
    """A folder's descriptor, which can be flushed even when the folder was removed meanwhile."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def fsync_folder(path: Path) -> None:
    """Make the entries of a folder durable."""
    with opened_folder(path) as folder:
        os.fsync(folder)


def make_folders(path: Path, durable: set[Path]) -> None:
    """Create `path`, its entry and those above it flushed; `durable` are known to be.

    A folder that is there already may be another process's, not flushed yet.
    """
    if path in durable:
        return
    make_folders(path.parent, durable)
    path.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
    fsync_folder(path.parent)


class FileReader:
    """One open blob file."""

    def __init__(self, threads: Threads, fd: int, size: int) -> None:
        self._threads = threads
        self._fd = fd
        self._size = size

    @property
    def size(self) -> int:
        """Length of the blob."""
        return self._size

    async def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """Read from the page cache inline, from the disk in a thread."""
        offset = start
        while offset < stop:
            length = min(CHUNK, stop - offset)
            piece = self._cached(offset, length)
            if piece is None:
                piece = await self._threads.run(os.pread, self._fd, length, offset)
            if not piece:
                raise Unavailable("a stored blob is shorter than it was")
            offset += len(piece)
            yield piece

    def _cached(self, offset: int, length: int) -> bytes | None:
        """The bytes if the page cache has some of them, else None."""
        if not _NOWAIT:
            return None
        buffer = bytearray(length)
        try:
            count = os.preadv(self._fd, (buffer,), offset, _NOWAIT)
        except OSError:
            return None  # EAGAIN: not in memory. Any real error comes again in the thread.
        return bytes(memoryview(buffer)[:count]) if count < length else bytes(buffer)

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
