"""A session's file: locked, written, hashed again."""

import errno
import fcntl
import os
from pathlib import Path
from typing import Final

from kho.oci.hashing import Hasher, new_resumable_hasher
from kho.server.storage.interface import UploadBusy, UploadMissing

REHASH: Final = 1024 * 1024


def lock(fd: int, path: Path) -> None:
    """Hold the session; raise UploadBusy, or UploadMissing when it was finished meanwhile."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UploadBusy from error
    try:
        if os.stat(path).st_ino != os.fstat(fd).st_ino:
            raise UploadMissing
    except FileNotFoundError as error:
        raise UploadMissing from error


def write_all(fd: int, chunk: bytes, offset: int) -> None:
    """Write at a place, however many calls it takes."""
    written = os.pwrite(fd, chunk, offset)
    while written < len(chunk):
        more = os.pwrite(fd, memoryview(chunk)[written:], offset + written)
        if more == 0:
            raise OSError(errno.EIO, "nothing was written")
        written += more


def hash_file(fd: int, size: int, algorithm: str) -> Hasher:
    """Hash the first `size` bytes; raise UploadMissing when there are fewer."""
    hasher = new_resumable_hasher(algorithm)
    offset = 0
    while offset < size:
        piece = os.pread(fd, min(REHASH, size - offset), offset)
        if not piece:
            raise UploadMissing
        hasher.update(piece)
        offset += len(piece)
    return hasher
