"""Random bytes on disk that are sent as blobs: new in each round, hashed before it is timed."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from bench.layouts import Images
from bench.settings import MIB

STAMP = 16
# How far apart blobs begin that share nearly all of their bytes.
SHIFT = 4096


@dataclass(frozen=True, slots=True)
class Blob:
    """A span of an open payload file, and the digest of its bytes."""

    file: int
    offset: int
    size: int
    digest: str


class Payload:
    """One file of `count` blobs of `size` bytes each; they begin `step` bytes apart."""

    def __init__(self, path: Path, size: int, count: int, step: int) -> None:
        self._path, self._size, self._count, self._step = path, size, count, step
        self._stamp: int | None = None
        self._blobs: tuple[Blob, ...] = ()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        left = step * (count - 1) + size
        while left > 0:
            left -= os.write(self._file, os.urandom(min(left, 4 * MIB)))

    def blobs(self, stamp: int) -> tuple[Blob, ...]:
        """The blobs of one round: the same for the same stamp, all others for another stamp."""
        if stamp != self._stamp:
            offsets = [index * self._step for index in range(self._count)]
            for offset in offsets:  # all of them first: they may lie in one another
                os.pwrite(self._file, os.urandom(min(STAMP, self._size)), offset)
            self._blobs = tuple(
                Blob(self._file, offset, self._size, self._digest(offset)) for offset in offsets
            )
            self._stamp = stamp
        return self._blobs

    def close(self) -> None:
        """Close the file and remove it."""
        os.close(self._file)
        self._path.unlink()

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
        self._made: dict[tuple[int, int, int], Payload] = {}
        self._images: dict[int, Images] = {}

    def of(self, size: int, count: int) -> Payload:
        """The payload of this shape, written when it is asked for the first time."""
        return self._shaped(size, count, size)

    def overlapping(self, size: int, count: int) -> Payload:
        """Many large blobs at the price of one; no two are alike."""
        return self._shaped(size, count, SHIFT)

    def _shaped(self, size: int, count: int, step: int) -> Payload:
        shape = size, count, step
        if shape not in self._made:
            path = self._folder / f"payload-{size}-{count}-{step}"
            self._made[shape] = Payload(path, size, count, step)
        return self._made[shape]

    def images(self, layer_size: int) -> Images:
        """Copies of a whole image: Debian's, or of layers of this size where it is not 0."""
        if layer_size not in self._images:
            folder = self._folder / f"images-{layer_size}"
            self._images[layer_size] = Images(folder, layer_size)
        return self._images[layer_size]

    def close(self) -> None:
        """Remove them all."""
        for images in self._images.values():
            images.close()
        self._images.clear()
        for made in self._made.values():
            made.close()
        self._made.clear()
