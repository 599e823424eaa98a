"""Bytes of a layer as they are stored, and as the tar that they are."""

import struct
import zlib
from collections.abc import Callable
from enum import Enum
from gzip import BadGzipFile
from typing import Final, Protocol

import zstandard
from isal.isal_zlib import IsalError, _GzipReader, crc32

from kho.layers.errors import LayerRefused
from kho.layers.limits import DEFAULT, Limits
from kho.layers.zstd_frames import ZSTD_MAGIC, ZstdFrames, is_skippable

_INPUT: Final = 64 * 1024
_OUTPUT: Final = 1 << 20
_HEAD: Final = 512
# No time, no name, no system: the ten bytes that Go writes.
_GZIP_HEADER: Final = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
_GZIP_LEVEL: Final = 6
_ZSTD_LEVEL: Final = 3
# What no layer has; xz hung containers/storage (CVE-2021-20291).
_REFUSED: Final = {
    b"\xfd7zXZ\0": "xz",
    b"BZh": "bzip2",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x02\x21\x4c\x18": "lz4",
    b"\x5d\0\0": "lzma",
    b"LZIP": "lzip",
    b"\x1f\x9d": "compress",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf": "7z",
}


class Readable(Protocol):
    """Where bytes come from: a file, a response's body, another of these."""

    def read(self, count: int, /) -> bytes:
        """At most so many bytes, perhaps fewer; none only at the end."""


class Compression(Enum):
    """How a layer is stored; the value is what OCI appends to its media type."""

    NONE = ""
    GZIP = "+gzip"
    ZSTD = "+zstd"

    @property
    def suffix(self) -> str:
        """What OCI appends to the media type of a layer."""
        return self.value

    @classmethod
    def of_media_type(cls, media_type: str) -> "Compression":
        """As an OCI or a Docker media type says; NONE where it says nothing."""
        if media_type.endswith(("+gzip", ".gzip")):
            return cls.GZIP
        if media_type.endswith(("+zstd", ".zstd")):
            return cls.ZSTD
        return cls.NONE


def detect(head: bytes) -> Compression:
    """By the first bytes, 262 or more where there are; LayerRefused for what no layer has."""
    if head.startswith(b"\x1f\x8b"):
        return Compression.GZIP
    if head.startswith(ZSTD_MAGIC) or is_skippable(head):
        return Compression.ZSTD
    if head[257:262] != b"ustar":
        for magic, name in _REFUSED.items():
            if head.startswith(magic):
                raise LayerRefused(
                    f"the layer is compressed with {name}; allowed are gzip, zstd and none"
                )
    return Compression.NONE


class _Source:
    """What is read from below: counted, timed, and begun with bytes that were looked at."""

    def __init__(self, raw: Readable, limits: Limits) -> None:
        self._raw = raw
        self._clock = limits.clock
        self._seconds = limits.seconds
        self._until = limits.clock() + limits.seconds
        self.count = 0
        self._head = b""

    def head(self) -> bytes:
        """The first bytes, which are read once more afterwards."""
        while len(self._head) < _HEAD:
            piece = self._raw.read(_HEAD - len(self._head))
            if not piece:
                break
            self._head += piece
        return self._head

    def read(self, count: int, /) -> bytes:
        if self._clock() > self._until:
            raise LayerRefused(f"reading the layer took more than {self._seconds:.0f} seconds")
        if self._head:
            piece, self._head = self._head[:count], self._head[count:]
        else:
            piece = self._raw.read(count)
        self.count += len(piece)
        return piece

    def readinto(self, target: memoryview, /) -> int:
        """What the reader of python-isal asks for."""
        piece = self.read(len(target))
        target[: len(piece)] = piece
        return len(piece)


class _Gzip:
    """Members one after another, checked by length and CRC-32; zeros between them are padding."""

    def __init__(self, source: _Source) -> None:
        # It wants a file, and uses its `readinto` alone.
        self._members = _GzipReader(source, _INPUT)  # type: ignore[arg-type]

    def read(self, count: int, /) -> bytes:
        try:
            piece: bytes = self._members.read(count)
        except EOFError:
            raise LayerRefused("the gzip stream is cut off") from None
        except (BadGzipFile, IsalError) as error:  # type: ignore[misc]
            raise LayerRefused(f"the gzip stream is damaged: {error}") from None
        return piece


class Decompressed:
    """The tar of a layer, as far as the limits let it come."""

    def __init__(self, raw: Readable, limits: Limits) -> None:
        self._source = _Source(raw, limits)
        self._limits = limits
        self.compression = detect(self._source.head())
        self.count = 0
        self._inner: Readable = self._source
        if self.compression is Compression.GZIP:
            self._inner = _Gzip(self._source)
        elif self.compression is Compression.ZSTD:
            self._inner = ZstdFrames(self._source, limits)

    @property
    def compressed_count(self) -> int:
        """How many bytes were taken from below."""
        return self._source.count

    def read(self, count: int, /) -> bytes:
        """At most so many bytes and at most 1 MiB; LayerRefused where the layer breaks a rule."""
        piece = self._inner.read(min(count, _OUTPUT))
        self.count += len(piece)
        limits = self._limits
        if self.count > limits.total:
            raise LayerRefused(f"the layer has more than {limits.total} bytes uncompressed")
        if self.count > limits.ratio_from and self.count > limits.ratio * self._source.count:
            raise LayerRefused(f"the layer grows more than {limits.ratio} times: a bomb")
        return piece


def decompressed(raw: Readable, limits: Limits = DEFAULT) -> Decompressed:
    """Read a layer as tar, however it is compressed; what is damaged or cut is LayerRefused."""
    return Decompressed(raw, limits)


class Writer(Protocol):
    """Takes the tar in pieces; what comes out is whole only after `close`."""

    def write(self, piece: bytes, /) -> None:
        """Take some more."""

    def close(self) -> None:
        """Write what is left, and the end."""


class _AsItIs:
    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write

    def write(self, piece: bytes, /) -> None:
        self._write(piece)

    def close(self) -> None:
        pass


class _ToGzip:
    """One member by zlib.

    isal is ten times as fast, but its output depends on the processor (other assembly, other
    matches; C code where there is no SSE 4.2) and is 9 to 12 % larger: a folder that is packed
    twice would be two layers. Who wants it fast takes zstd, which is faster and smaller.
    """

    def __init__(self, write: Callable[[bytes], object], level: int) -> None:
        self._write = write
        self._deflate = zlib.compressobj(level, wbits=-zlib.MAX_WBITS)
        self._crc = 0
        self._count = 0
        write(_GZIP_HEADER)

    def write(self, piece: bytes, /) -> None:
        self._crc = crc32(piece, self._crc)
        self._count += len(piece)
        if made := self._deflate.compress(piece):
            self._write(made)

    def close(self) -> None:
        trailer = struct.pack("<II", self._crc, self._count & 0xFFFFFFFF)
        self._write(self._deflate.flush() + trailer)


class _ToZstd:
    """One frame with a checksum, by one thread: more of them would cut it in other places."""

    def __init__(self, write: Callable[[bytes], object], level: int) -> None:
        self._write = write
        compressor = zstandard.ZstdCompressor(level=level, write_checksum=True)
        self._frame = compressor.compressobj()

    def write(self, piece: bytes, /) -> None:
        if made := self._frame.compress(piece):
            self._write(made)

    def close(self) -> None:
        self._write(self._frame.flush())


def compressed(
    write: Callable[[bytes], object], compression: Compression, level: int | None = None
) -> Writer:
    """Compress what is written, and `write` that; the level is of zlib (6) or of zstd (3)."""
    if compression is Compression.GZIP:
        return _ToGzip(write, _GZIP_LEVEL if level is None else level)
    if compression is Compression.ZSTD:
        return _ToZstd(write, _ZSTD_LEVEL if level is None else level)
    return _AsItIs(write)
