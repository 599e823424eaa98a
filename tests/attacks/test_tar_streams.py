"""U3 and U4: archives that readers take for different things, and bombs."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from kho.layers.compression import Compression, compressed, decompressed
from kho.layers.errors import LayerRefused
from kho.layers.limits import DEFAULT, Limits
from kho.layers.tar import TarReader
from tests.faults import scale
from tests.layers.archives import END, entries, header, long, members, padded, pax, record

MIB = 1 << 20
GIB = 1 << 30
FILE = header(b"file", 3) + padded(b"abc")
HIDDEN = header(b"hidden") + END


def announced(content: bytes, flag: bytes = b"x") -> bytes:
    return header(b"PaxHeaders/a", len(content), flag) + padded(content)


SPARSE_1 = {"GNU__sparse__major": b"1", "GNU__sparse__minor": b"0"}
# What each of these means depends on who reads it, or nobody can.
REFUSED = {
    "the size of PAX is not that of the next announcement": pax(size=b"0") * 2 + FILE,
    "a size below zero": header(size=b"\xff" * 12),
    "a size above 2**63": header(size=b"\x80\0\0\0\x80" + bytes(7)),
    "a size that is not octal": header(size=b"0000000009 \0"),
    "a size with more behind a blank": header(size=b"0 1        \0"),
    "a size as Python writes numbers": header(size=b"0o17       \0"),
    "a PAX size below zero": pax(size=b"-1") + FILE,
    "a PAX size above 2**63": pax(size=b"9223372036854775808") + FILE,
    "a PAX size with a sign": pax(size=b"+3") + FILE,
    "a PAX size with an underscore": pax(size=b"1_0") + FILE,
    "a PAX size in Arabic digits": pax(size="٣".encode()) + FILE,
    "an empty PAX size": pax(size=b"") + FILE,
    "an empty PAX path": pax(path=b"") + FILE,
    "a NUL in a PAX path": pax(path=b"a\0b") + FILE,
    "a global path": pax(b"g", path=b"x") + FILE,
    "a global size": pax(b"g", size=b"0") + FILE,
    "a global header inside of an announcement": pax(path=b"x") + pax(b"g", a=b"b") + FILE,
    "an announcement of nothing": pax(path=b"x") + END,
    "a long name of nothing": long(b"L", b"x"),
    "two long names": long(b"L", b"x") + long(b"L", b"y") + FILE,
    "a long name and a path that differ": long(b"L", b"x") + pax(path=b"y") + FILE,
    "a record longer than its header": announced(b"99 path=x\n") + FILE,
    "a record of no length": announced(b" path=x\n") + FILE,
    "a record that is its length": announced(b"3 \n") + FILE,
    "a record with a huge length": announced(b"9" * 30 + b" path=x\n") + FILE,
    "a record without a line end": announced(b"9 path=xy") + FILE,
    "a record without a name": announced(record("", b"x")) + FILE,
    "a header of more than 1 MiB": header(b"P", MIB + 1, b"x") + bytes(MIB + 512) + FILE,
    "a header of 4 GiB": header(b"P", 4 * GIB, b"x") + FILE,
    "a folder with content": header(b"d/", 512, b"5") + HIDDEN,
    "a link with content": header(b"l", 512, b"2", at_157=b"a") + HIDDEN,
    "a link to nothing": header(b"l", flag=b"2"),
    "a file with the name of a folder": header(b"f/", 3) + padded(b"abc"),
    "an unknown type": header(flag=b"V"),
    "no name": header(b""),
    "a wrong checksum": header()[:-1] + b"x",
    "no tar": b"<html>".ljust(512) * 3,
    "something behind one block of zeros": bytes(512) + FILE,
    "a block that is cut": FILE + header()[:511],
    "content that is cut": header(size=1000) + bytes(600),
    "a prefix of ustar in GNU's format": header(at_257=b"ustar  \0", at_345=b"dir"),
    "a prefix that fills the field of star": header(at_345=b"p" * 131 + b"0" * 12, at_508=b"tar\0"),
    "a negative owner": header(at_108=b"\xff" * 8),
    "a sparse file of PAX 9": pax(**SPARSE_1 | {"GNU__sparse__major": b"9"}) + FILE,
    "a sparse map without an end": pax(**SPARSE_1, GNU__sparse__realsize=b"9") + FILE,
    "a sparse file in no known format": header(flag=b"S"),
    "a sparse file of less than nothing": header(
        flag=b"S", at_257=b"ustar  \0", at_483=b"\xff" * 12
    ),
    "pieces that overlap": pax(
        GNU__sparse__size=b"9", GNU__sparse__numblocks=b"2", GNU__sparse__map=b"0,2,1,1"
    )
    + FILE,
    "pieces beyond the end": pax(
        GNU__sparse__size=b"2", GNU__sparse__numblocks=b"1", GNU__sparse__map=b"0,3"
    )
    + FILE,
    "fewer pieces than content": pax(
        GNU__sparse__size=b"9", GNU__sparse__numblocks=b"1", GNU__sparse__map=b"0,2"
    )
    + FILE,
    "pieces of another number": pax(
        GNU__sparse__size=b"9", GNU__sparse__numblocks=b"99999999", GNU__sparse__map=b"0,3"
    )
    + FILE,
}


@pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED)
def test_U3_what_readers_tell_apart_is_refused(content: bytes) -> None:
    with pytest.raises(LayerRefused) as refused:
        members(content + END)
    assert "\n" not in str(refused.value)


def test_U3_a_size_of_pax_holds_for_the_next_entry_only() -> None:
    # TARmageddon: the archive inside must stay content, whatever size the header itself states.
    inside = header(b"inside", 3) + padded(b"xyz")
    outer = pax(size=b"%d" % len(inside)) + header(b"outer", 0) + inside
    found = members(outer + FILE + END)
    assert [(entry.path, data) for entry, data in found] == [(b"outer", inside), (b"file", b"abc")]


def test_U3_a_size_of_pax_is_not_that_of_a_long_name() -> None:
    found = members(pax(size=b"3") + long(b"L", b"name" * 40) + FILE + END)
    assert [(entry.path, data) for entry, data in found] == [(b"name" * 40, b"abc")]


def test_U3_a_header_says_a_size_and_no_memory_is_taken_for_it() -> None:
    asked: list[int] = []

    class Counting:
        def read(self, count: int, /) -> bytes:
            asked.append(count)
            return header(size=2**62) if len(asked) == 1 else b""

    reader = TarReader(Counting(), replace(DEFAULT, total=2**63))
    next(reader)
    with pytest.raises(LayerRefused, match="cut off"):
        next(reader)
    assert max(asked) <= MIB


def test_U3_bytes_behind_the_end_are_counted() -> None:
    count = 0

    class Counting:
        def __init__(self) -> None:
            self.left = [FILE + END, HIDDEN, b"more"]

        def read(self, _: int, /) -> bytes:
            nonlocal count
            piece = self.left.pop(0) if self.left else b""
            count += len(piece)
            return piece

    reader = TarReader(Counting())
    assert [entry.path for entry in reader] == [b"file"]
    assert reader.drain() == len(HIDDEN) + 4
    assert count == len(FILE + END + HIDDEN) + 4


# Bombs. Each runs in a process of its own, so that its memory can be measured.


class Generated:
    """A stream that is made as it is read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def read(self, count: int, /) -> bytes:
        if not self._rest:
            self._rest = next(self._pieces, b"")
        piece, self._rest = self._rest[:count], self._rest[count:]
        return piece


def zeros(compression: Compression, size: int) -> Generated:
    """Zeros, compressed."""

    def pieces() -> Iterator[bytes]:
        made: list[bytes] = []
        writer = compressed(made.append, compression)
        for _ in range(size // MIB):
            writer.write(bytes(MIB))
            yield from made
            made.clear()
        writer.close()
        yield from made

    return Generated(pieces())


def names(count: int) -> Generated:
    """Empty files."""
    return Generated(header(b"%d" % one) for one in range(count))


def frames(count: int) -> Generated:
    """Frames of zstd that are a few bytes and become 128 KiB, thousands of them."""
    made: list[bytes] = []
    writer = compressed(made.append, Compression.ZSTD)
    writer.write(bytes(128 * 1024))
    writer.close()
    frame = b"".join(made)
    return Generated(frame * 64 for _ in range(count // 64))


def walk(raw: Generated, limits: Limits) -> None:
    reader = TarReader(decompressed(raw, limits), limits)
    for _ in reader:
        while reader.read(MIB):
            pass


def pour(raw: Generated, limits: Limits) -> None:
    reader = decompressed(raw, limits)
    while reader.read(MIB):
        pass


def holes(size: int) -> Generated:
    """One file without any content, which looks like this many bytes."""
    records = {"GNU__sparse__size": b"%d" % size, "GNU__sparse__numblocks": b"0"}
    return Generated(iter([pax(**records, GNU__sparse__map=b"") + header() + END]))


def long_names(count: int) -> Generated:
    """Announcements of the largest size, one after another."""
    most = DEFAULT.header
    return Generated(pax(b"g", comment=bytes(most - 30)) for _ in range(count))


def hold(size: int) -> None:
    """Memory that is taken, as a reader must not."""
    held = b"x" * size
    raise LayerRefused(f"refused with {len(held)} bytes in hand")


LESS = Limits(ratio_from=4 * MIB, total=48 * MIB, entries=5000)
ALL = DEFAULT
BOMBS: dict[str, tuple[Callable[[], None], str]] = {
    "gzip": (lambda: pour(zeros(Compression.GZIP, 16 * MIB), LESS), "a bomb"),
    "zstd": (lambda: pour(zeros(Compression.ZSTD, 64 * MIB), LESS), "a bomb"),
    "frames": (lambda: pour(frames(64_000), LESS), "a bomb"),
    "total": (lambda: pour(frames(64_000), replace(LESS, ratio=10**9)), "bytes uncompressed"),
    "entries": (lambda: walk(names(10**9), LESS), "more than 5000 entries"),
    "globals": (lambda: walk(long_names(10**9), LESS), "bytes uncompressed"),
    "sparse": (lambda: walk(holes(1024 * GIB), LESS), "the files of the layer have more"),
    "all-gzip": (lambda: pour(zeros(Compression.GZIP, 10 * GIB), ALL), "a bomb"),
    "all-total": (lambda: pour(frames(2**22), replace(ALL, ratio=10**9)), "bytes uncompressed"),
    "all-entries": (lambda: walk(names(10**7), ALL), "more than 2000000 entries"),
    "held": (lambda: hold(64 * MIB), "refused"),
}
QUICK = [name for name in BOMBS if not name.startswith(("all-", "held"))]
_CHILD = """
import re, sys
from kho.layers.errors import LayerRefused
from tests.attacks.test_tar_streams import BOMBS
def most():
    # Not ru_maxrss, which begins with that of the process that started this one.
    with open("/proc/self/status") as file:
        return int(re.search(r"VmHWM:\\s+(\\d+) kB", file.read())[1])
before = most()
try:
    BOMBS[sys.argv[1]][0]()
    print("taken")
except LayerRefused as refused:
    print(refused)
print(most() - before)
"""
MOST_MEMORY = 24 * MIB


def explode(bomb: str) -> tuple[str, int]:
    """What a process of its own says of a bomb, and by how many bytes its memory grew."""
    command = [sys.executable, "-c", _CHILD, bomb]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    message, grown = done.stdout.splitlines()
    return message, int(grown) * 1024


@pytest.mark.parametrize("bomb", [one for one in BOMBS if one != "held"] if scale.LONG else QUICK)
@pytest.mark.timeout(0 if scale.LONG else 60)
def test_U4_a_bomb_stops_at_a_limit_and_takes_no_memory(bomb: str) -> None:
    message, grown = explode(bomb)
    assert BOMBS[bomb][1] in message
    assert grown < MOST_MEMORY
    scale.report("U4", bomb=bomb, grown_kib=grown // 1024)


def test_U4_memory_that_is_taken_would_be_seen() -> None:
    assert explode("held")[1] > MOST_MEMORY


def test_U4_paths_are_limited() -> None:
    most = DEFAULT.path
    assert len(entries(long(b"L", b"p" * most) + FILE + END)) == 1
    with pytest.raises(LayerRefused, match=f"a path of more than {most} bytes"):
        entries(long(b"L", b"p" * (most + 1)) + FILE + END)
    with pytest.raises(LayerRefused, match="a path of more than"):
        entries(long(b"K", b"p" * (most + 1)) + header(flag=b"2") + END)


def test_U4_a_ratio_is_checked_only_where_it_can_hurt() -> None:
    pour(zeros(Compression.ZSTD, 99 * MIB), DEFAULT)
    with pytest.raises(LayerRefused, match="grows more than 1000 times"):
        pour(zeros(Compression.ZSTD, 128 * MIB), DEFAULT)


def test_U4_holes_count_as_bytes() -> None:
    walk(holes(3 * MIB), LESS)
    with pytest.raises(LayerRefused, match="a: the files of the layer have more"):
        walk(holes(LESS.total + 1), LESS)
