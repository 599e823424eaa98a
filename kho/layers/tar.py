"""A reader of tar that takes what GNU tar and Go take alike, and refuses what they tell apart."""

from collections.abc import Iterator
from dataclasses import replace
from io import SEEK_CUR
from typing import Final

from kho.layers import sparse
from kho.layers.compression import Readable
from kho.layers.errors import LayerRefused, shown
from kho.layers.limits import DEFAULT, Limits
from kho.layers.tar_fields import number, records, text
from kho.layers.tar_header import (
    BLOCK,
    FLAG,
    SIZE,
    Announcement,
    Entry,
    Kind,
    decoded,
    is_header,
)

__all__ = ["Entry", "Kind", "TarReader"]

_INPUT: Final = 256 * 1024
_ZERO_BLOCK: Final = bytes(BLOCK)
_ANNOUNCING: Final = b"xgLK"
_LOCAL: Final = frozenset({b"path", b"linkpath", b"size"})


def _seeks(raw: Readable) -> bool:
    seekable = getattr(raw, "seekable", None)
    return seekable is not None and bool(seekable())


class TarReader:
    """Entries in their order; the content of the one that was named last can be read.

    LayerRefused, which names the entry, for what breaks the format or a limit and for what other
    readers would take for something else. Global PAX headers are passed over, as Go does. Content
    that nobody reads is jumped over where `raw` can `seek`.
    """

    def __init__(self, raw: Readable, limits: Limits = DEFAULT) -> None:
        self._raw = raw
        self._limits = limits
        self._buffer = b""
        self._at = 0
        # Of the first byte of the buffer.
        self._offset = 0
        self._left = 0
        self._padding = 0
        self._expansion: sparse.Expansion | None = None
        self._path = b""
        self._entries = 0
        self._total = 0
        self._ended = False

    @property
    def position(self) -> int:
        """Where in the tar the next byte is: after an entry is named, where its content begins."""
        return self._offset + self._at

    @property
    def has_holes(self) -> bool:
        """Whether the content of the entry is that of a sparse file: zeros may be all of it."""
        return self._expansion is not None

    def __iter__(self) -> Iterator[Entry]:
        return self

    def __next__(self) -> Entry:
        if self._ended:
            raise StopIteration
        self._skip()
        announced: Announcement | None = None
        while (block := self._header()) is not None:
            if block[156] not in _ANNOUNCING:
                return self._entry(block, announced)
            announced = self._announcement(block, announced)
        if announced is not None:
            raise LayerRefused("the tar ends behind what announces an entry")
        self._ended = True
        raise StopIteration

    def read(self, count: int, /) -> bytes:
        """At most so many bytes of the content of the entry, none at its end."""
        if self._expansion is not None:
            return self._expansion.read(count)
        return self._stored(count)

    def drain(self) -> int:
        """Read what is left, to the end of the stream; how many bytes that were."""
        count = len(self._buffer) - self._at
        self._offset += len(self._buffer)
        self._buffer, self._at = b"", 0
        while piece := self._raw.read(_INPUT):
            count += len(piece)
            self._offset += len(piece)
        self._ended = True
        self._expansion, self._left = None, 0
        return count

    # The stream, in blocks.

    def _has(self, count: int) -> bool:
        """Whether so many bytes are there; then they are in the buffer."""
        missing = count - (len(self._buffer) - self._at)
        if missing <= 0:
            return True
        pieces = [self._buffer[self._at :]]
        self._offset += self._at
        while missing > 0 and (piece := self._raw.read(max(missing, _INPUT))):
            pieces.append(piece)
            missing -= len(piece)
        self._buffer, self._at = b"".join(pieces), 0
        return missing <= 0

    def _take(self, count: int) -> bytes:
        if not self._has(count):
            raise LayerRefused("the tar is cut off")
        at = self._at
        self._at = end = at + count
        return self._buffer[at:end]

    def _stored(self, count: int) -> bytes:
        """At most so many of the bytes that the archive has of the entry."""
        count = min(count, self._left)
        if not count:
            return b""
        at = self._at
        if at < len(self._buffer):
            piece = self._buffer[at : at + count]
            self._at = at + len(piece)
        else:
            self._offset += at
            self._buffer, self._at = b"", 0
            piece = self._raw.read(count)
            if not piece:
                raise LayerRefused(f"{shown(self._path)}: the tar is cut off in its content")
            self._offset += len(piece)
        self._left -= len(piece)
        return piece

    def _skip(self) -> None:
        """Pass over what was not read of the entry, and the padding behind it."""
        self._expansion = None
        rest = self._left + self._padding
        here = len(self._buffer) - self._at
        if rest <= here:
            self._at += rest
            self._left = self._padding = 0
            return
        if self._left > here and _seeks(self._raw):
            self._seek()
        while self._left:
            self._stored(_INPUT)
        # Like Go, do not miss the padding of the last one.
        whole = self._has(self._padding)
        self._at = self._at + self._padding if whole else len(self._buffer)
        self._padding = 0

    def _seek(self) -> None:
        """Jump over content in a file, but for the last byte: that must be there."""
        far = self._left - (len(self._buffer) - self._at) - 1
        self._raw.seek(far, SEEK_CUR)  # type: ignore[attr-defined]
        self._offset += len(self._buffer) + far
        self._buffer, self._at, self._left = b"", 0, 1

    def _header(self) -> bytes | None:
        """The next block with a good checksum, or None at the end."""
        if not self._has(BLOCK):
            if self._at < len(self._buffer):
                raise LayerRefused("the tar is cut off in a header")
            return None
        at = self._at
        self._at = at + BLOCK
        block = self._buffer[at : at + BLOCK]
        if not block[0] and block == _ZERO_BLOCK:
            # Two of them are the end, and so is one where nothing follows.
            if self._has(1) and self._take(BLOCK) != _ZERO_BLOCK:
                raise LayerRefused("the tar goes on behind a block of zeros")
            return None
        if not is_header(block):
            raise LayerRefused(f"no header of a tar at byte {self.position - BLOCK}")
        return block

    # What the blocks say.

    def _announcement(self, block: bytes, before: Announcement | None) -> Announcement | None:
        """Content that speaks of the next header. Its own size counts, none from a PAX record."""
        size = number(block[SIZE])
        if not 0 <= size <= self._limits.header:
            raise LayerRefused(
                f"a PAX or GNU header of {size} bytes; allowed are {self._limits.header}"
            )
        content = self._take(size)
        self._padding = -size % BLOCK
        self._skip()
        flag = block[FLAG]
        if flag == b"g":
            self._count()
            if before is not None:
                raise LayerRefused("a global PAX header between an entry and its announcement")
            for key in records(content):
                # GNU tar applies it to all that follows, Go to nothing.
                if key in _LOCAL or key.startswith(b"GNU.sparse."):
                    raise LayerRefused(f"a global PAX header sets {shown(key)}")
            return None
        announced = before or Announcement()
        if flag == b"x":
            twice = bool(announced.records)
            announced.records = records(content)
        elif flag == b"L":
            twice = announced.path is not None
            announced.path = text(content)
        else:
            twice = announced.link is not None
            announced.link = text(content)
        if twice:
            raise LayerRefused("an entry is announced twice")
        return announced

    def _entry(self, block: bytes, announced: Announcement | None) -> Entry:
        self._count()
        self._path = text(block)[:100]
        try:
            entry = decoded(block, announced)
            self._path = entry.path
            if entry.kind is not Kind.FILE:
                return self._bounded(entry)
            self._left, self._padding = entry.size, -entry.size % BLOCK
            flag = block[FLAG]
            if flag == b"S" or (announced is not None and sparse.is_announced(announced.records)):
                entry = self._sparse(entry, block, announced.records if announced else {})
            return self._bounded(entry)
        except LayerRefused as error:
            raise LayerRefused(f"{shown(self._path)}: {error}") from None

    def _bounded(self, entry: Entry) -> Entry:
        most = self._limits.path
        if len(entry.path) > most or len(entry.link) > most:
            raise LayerRefused(f"a path of more than {most} bytes")
        self._total += entry.size
        if self._total > self._limits.total:
            raise LayerRefused(f"the files of the layer have more than {self._limits.total} bytes")
        return entry

    def _count(self) -> None:
        self._entries += 1
        if self._entries > self._limits.entries:
            raise LayerRefused(f"the layer has more than {self._limits.entries} entries")

    def _sparse(self, entry: Entry, block: bytes, pax: dict[bytes, bytes]) -> Entry:
        """A file with holes: as long as it looks, and what is stored between zeros."""
        if block[FLAG] == b"S":
            found = sparse.old(block, lambda: self._take(BLOCK), self._limits.header)
        else:
            found = sparse.announced(pax, self._map_block, self._limits.header)
        self._expansion = sparse.Expansion(found, self._left, self._stored)
        return replace(entry, size=found.size, path=found.path or entry.path)

    def _map_block(self) -> bytes:
        """A block of the content; those of a map are whole."""
        if self._left < BLOCK:
            raise LayerRefused("the map of a sparse file is cut off")
        content = self._take(BLOCK)
        self._left -= BLOCK
        return content
