"""A layer being made: tar in, and in one pass its compressed bytes, digest and diff id.

tar ─┬─► diff id
     └─► compress ─┬─► digest
                   └─► a file without a name, gone with the process
"""

import asyncio
import hashlib
import os
import threading
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Final, Protocol, Self, TypeVar

from kho.client.archives.spool import Spool
from kho.client.errors import ClientError, Misused
from kho.layers.compression import Compression, compressed
from kho.oci import media_types
from kho.oci.digest import Digest

_PIECE: Final = 256 * 1024
# The tar is written in small pieces; hashes and compressors like larger ones.
_BATCH: Final = 256 * 1024
_OCI: Final = "application/vnd.oci.image.layer.v1.tar"
_DOCKER: Final = "application/vnd.docker.image.rootfs.diff.tar"

Result = TypeVar("Result")


class LayerFile(Protocol):
    """A layer that can be read any number of times."""

    @property
    def digest(self) -> Digest:
        """Of its bytes as they are stored."""

    @property
    def diff_id(self) -> Digest:
        """Of its tar."""

    @property
    def size(self) -> int:
        """In bytes, as it is stored."""

    @property
    def compression(self) -> Compression:
        """How it is stored."""

    def fileno(self) -> int:
        """To be read from, at any place."""

    def close(self) -> None:
        """Give it up."""


class Stopped(ClientError):
    """Nobody wants the result any more."""


class LayerMaker:
    """Takes a tar by `write`; after `finish` it is a LayerFile."""

    def __init__(self, compression: Compression = Compression.GZIP) -> None:
        self.compression = compression
        self._spool = Spool()
        self._batch = bytearray()
        self._tar = hashlib.sha256()
        self._stored = hashlib.sha256()
        self._writer = compressed(self._store, compression)
        self._stop = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def write(self, piece: bytes) -> None:
        """The next bytes of the tar."""
        self._batch += piece
        if len(self._batch) >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        if self._stop.is_set():
            raise Stopped("interrupted")
        batch, self._batch = bytes(self._batch), bytearray()
        self._tar.update(batch)
        self._writer.write(batch)

    def _store(self, piece: bytes) -> None:
        self._stored.update(piece)
        self._spool.write(piece)

    def finish(self) -> None:
        """The tar is whole."""
        self._flush()
        self._writer.close()

    def stop(self) -> None:
        """End it from another thread: the next `write` raises Stopped."""
        self._stop.set()

    @property
    def digest(self) -> Digest:
        """Of what is stored."""
        return Digest("sha256", self._stored.hexdigest())

    @property
    def diff_id(self) -> Digest:
        """Of the tar."""
        return Digest("sha256", self._tar.hexdigest())

    @property
    def size(self) -> int:
        """Of what is stored, in bytes."""
        return self._spool.size

    def fileno(self) -> int:
        """The file."""
        return self._spool.fileno()

    def close(self) -> None:
        """Give the space back."""
        self._spool.close()


async def in_thread(work: Callable[[], Result], stop: Callable[[], object]) -> Result:
    """Run `work` in a thread; when this is cancelled, `stop` it and wait for its end."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stop()
        await asyncio.gather(running, return_exceptions=True)
        raise


def pieces(layer: LayerFile, start: int) -> AsyncIterator[bytes]:
    """Its bytes from `start` on."""

    async def read() -> AsyncIterator[bytes]:
        position = start
        while piece := os.pread(layer.fileno(), _PIECE, position):
            position += len(piece)
            yield piece

    return read()


def layer_type(manifest_type: str, compression: Compression) -> str:
    """The media type of a layer, as the image's manifest has its others.

    Raises Misused for zstd in Docker's format, which no engine reads.
    """
    if manifest_type != media_types.DOCKER_MANIFEST:
        return _OCI + compression.suffix
    if compression is Compression.ZSTD:
        raise Misused(
            "the image is in Docker's format, which has no zstd layers: use gzip,"
            " or an image in OCI format"
        )
    return _DOCKER + (".gzip" if compression is Compression.GZIP else "")
