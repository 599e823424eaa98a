"""Entries of one directory of one layer, packed: some 45 bytes each.

    blob      1 byte: how the rest is packed (0 as it is, 1 deflated)
    columns   names | kinds | modes | uids | gids | sizes | times | links | numbers | hashes

Column by column, and a column whose values are all the same is one value: that is usual for owners
and modes. Times and numbers are differences to the entry before.
"""

import zlib
from collections.abc import Sequence
from enum import Enum
from itertools import accumulate, pairwise
from typing import Final, NamedTuple

import msgspec

# The most that one part holds, and the most that one may become when it is unpacked.
MOST: Final = 1000
_UNPACKED: Final = 8 << 20
_HASH: Final = 32
_NO_HASH: Final = bytes(_HASH)
_RAW: Final = b"\0"
_DEFLATED: Final = b"\1"


class Kind(Enum):
    """What a name of a layer is."""

    FILE = "f"
    DIRECTORY = "d"
    IMPLIED = "i"  # a directory that has entries, and none of its own
    SYMLINK = "l"
    HARDLINK = "h"
    CHARACTER = "c"
    BLOCK = "b"
    FIFO = "p"
    WHITEOUT = "w"  # the name is not there any more
    OPAQUE = "o"  # of no name: what lower layers have in this directory is hidden

    @property
    def is_directory(self) -> bool:
        """Whether it can have entries."""
        return self in {Kind.DIRECTORY, Kind.IMPLIED}


_LINKED: Final = frozenset({Kind.SYMLINK, Kind.HARDLINK, Kind.CHARACTER, Kind.BLOCK})
_KINDS: Final = {kind.value: kind for kind in Kind}


class Entry(NamedTuple):
    """One name in one directory of one layer.

    `size` is of a file its bytes, of a directory those of all files that the layer has below it.
    `number` counts the members of the tar from 0, -1 where there is none. `sha256` is of a file
    that has content and no holes. `link` is the target, of a device `major:minor`. `mtime` is in
    seconds.
    """

    name: bytes
    kind: Kind
    mode: int = 0
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime: int = 0
    link: bytes = b""
    number: int = -1
    sha256: bytes = b""


class Damaged(Exception):
    """Not what `pack` makes."""


_Column = int | list[int]


class _Columns(msgspec.Struct, array_like=True, frozen=True):
    names: bytes
    kinds: str
    modes: _Column
    uids: _Column
    gids: _Column
    sizes: _Column
    times: tuple[int, _Column]
    links: bytes
    numbers: tuple[int, _Column]
    hashes: bytes


_DECODER: Final = msgspec.msgpack.Decoder(_Columns)
_encode: Final = msgspec.msgpack.Encoder().encode


def pack(entries: Sequence[Entry]) -> bytes:
    """One to `MOST` entries, in their order."""
    columns = _Columns(
        b"\0".join(entry.name for entry in entries),
        "".join(entry.kind.value for entry in entries),
        _column([entry.mode for entry in entries]),
        _column([entry.uid for entry in entries]),
        _column([entry.gid for entry in entries]),
        _column([entry.size for entry in entries]),
        _steps([entry.mtime for entry in entries]),
        b"\0".join(entry.link for entry in entries if entry.kind in _LINKED),
        _steps([entry.number for entry in entries]),
        b"".join(
            entry.sha256 or _NO_HASH for entry in entries if _is_hashed(entry.kind, entry.size)
        ),
    )
    raw = _encode(columns)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    small = deflate.compress(raw) + deflate.flush()
    return _DEFLATED + small if len(small) < len(raw) else _RAW + raw


def unpack(blob: bytes) -> list[Entry]:
    """What was packed. Raises Damaged, and takes no more memory than the largest part needs."""
    try:
        return _entries(_DECODER.decode(_inflated(blob)))
    except (msgspec.MsgspecError, zlib.error, ValueError, LookupError, OverflowError) as error:
        raise Damaged(str(error)) from None


def _inflated(blob: bytes) -> bytes:
    how, rest = blob[:1], blob[1:]
    if how == _RAW:
        return rest
    if how != _DEFLATED:
        raise Damaged("packed in an unknown way")
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    raw = inflate.decompress(rest, _UNPACKED)
    if not inflate.eof:
        raise Damaged("a part that is cut off, or too large")
    return raw


def _entries(columns: _Columns) -> list[Entry]:
    names = columns.names.split(b"\0")
    count = len(names)
    kinds = [_KINDS[one] for one in columns.kinds]
    sizes = _values(columns.sizes, count)
    if count > MOST or len(kinds) != count:
        raise Damaged("columns that do not fit")
    links = iter(columns.links.split(b"\0"))
    hashes = (columns.hashes[at : at + _HASH] for at in range(0, len(columns.hashes), _HASH))
    hashes = (b"" if one == _NO_HASH else one for one in hashes)
    return [
        Entry(*values)
        for values in zip(
            names,
            kinds,
            _values(columns.modes, count),
            _values(columns.uids, count),
            _values(columns.gids, count),
            sizes,
            _summed(columns.times, count),
            [next(links, b"") if kind in _LINKED else b"" for kind in kinds],
            _summed(columns.numbers, count),
            [
                next(hashes, b"") if _is_hashed(kind, size) else b""
                for kind, size in zip(kinds, sizes, strict=True)
            ],
            strict=True,
        )
    ]


def _is_hashed(kind: Kind, size: int) -> bool:
    return kind is Kind.FILE and size > 0


def _column(values: list[int]) -> _Column:
    return values[0] if len(set(values)) == 1 else values


def _values(column: _Column, count: int) -> list[int]:
    if isinstance(column, int):
        return [column] * count
    if len(column) != count:
        raise Damaged("a column of another length")
    return column


def _steps(values: list[int]) -> tuple[int, _Column]:
    steps = [after - before for before, after in pairwise(values)]
    return values[0], _column(steps) if steps else 0


def _summed(steps: tuple[int, _Column], count: int) -> list[int]:
    return list(accumulate(_values(steps[1], count - 1), initial=steps[0]))
