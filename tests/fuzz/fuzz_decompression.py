"""gzip and zstd: what is taken is what zlib and libzstd make of it, in any pieces."""

import zlib

import zstandard

from kho.layers.compression import Compression, compressed, decompressed
from kho.layers.errors import LayerRefused
from kho.layers.limits import Limits
from tests.layers.archives import Dripping

LIMITS = Limits(total=1 << 22, ratio_from=1 << 20, window=1 << 20)


def check(data: bytes) -> None:
    round_trip(data)
    found = read(data, len(data) + 1)
    assert found == read(data, 7)
    if found is None:
        return
    if data.startswith(b"\x1f\x8b"):
        assert found == by_zlib(data)
    elif data.startswith(zstandard.FRAME_HEADER):
        assert found == by_libzstd(data)


def round_trip(data: bytes) -> None:
    for compression in (Compression.GZIP, Compression.ZSTD):
        pieces: list[bytes] = []
        writer = compressed(pieces.append, compression, 1)
        writer.write(data)
        writer.close()
        assert read(b"".join(pieces), 1000) == data


def read(data: bytes, most: int) -> bytes | None:
    try:
        reader = decompressed(Dripping(data, most), LIMITS)
        pieces = []
        while piece := reader.read(5000):
            assert len(piece) <= 5000
            pieces.append(piece)
    except LayerRefused as refused:
        assert "\n" not in str(refused)
        return None
    return b"".join(pieces)


def by_zlib(data: bytes) -> bytes:
    found = b""
    while data:
        # What the reserved flags mean nobody knows; they are passed over.
        member = zlib.decompressobj(31)
        found += member.decompress(data[:3] + bytes([data[3] & 0x1F]) + data[4:])
        assert member.eof
        # Zeros behind a member are padding, also where another one follows.
        data = member.unused_data.lstrip(b"\0")
    return found


def by_libzstd(data: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompressobj(read_across_frames=True).decompress(data)
