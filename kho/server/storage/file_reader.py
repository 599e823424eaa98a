"""A blob's file, open for reading."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from kho.oci.digest import Digest
from kho.oci.errors import Unavailable
from kho.oci.hashing import Hasher, new_hasher
from kho.server.storage.files import as_registry_error
from kho.server.storage.quarantine import Shelf
from kho.server.storage.verified import Identity, identity_of

# A piece costs two changes of thread besides its bytes, whatever its size: so it is large for a few
# readers, who cost a tenth less by it. Ten are on their way to one who stalls (2.5 MiB, or 1.3, or
# 0.9): so it is small for many.
LARGEST: Final = 256 * 1024
SMALLEST: Final = 64 * 1024
TOGETHER: Final = 768 * 1024
# Between two of these a hash that is under way can be given up.
STRIDE: Final = 32 * 1024 * 1024
_PIECE: Final = 256 * 1024  # stays in the processor's cache
_NOWAIT: Final = getattr(os, "RWF_NOWAIT", 0)


class FileReader:
    """One open blob file."""

    def __init__(self, shelf: Shelf, path: str, fd: int, status: os.stat_result) -> None:
        self._shelf = shelf
        self._path = path
        self._fd = fd
        self._size = status.st_size
        self._identity = identity_of(status)
        self._reading = False

    @property
    def size(self) -> int:
        """Length of the blob."""
        return self._size

    @property
    def identity(self) -> Identity:
        """The file as it was when it was opened."""
        return self._identity

    @property
    def verified(self) -> bool:
        """Whether this process has hashed the file as it is."""
        return self._identity in self._shelf.verified

    def confirm(self) -> None:
        """Remember the file, unless somebody changed it meanwhile."""
        if identity_of(os.fstat(self._fd)) == self._identity:
            self._shelf.verified.add(self._identity)

    def twin(self) -> "FileReader":
        """The same file under another descriptor."""
        try:
            fd = os.dup(self._fd)
        except OSError as error:
            raise as_registry_error(error) from error
        return FileReader(self._shelf, self._path, fd, os.fstat(fd))

    async def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """Read from the page cache inline, from the disk in a thread."""
        offset = start
        if not self._reading:
            self._reading = True
            self._shelf.readers += 1
        # One for many pieces: each of its own cost more than the copy out of it.
        buffer = memoryview(b"")
        while offset < stop:
            size = _piece_size(self._shelf.readers)
            length = min(size, stop - offset)
            if not length <= len(buffer) <= size:
                buffer = memoryview(bytearray(length))
            piece = self._cached(buffer[:length], offset)
            if piece is None:
                piece = await self._shelf.threads.run(os.pread, self._fd, length, offset)
            if not piece:
                raise Unavailable("a stored blob is shorter than it was")
            offset += len(piece)
            yield piece

    def _cached(self, buffer: memoryview, offset: int) -> bytes | None:
        """The bytes if the page cache has some of them, else None."""
        if not _NOWAIT:
            return None
        try:
            count = os.preadv(self._fd, (buffer,), offset, _NOWAIT)
        except OSError:
            return None  # EAGAIN: not in memory. Any real error comes again in the thread.
        return bytes(buffer[:count])

    async def digest(self, algorithm: str) -> Digest:
        """Hash the whole file, in a thread."""
        hasher = new_hasher(algorithm)
        offset = 0
        while offset < self._size:
            stop = min(offset + STRIDE, self._size)
            await self._shelf.threads.run(self._hash, hasher, offset, stop)
            offset = stop
        return hasher.digest()

    def _hash(self, hasher: Hasher, offset: int, stop: int) -> None:
        buffer = memoryview(bytearray(min(_PIECE, stop - offset)))
        while offset < stop:
            count = os.preadv(self._fd, (buffer[: stop - offset],), offset)
            if not count:
                raise Unavailable("a stored blob is shorter than it was")
            hasher.update(buffer[:count])
            offset += count

    async def set_aside(self) -> bool:
        """Move the file into quarantine, unless another has taken its place."""
        return await self._shelf.threads.run(self._shelf.set_aside, Path(self._path), self._fd)

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._shelf.readers -= self._reading


def _piece_size(readers: int) -> int:
    """Halved until one piece of each reader comes to little."""
    size = LARGEST
    while size > SMALLEST and size * readers > TOGETHER:
        size //= 2
    return size
