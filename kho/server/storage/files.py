"""What the disk says, in our words; flushed folders."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kho.oci.errors import InsufficientStorage, RegistryError, Unavailable

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_PRIVATE_FOLDER: Final = 0o700


def as_registry_error(error: OSError) -> RegistryError:
    """Name what the disk said: full is 507, anything else 503."""
    if error.errno in _FULL:
        return InsufficientStorage("the registry's storage is full")
    return Unavailable(
        "the registry's storage failed: %(errorcode)s",
        errorcode=errno.errorcode.get(error.errno or 0, "unknown"),
    )


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
