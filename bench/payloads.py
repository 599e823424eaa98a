"""Random bytes on disk that are sent as blobs: new in each round, hashed before it is timed."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from bench.settings import MIB

STAMP = 16


@dataclass(frozen=True, slots=True)
class Blob:
    """A span of an open payload file, and the digest of its bytes."""

    file: int
    offset: int
    size: int
    digest: str


class Payload:
    """One file of `count` blobs of `size` bytes each."""

    def __init__(self, path: Path, size: int, count: int) -> None:
        self._path, self._size, self._count = path, size, count
        self._stamp: int | None = None
        self._blobs: tuple[Blob, ...] = ()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        left = size * count
        while left > 0:
            left -= os.write(self._file, os.urandom(min(left, 4 * MIB)))

    def blobs(self, stamp: int) -> tuple[Blob, ...]:
        """The blobs of one round: the same for the same stamp, all others for another stamp."""
        if stamp != self._stamp:
            self._blobs = tuple(self._stamped(index) for index in range(self._count))
            self._stamp = stamp
        return self._blobs

    def close(self) -> None:
        """Close the file and remove it."""
        os.close(self._file)
        self._path.unlink()

    def _stamped(self, index: int) -> Blob:
        offset = index * self._size
        os.pwrite(self._file, os.urandom(min(STAMP, self._size)), offset)
        return Blob(self._file, offset, self._size, self._digest(offset))

    def _digest(self, offset: int) -> str:
        state, end = hashlib.sha256(), offset + self._size
        while offset < end:
            data = os.pread(self._file, min(MIB, end - offset), offset)
            state.update(data)
            offset += len(data)
        return f"sha256:{state.hexdigest()}"


class Payloads:
    """The payload files of one scenario; the servers that are compared get the same bytes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[tuple[int, int], Payload] = {}

    def of(self, size: int, count: int) -> Payload:
        """The payload of this shape, written when it is asked for the first time."""
        if (size, count) not in self._made:
            self._made[size, count] = Payload(self._folder / f"payload-{size}-{count}", size, count)
        return self._made[size, count]

    def close(self) -> None:
        """Remove them all."""
        for made in self._made.values():
            made.close()
        self._made.clear()
