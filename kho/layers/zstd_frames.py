"""zstd, block by block: so much memory and no more, and every frame has its end."""

from typing import Final, Protocol

import zstandard

from kho.layers.errors import LayerRefused
from kho.layers.limits import Limits

ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_SKIPPABLE: Final = range(0x184D2A50, 0x184D2A60)

_INPUT: Final = 128 * 1024
_BLOCK: Final = 128 * 1024
# A block becomes 128 KiB at most.
_BLOCKS_AT_ONCE: Final = 8
_RLE: Final = 1
_RESERVED: Final = 3


def is_skippable(head: bytes) -> bool:
    """Whether a frame begins here that holds nothing of the content."""
    return int.from_bytes(head[:4], "little") in _SKIPPABLE


class _Readable(Protocol):
    def read(self, count: int, /) -> bytes: ...


def _window(header: bytes) -> int:
    """How many bytes back a frame may look; the whole of it where that is one segment."""
    descriptor, after = header[4], header[5:]
    if descriptor & 0x20:
        return int.from_bytes(after, "little") + (256 if descriptor >> 6 == 1 else 0)
    base = 1 << (10 + (after[0] >> 3))
    return base + base // 8 * (after[0] & 7)


class ZstdFrames:
    """Frames one after another; skippable ones are skipped.

        frame   magic  descriptor [window] [dictionary] [size]  block ...  [checksum]
        block   3 bytes: last, type, size    content

    libzstd turns 4 bytes into 128 KiB, and whatever it is handed into what that makes. So it is
    handed few blocks at once, and what is between the frames is looked at here.
    """

    def __init__(self, raw: _Readable, limits: Limits) -> None:
        self._raw = raw
        self._limits = limits
        decompressor = zstandard.ZstdDecompressor(max_window_size=limits.window)
        self._frames = decompressor.decompressobj(read_across_frames=True)
        self._input = b""
        self._at = 0
        self._in_frame = False
        self._checksum = 0
        self._output = b""
        self._taken = 0

    def read(self, count: int, /) -> bytes:
        """At most so many bytes, none only at the end of the last frame."""
        while self._taken == len(self._output):
            if not self._in_frame and not self._next_frame():
                return b""
            if self._in_frame:
                self._output, self._taken = self._decompress(self._blocks()), 0
        piece = self._output[self._taken : self._taken + count]
        self._taken += len(piece)
        return piece

    def _decompress(self, content: bytes) -> bytes:
        try:
            return self._frames.decompress(content)
        except zstandard.ZstdError as error:
            raise LayerRefused(f"the zstd stream is damaged: {error}") from None

    def _has(self, count: int) -> bool:
        """Whether so many bytes are there; then they are in `_input` from `_at`."""
        while len(self._input) - self._at < count:
            piece = self._raw.read(_INPUT)
            if not piece:
                return False
            self._input, self._at = self._input[self._at :] + piece, 0
        return True

    def _need(self, count: int) -> None:
        if not self._has(count):
            raise LayerRefused("the zstd stream is cut off")

    def _next_frame(self) -> bool:
        """Stand behind the header of a frame, or behind one that is skipped; False at the end."""
        if not self._has(1):
            return False
        self._need(8)
        magic = self._input[self._at : self._at + 4]
        if is_skippable(magic):
            size = int.from_bytes(self._input[self._at + 4 : self._at + 8], "little")
            self._skip(8 + size)
            return True
        if magic != ZSTD_MAGIC:
            raise LayerRefused("something that is not zstd follows the zstd stream")
        descriptor = self._input[self._at + 4]
        if descriptor & 3:
            raise LayerRefused("the zstd stream needs a dictionary, which no layer has")
        single, size_code = descriptor & 0x20, descriptor >> 6
        # A size of one byte exists only where there is no window.
        length = 5 + (0 if single else 1) + (1 if single else 0, 2, 4, 8)[size_code]
        self._need(length)
        header = self._input[self._at : self._at + length]
        window = _window(header)
        most = self._limits.window
        if window > most:
            raise LayerRefused(f"the zstd stream needs a window of {window} bytes, above {most}")
        self._decompress(header)
        self._at += length
        self._checksum = 4 if descriptor & 4 else 0
        self._in_frame = True
        return True

    def _skip(self, count: int) -> None:
        while count > len(self._input) - self._at:
            count -= len(self._input) - self._at
            self._at = len(self._input)
            self._need(1)
        self._at += count

    def _blocks(self) -> bytes:
        """Some whole blocks, and the checksum behind the last one of a frame."""
        length = 0
        for _ in range(_BLOCKS_AT_ONCE):
            if length and len(self._input) - self._at < length + 3:
                break
            self._need(length + 3)
            start = self._at + length
            header = int.from_bytes(self._input[start : start + 3], "little")
            last, kind, size = header & 1, header >> 1 & 3, header >> 3
            if size > _BLOCK or kind == _RESERVED:
                raise LayerRefused("the zstd stream is damaged: no such block")
            whole = 3 + (1 if kind == _RLE else size) + (self._checksum if last else 0)
            if length and len(self._input) - self._at < length + whole:
                break
            self._need(length + whole)
            length += whole
            if last:
                self._in_frame = False
                break
        start, self._at = self._at, self._at + length
        return self._input[start : self._at]
