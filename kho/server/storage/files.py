"""Files behind an event loop: threads that wait, flushed folders."""

import asyncio
import errno
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from kho.oci.errors import InsufficientStorage, RegistryError, Unavailable

T = TypeVar("T")

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_PRIVATE_FOLDER: Final = 0o700


def as_registry_error(error: OSError) -> RegistryError:
    """Name what the disk said: full is 507, anything else 503."""
    if error.errno in _FULL:
        return InsufficientStorage("the registry's storage is full")
    return Unavailable(
        f"the registry's storage failed: {errno.errorcode.get(error.errno or 0, 'unknown')}"
    )


class _Pool(ThreadPoolExecutor):
    """A pool that does with fewer threads when the system allows no more.

    Its base would say no, and do the work all the same, later, on files that are closed by then.
    """

    def _adjust_thread_count(self) -> None:
        try:
            super()._adjust_thread_count()
        except RuntimeError:
            if not self._threads:
                raise


class Threads:
    """The threads in which files are flushed, hashed and read when not in the page cache."""

    def __init__(self) -> None:
        self._pool = _Pool(max_workers=16, thread_name_prefix="storage")
        self._pool.submit(int)  # one there must be: later there may be no memory for any

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


def fsync_named(path: Path) -> None:
    """Make a file durable, and its entry."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    fsync_folder(path.parent)


def make_folders(path: Path, durable: set[Path]) -> None:
    """Create `path`, its entry and those above it flushed; `durable` are known to be.

    A folder that is there already may be another process's, not flushed yet.
    """
    if path in durable:
        return
    make_folders(path.parent, durable)
    path.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
    fsync_folder(path.parent)
