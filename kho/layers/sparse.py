"""Sparse files of GNU tar: which pieces of a file the archive has, and what is zeros."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from kho.layers.errors import LayerRefused, shown
from kho.layers.tar_fields import SPARSE_MAP, decimal, number

_ZEROS: Final = bytes(256 * 1024)
_MAJOR: Final = b"GNU.sparse.major"
_MINOR: Final = b"GNU.sparse.minor"
_COUNT: Final = b"GNU.sparse.numblocks"
_NAME: Final = b"GNU.sparse.name"
_SIZES: Final = (b"GNU.sparse.size", b"GNU.sparse.realsize")
_KEYS: Final = frozenset({_MAJOR, _MINOR, SPARSE_MAP, _COUNT, _NAME, *_SIZES})
_IN_RECORDS: Final = {(b"", b""), (b"0", b"0"), (b"0", b"1")}
_IN_CONTENT: Final = (b"1", b"0")
# Where the pairs are, how many, and what says that a block of more follows.
_OLD_HEADER: Final = (386, 4, 482)
_OLD_BLOCK: Final = (0, 21, 504)
_OLD_PAIR: Final = 24
_OLD_SIZE: Final = slice(483, 495)

Piece = tuple[int, int]
"""Where it stands in the file, and how many bytes it has."""


@dataclass(frozen=True, slots=True)
class Holed:
    """A file with holes: `size` is what it looks like, `path` what it is called if it says so."""

    pieces: list[Piece]
    size: int
    path: bytes = b""


def is_announced(records: dict[bytes, bytes]) -> bool:
    """Whether PAX records are of a sparse file."""
    return not _KEYS.isdisjoint(records)


def old(header: bytes, more: Callable[[], bytes], most: int) -> Holed:
    """The format before PAX: pieces in the header, and in blocks between it and the content."""
    if header[257:265] != b"ustar  \0":
        raise LayerRefused("a sparse file that is not of GNU tar")
    pieces: list[Piece] = []
    block, (start, count, follows), size = header, _OLD_HEADER, 0
    while True:
        for at in range(start, start + count * _OLD_PAIR, _OLD_PAIR):
            if not block[at]:
                break
            pieces.append((number(block[at : at + 12]), number(block[at + 12 : at + _OLD_PAIR])))
        if not block[follows]:
            return Holed(pieces, number(header[_OLD_SIZE]))
        block, (start, count, follows) = more(), _OLD_BLOCK
        size += len(block)
        if size > most:
            raise LayerRefused(f"the map of a sparse file has more than {most} bytes")


def announced(records: dict[bytes, bytes], block: Callable[[], bytes], most: int) -> Holed:
    """The formats of PAX: pieces in the records (0.0, 0.1) or in blocks of the content (1.0)."""
    version = records.get(_MAJOR, b""), records.get(_MINOR, b"")
    sizes = {decimal(records[key], key) for key in _SIZES if key in records}
    if len(sizes) != 1:
        raise LayerRefused("a sparse file with no size, or two")
    if version in _IN_RECORDS:
        pieces = _in_records(records)
    elif version == _IN_CONTENT:
        pieces = _in_content(block, most)
    else:
        raise LayerRefused(f"a sparse file of the unknown format {shown(b'.'.join(version))}")
    path = records.get(_NAME, b"")
    if b"\0" in path:
        raise LayerRefused("a NUL in the name of a sparse file")
    return Holed(pieces, sizes.pop(), path)


def _in_records(records: dict[bytes, bytes]) -> list[Piece]:
    content = records.get(SPARSE_MAP, b"")
    numbers = content.split(b",") if content else []
    if len(numbers) != 2 * decimal(records.get(_COUNT, b""), _COUNT):
        raise LayerRefused("the map of a sparse file has another length than it says")
    return _pieces(numbers)


def _in_content(block: Callable[[], bytes], most: int) -> list[Piece]:
    """Lines: how many pieces, then two for each; up to the end of a block."""
    blocks = [block()]
    size, lines, wanted = len(blocks[0]), blocks[0].count(b"\n"), 1
    while True:
        if lines and wanted == 1:
            head = b"".join(blocks).partition(b"\n")[0]
            wanted += 2 * decimal(head, SPARSE_MAP)
        if lines >= wanted:
            return _pieces(b"".join(blocks).split(b"\n")[1:wanted])
        if size >= most:
            raise LayerRefused(f"the map of a sparse file has more than {most} bytes")
        blocks.append(block())
        size += len(blocks[-1])
        lines += blocks[-1].count(b"\n")


def _pieces(numbers: list[bytes]) -> list[Piece]:
    values = [decimal(one, SPARSE_MAP) for one in numbers]
    return list(zip(values[::2], values[1::2], strict=True))


class Expansion:
    """Reads a file with holes as what it looks like."""

    def __init__(self, holed: Holed, stored: int, read: Callable[[int], bytes]) -> None:
        """`stored` bytes can be `read`. LayerRefused where they do not make such a file."""
        if holed.size < 0:
            raise LayerRefused("a sparse file of less than no bytes")
        end = 0
        for offset, length in holed.pieces:
            if offset < end or length < 0 or offset + length > holed.size:
                raise LayerRefused("the pieces of a sparse file overlap or leave it")
            end = offset + length
        if sum(length for _, length in holed.pieces) != stored:
            raise LayerRefused("the pieces of a sparse file are not what is stored of it")
        self._pieces = holed.pieces[::-1]
        self._size = holed.size
        self._read = read
        self._at = 0

    def read(self, count: int) -> bytes:
        """At most so many bytes of the file, none at its end."""
        while self._pieces and self._at >= sum(self._pieces[-1]):
            self._pieces.pop()
        offset, length = self._pieces[-1] if self._pieces else (self._size, 0)
        if self._at < offset:
            content = _ZEROS[: min(count, offset - self._at)]
        else:
            content = self._read(min(count, offset + length - self._at))
        self._at += len(content)
        return content
