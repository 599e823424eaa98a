"""What one layer has in it: its entries, without their content."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from kho.layers.compression import Readable, decompressed
from kho.layers.errors import LayerRefused
from kho.layers.limits import Limits
from kho.layers.names import Marker, components, is_metadata, whiteout
from kho.layers.tar import Entry, Kind, TarReader

# Each entry takes some 500 bytes of memory as long as an image is looked at.
ENTRIES: Final = 1_000_000
LIMITS: Final = Limits(entries=ENTRIES)
_PIECE: Final = 1 << 20

Parts = tuple[bytes, ...]
"""Components below the root: () is the root itself."""


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a layer, or a whiteout: then `gone` says of what, and `path` is its folder."""

    path: Parts
    entry: Entry
    # Which entry of the layer it is, from 0.
    number: int
    gone: bytes | Marker | None = None
    # SHA-256 of the content of a file, where it was asked for.
    sha256: bytes = b""


@dataclass(frozen=True, slots=True)
class LayerIndex:
    """All entries of a layer in their order; `size` is the tar's, in bytes."""

    items: list[Item]
    size: int
    # Contents that were asked for, by number.
    kept: dict[int, bytes]


Keep = Callable[[Parts, int], bool]


def nothing(_: Parts, __: int) -> bool:
    """Keep no content."""
    return False


def index_layer(
    raw: Readable, *, hashed: bool = False, keep: Keep = nothing, limits: Limits = LIMITS
) -> LayerIndex:
    """Read a layer to its end; `keep` chooses by path and size whose content is wanted.

    Raises LayerRefused.
    """
    plain = decompressed(raw, limits)
    reader = TarReader(plain, limits)
    items: list[Item] = []
    kept: dict[int, bytes] = {}
    for number, entry in enumerate(reader):
        path = components(entry.path, limits)
        if is_metadata(path):
            continue
        gone = whiteout(path[-1]) if path else None
        if gone is not None:
            items.append(Item(path[:-1], entry, number, gone))
            continue
        sha256 = b""
        if entry.kind is Kind.FILE and path and keep(path, entry.size):
            kept[number] = content = _whole(reader, entry.size)
            sha256 = hashlib.sha256(content).digest() if hashed else b""
        elif entry.kind is Kind.FILE and hashed:
            sha256 = _hash(reader)
        items.append(Item(path, entry, number, None, sha256))
    reader.drain()
    return LayerIndex(items, plain.count, kept)


def copy_content(raw: Readable, number: int, write: Callable[[bytes], object]) -> None:
    """Hand the content of one entry to `write`; raise LayerRefused."""
    reader = TarReader(decompressed(raw, LIMITS), LIMITS)
    for at, _ in enumerate(reader):
        if at == number:
            while piece := reader.read(_PIECE):
                write(piece)
            return
    raise LayerRefused("it has fewer entries than before")


def _whole(reader: TarReader, size: int) -> bytes:
    found = bytearray()
    while len(found) < size and (piece := reader.read(_PIECE)):
        found += piece
    return bytes(found)


def _hash(reader: TarReader) -> bytes:
    hasher = hashlib.sha256()
    while piece := reader.read(_PIECE):
        hasher.update(piece)
    return hasher.digest()
