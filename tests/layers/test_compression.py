"""gzip and zstd, whole, cut, mixed with other things, and written the same each time."""

import gzip
import io
import random
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import zstandard

from kho.layers.compression import Compression, compressed, decompressed, detect
from kho.layers.errors import LayerRefused
from kho.layers.limits import DEFAULT, Limits
from tests.layers.archives import Dripping

NOISE = random.Random(5).randbytes(300_000)
CONTENT = NOISE + bytes(900_000) + NOISE[:1000]
SKIPPED = b"\x5f\x2a\x4d\x18" + (200_000).to_bytes(4, "little") + NOISE[:200_000]
BOTH = [Compression.GZIP, Compression.ZSTD]


def opened(content: bytes, limits: Limits = DEFAULT, most: int = 100_000) -> bytes:
    reader = decompressed(Dripping(content, most), limits)
    pieces = []
    while piece := reader.read(70_000):
        pieces.append(piece)
    assert reader.read(1) == b""
    assert reader.compressed_count == len(content)
    assert reader.count == sum(map(len, pieces))
    return b"".join(pieces)


def made(content: bytes, compression: Compression, level: int | None = None) -> bytes:
    pieces: list[bytes] = []
    writer = compressed(pieces.append, compression, level)
    for at in range(0, len(content), 4000):
        writer.write(content[at : at + 4000])
    writer.close()
    return b"".join(pieces)


def streamed(content: bytes, *, write_checksum: bool = False) -> bytes:
    frame = zstandard.ZstdCompressor(write_checksum=write_checksum).compressobj()
    return frame.compress(content) + frame.flush()


@pytest.mark.parametrize("compression", list(Compression))
@pytest.mark.parametrize("content", [b"", b"a", CONTENT])
@pytest.mark.parametrize("most", [1 << 20, 3])
def test_what_is_compressed_is_read(compression: Compression, content: bytes, most: int) -> None:
    content = content if most > 3 else content[:2000]
    packed = made(content, compression)
    assert opened(packed, most=most) == content
    assert decompressed(io.BytesIO(packed)).compression is (
        compression if packed else Compression.NONE
    )


@pytest.mark.parametrize("compression", BOTH)
def test_the_same_bytes_come_out_however_they_are_written(compression: Compression) -> None:
    pieces: list[bytes] = []
    writer = compressed(pieces.append, compression)
    writer.write(CONTENT)
    writer.close()
    assert b"".join(pieces) == made(CONTENT, compression)
    assert made(CONTENT, compression, 1) != made(CONTENT, compression)


def test_others_read_what_is_compressed() -> None:
    assert gzip.decompress(made(CONTENT, Compression.GZIP)) == CONTENT
    assert made(b"", Compression.GZIP)[:10] == b"\x1f\x8b\x08" + bytes(6) + b"\xff"
    one = zstandard.ZstdDecompressor().decompressobj()
    assert one.decompress(made(CONTENT, Compression.ZSTD)) == CONTENT


def test_members_and_frames_follow_one_another() -> None:
    member = gzip.compress(CONTENT[:5000])
    assert opened(member * 3 + gzip.compress(b"")) == CONTENT[:5000] * 3
    frame, unsized = zstandard.compress(CONTENT), streamed(CONTENT, write_checksum=True)
    assert opened(SKIPPED + frame + SKIPPED + unsized + SKIPPED) == CONTENT * 2
    assert opened(streamed(b"") * 50) == b""


def test_gzip_may_be_padded_with_zeros_as_gzip_takes_it() -> None:
    assert opened(gzip.compress(b"a") + bytes(1000)) == b"a"


def cuts(content: bytes) -> Iterator[bytes]:
    for at in {1, 3, 5, 9, 12, 17, len(content) // 2, len(content) - 9, len(content) - 1}:
        yield content[:at]


@pytest.mark.parametrize(
    "whole",
    [gzip.compress(CONTENT), zstandard.compress(CONTENT), streamed(CONTENT, write_checksum=True)],
    ids=["gzip", "zstd", "zstd with a checksum"],
)
def test_what_is_cut_or_followed_by_something_is_refused(whole: bytes) -> None:
    for content in cuts(whole):
        if len(content) > 3:
            with pytest.raises(LayerRefused, match="cut off"):
                opened(content)
    with pytest.raises(LayerRefused):
        opened(whole + b"something else")
    with pytest.raises(LayerRefused, match=r"cut off|damaged"):
        opened(whole + whole[:-1])


def test_a_skippable_frame_must_be_whole() -> None:
    with pytest.raises(LayerRefused, match="cut off"):
        opened(SKIPPED[:-1])


@pytest.mark.parametrize("at", [-1, -5])
def test_length_and_checksum_of_gzip_count(at: int) -> None:
    whole = bytearray(gzip.compress(CONTENT))
    whole[at] ^= 1
    with pytest.raises(LayerRefused, match="damaged"):
        opened(bytes(whole))


def test_gzip_is_taken_where_zlib_takes_it() -> None:
    chance = random.Random(7)
    whole = gzip.compress(NOISE[:300] + b"some text, some text, some more text" * 5)
    for _ in range(3000):
        content = bytearray(whole)
        # Not the flags in byte 3: those that mean nothing are passed over, as Go does.
        content[chance.randrange(4, len(content))] ^= 1 << chance.randrange(8)
        checked = zlib.decompressobj(31)
        try:
            expected: bytes | None = checked.decompress(content)
            if not checked.eof or checked.unused_data:
                expected = None
        except zlib.error:
            expected = None
        try:
            found: bytes | None = opened(bytes(content))
        except LayerRefused:
            found = None
        assert found is None or found == expected


@pytest.mark.parametrize(
    "head,name",
    [
        (b"\xfd7zXZ\0\0\4", "xz"),
        (b"BZh91AY", "bzip2"),
        (b"\x04\x22\x4d\x18\x64", "lz4"),
        (b"PK\x03\x04", "zip"),
    ],
)
def test_other_compressions_are_refused_by_name(head: bytes, name: str) -> None:
    with pytest.raises(LayerRefused, match=f"with {name}; allowed are gzip, zstd and none"):
        detect(head)


def test_a_tar_may_begin_with_any_name() -> None:
    assert detect(b"BZh".ljust(257, b"\0") + b"ustar\0") is Compression.NONE


def test_a_window_above_the_limit_is_refused() -> None:
    wide = zstandard.ZstdCompressionParameters(window_log=23)
    content = zstandard.ZstdCompressor(compression_params=wide).compressobj()
    packed = content.compress(CONTENT) + content.flush()
    assert opened(packed) == CONTENT
    with pytest.raises(LayerRefused, match="window of 8388608 bytes"):
        opened(packed, replace(DEFAULT, window=1 << 22))
    single = zstandard.compress(CONTENT)
    with pytest.raises(LayerRefused, match="window"):
        opened(single, replace(DEFAULT, window=1 << 20))


def test_a_dictionary_is_refused() -> None:
    samples: list[Any] = [b"sample %d of %d" % (one, one * one) * 20 for one in range(2000)]
    known = zstandard.train_dictionary(2000, samples)
    packed = zstandard.ZstdCompressor(dict_data=known).compress(b"sample")
    with pytest.raises(LayerRefused, match="dictionary"):
        opened(packed)


@pytest.mark.parametrize("compression", list(Compression))
def test_time_is_limited(compression: Compression) -> None:
    now = iter(range(1000))
    limits = replace(DEFAULT, seconds=3, clock=lambda: float(next(now)))
    with pytest.raises(LayerRefused, match="more than 3 seconds"):
        opened(made(NOISE, compression), limits, most=10_000)


def test_media_types() -> None:
    of = Compression.of_media_type
    assert of("application/vnd.oci.image.layer.v1.tar+gzip") is Compression.GZIP
    assert of("application/vnd.docker.image.rootfs.diff.tar.gzip") is Compression.GZIP
    assert of("application/vnd.oci.image.layer.v1.tar+zstd") is Compression.ZSTD
    assert of("application/vnd.oci.image.layer.v1.tar") is Compression.NONE
    assert Compression.ZSTD.suffix == "+zstd"
