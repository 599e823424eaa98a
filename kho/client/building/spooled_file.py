"""A file of this machine as content: its digest is taken once, and what is sent is compared."""

import hashlib
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from kho.client.building.layer_file import Stopped
from kho.client.errors import Misused
from kho.layers.compression import Compression, decompressed
from kho.layers.limits import DEFAULT, Limits
from kho.layers.tar import TarReader
from kho.oci.digest import Digest

_PIECE: Final = 1024 * 1024


class FileOnDisk:
    """An open file; `read`, or `read_layer`, finds out what it is."""

    def __init__(self, path: Path) -> None:
        """Open it; raise Misused for what is no file."""
        self._path = path
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise Misused(f"{path}: {error.strerror}") from error
        self._stop = threading.Event()
        if not stat.S_ISREG(os.fstat(self._fd).st_mode):
            os.close(self._fd)
            raise Misused(f"{path} is no file")
        self.size = 0
        self.compression = Compression.NONE
        self._stored = hashlib.sha256()
        self._tar = self._stored

    def read(self) -> None:
        """Take its digest."""
        while self.piece(_PIECE):
            pass

    def read_layer(self, limits: Limits = DEFAULT) -> None:
        """Take digest and diff id; raise LayerRefused for what is no layer."""
        tar = decompressed(_Reader(self), limits)
        self.compression = tar.compression
        self._tar = hashlib.sha256()
        reader = TarReader(_Hashed(tar.read, self._tar), limits)
        for _ in reader:
            pass
        reader.drain()
        while self.piece(_PIECE):
            pass

    def piece(self, count: int) -> bytes:
        """The next bytes, hashed."""
        if self._stop.is_set():
            raise Stopped("interrupted")
        piece = os.pread(self._fd, count, self.size)
        self._stored.update(piece)
        self.size += len(piece)
        return piece

    def again(self) -> "_Again":
        """Its bytes once more, from the beginning; not hashed."""
        return _Again(self._fd, self._stop)

    def stop(self) -> None:
        """End it from another thread."""
        self._stop.set()

    @property
    def digest(self) -> Digest:
        """Of the file."""
        return Digest("sha256", self._stored.hexdigest())

    @property
    def diff_id(self) -> Digest:
        """Of the tar in it."""
        return Digest("sha256", self._tar.hexdigest())

    def fileno(self) -> int:
        """The file."""
        return self._fd

    def close(self) -> None:
        """Let go of it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class _Reader:
    """The file as whoever decompresses it reads it."""

    def __init__(self, file: FileOnDisk) -> None:
        self._file = file

    def read(self, count: int, /) -> bytes:
        return self._file.piece(count)


class _Hashed:
    """The tar, hashed on its way."""

    def __init__(self, read: Callable[[int], bytes], hasher: "hashlib._Hash") -> None:
        self._read = read
        self._hasher = hasher

    def read(self, count: int, /) -> bytes:
        piece = self._read(count)
        self._hasher.update(piece)
        return piece


class _Again:
    """A file from its beginning, whoever else reads it."""

    def __init__(self, fd: int, stop: threading.Event) -> None:
        self._fd = fd
        self._stop = stop
        self._at = 0

    def read(self, count: int, /) -> bytes:
        if self._stop.is_set():
            raise Stopped("interrupted")
        piece = os.pread(self._fd, count, self._at)
        self._at += len(piece)
        return piece
