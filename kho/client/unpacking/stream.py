"""Layers on their way from their files into a root file system, checked and decompressed ahead.

    thread:  file ─► size, digest ─► decompress ─► diff id ─► queue, 8 MiB ─► whoever reads
                                                               layer after layer

Hashing, decompressing and writing let go of the interpreter's lock, so that two processors work.
"""

import hashlib
import os
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from kho.client.errors import ClientError, Damaged
from kho.layers.compression import decompressed
from kho.layers.errors import LayerRefused
from kho.layers.limits import Limits
from kho.oci.digest import Digest
from kho.oci.manifest import Descriptor

_PIECE: Final = 256 * 1024
_PIECES: Final = 32


class _Hash(Protocol):
    def update(self, data: bytes, /) -> object: ...

    def hexdigest(self) -> str: ...


class Stopped(ClientError):
    """Nobody wants the layers any more."""


@dataclass(frozen=True, slots=True)
class Part:
    """One layer: what its manifest says, what it is uncompressed, and its file once it is there."""

    content: Descriptor
    diff_id: Digest
    file: Future[Path]


class LayerStream:
    """The uncompressed bytes of one layer after the other.

    An end is told only after size, digest and diff id were found to be right.
    """

    def __init__(self, parts: Sequence[Part], limits: Limits) -> None:
        """`limits.total` counts all layers together."""
        self._parts = parts
        self._limits = limits
        self._queue: queue.Queue[bytes | Exception] = queue.Queue(_PIECES)
        self._rest = b""
        self._ended = False
        self._stop = False
        self._verdict_only = False
        self.total = 0
        self._thread = threading.Thread(target=self._run, name="kho-layers", daemon=True)
        self._thread.start()

    # The side of the reader.

    def read(self, count: int, /) -> bytes:
        """At most so many bytes, none at the end of a layer; Damaged, LayerRefused."""
        piece = self._rest
        if not piece:
            if self._ended:
                return b""
            piece = self._next()
        if len(piece) <= count:
            self._rest = b""
            return piece
        self._rest = piece[count:]
        return piece[:count]

    def _next(self) -> bytes:
        found = self._queue.get()
        if isinstance(found, Exception):
            self._ended = True
            raise found
        self._ended = not found
        return found

    def next_layer(self) -> None:
        """Go on behind the end of a layer."""
        self._rest, self._ended = b"", False

    def verdict(self) -> None:
        """Raise Damaged where a layer that makes no sense is not the one that was meant."""
        self._verdict_only = True
        while not self._ended:
            self._next()

    def stop(self) -> None:
        """End the reader's next read; may be called from any thread."""
        self._stop = True

    def close(self) -> None:
        """Wait for the thread's end."""
        self.stop()
        while self._thread.is_alive():
            try:
                while True:
                    self._queue.get_nowait()
            except queue.Empty:
                self._thread.join(0.01)

    # The thread.

    def _run(self) -> None:
        try:
            for part in self._parts:
                self._layer(part)
        except CancelledError:
            self._queue.put(Stopped("interrupted"))
        except Exception as error:  # noqa: BLE001 - it is raised on the other side
            self._queue.put(error)

    def _layer(self, part: Part) -> None:
        path = part.file.result()
        try:
            with path.open("rb", buffering=0) as file:
                self._check(part, file.fileno())
        except OSError as error:
            raise ClientError(f"{path}: {error.strerror}") from error
        self._queue.put(b"")

    def _check(self, part: Part, fd: int) -> None:
        content = part.content
        stored = _Stored(fd, content)
        tar = decompressed(stored, self._limits)
        hasher: _Hash = hashlib.new(part.diff_id.algorithm)
        refused: LayerRefused | None = None
        try:
            while not self._verdict_only and (piece := tar.read(_PIECE)):
                hasher.update(piece)
                self._put(piece)
        except LayerRefused as error:
            refused = error
        while stored.read(_PIECE):
            self._heed()
        stored.verify()
        if refused is not None:
            raise refused
        if not self._verdict_only and hasher.hexdigest() != part.diff_id.hex:
            raise Damaged(f"layer {content.digest} uncompressed is not {part.diff_id}")

    def _put(self, piece: bytes) -> None:
        self._heed()
        self.total += len(piece)
        if self.total > self._limits.total:
            raise LayerRefused(f"the layers have more than {self._limits.total} bytes uncompressed")
        self._queue.put(piece)

    def _heed(self) -> None:
        if self._stop:
            raise Stopped("interrupted")


class _Stored:
    """The file of a layer, hashed while it is read."""

    def __init__(self, fd: int, content: Descriptor) -> None:
        size = os.fstat(fd).st_size
        if size != content.size:
            raise Damaged(f"layer {content.digest} has {size} bytes; its manifest: {content.size}")
        self._fd = fd
        self._content = content
        self._hasher: _Hash = hashlib.new(content.digest.algorithm)

    def read(self, count: int, /) -> bytes:
        piece = os.read(self._fd, count)
        self._hasher.update(piece)
        return piece

    def verify(self) -> None:
        """At the end of the file; raise Damaged."""
        if self._hasher.hexdigest() != self._content.digest.hex:
            raise Damaged(f"layer {self._content.digest} is damaged: it has another digest")
