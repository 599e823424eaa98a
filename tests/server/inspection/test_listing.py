"""What the process finds in layers, and what it refuses."""

import gzip

import pytest
import zstandard

from kho.oci.digest import Digest
from kho.server.inspection.order import Bounds
from kho.server.inspection.packed import MOST, Damaged, Entry, Kind, pack, unpack
from kho.server.inspection.process import Failed, Refused, listing
from tests.client.layers import file, folder, layer, symlink
from tests.faults.scale import LONG
from tests.layers.archives import END, header, padded, pax
from tests.server.inspection.layers import MIB, entries, members, pieces, rows

GIB = 1 << 30
SMALL = layer(file("a/b", b"content"))


@pytest.mark.parametrize(
    "stored", [SMALL, gzip.compress(SMALL), zstandard.compress(SMALL), SMALL + bytes(3 * MIB)]
)
async def test_however_it_is_compressed(stored: bytes) -> None:
    found, done = await rows(stored)
    assert [one.directory for one in found] == [b"", b"a"]
    assert (done.files, done.size, done.digest) == (2, 7, str(Digest.of(stored)))
    (entry,) = unpack(found[1].entries)
    assert (entry.name, entry.kind, entry.number) == (b"b", Kind.FILE, 0)
    assert entry.sha256.hex() == Digest.of(b"content").hex


async def test_an_empty_layer_has_no_names() -> None:
    for stored in (END, gzip.compress(END), b""):
        found, done = await rows(stored)
        assert (found, done.files, done.size) == ([], 0, 0)


NO_TAR = {
    "text": b"# a README, and long enough to have a header in it\n" * 40,
    "JSON": b'{"_type": "https://in-toto.io/Statement/v0.1"}',
    "another disk": bytes(range(256)) * 100,
}


@pytest.mark.parametrize("what", NO_TAR)
async def test_what_is_no_tar_is_called_so(what: str) -> None:
    for stored in (NO_TAR[what], gzip.compress(NO_TAR[what])):
        with pytest.raises(Refused, match=r"^not a tar layer: "):
            await rows(stored)


BOMB = header(b"zeros", 10 * GIB)
HOLES = {"GNU__sparse__major": b"1", "GNU__sparse__minor": b"0"}


def sparse(size: int) -> bytes:
    says = pax(GNU__sparse__realsize=b"%d" % size, **HOLES)
    return says + header(b"holes", 512) + padded(b"1\n%d\n0\n" % size) + END


HOSTILE = {
    "10 MiB that become 10 GiB": (members(BOMB, bytes(16 * MIB), times=640), "a bomb"),
    "10,000,000 entries": (members(header(b"x") * 10_000, times=1000), "more than 2000 entries"),
    "1 TiB of holes": (sparse(1 << 40), "have more than"),
    "xz": (b"\xfd7zXZ\0" + bytes(1000), "^the layer is compressed with xz"),
    "a cut gzip": (gzip.compress(SMALL)[:-9], "^the gzip stream is cut off"),
    "a damaged gzip": (gzip.compress(SMALL)[:-9] + b"x" * 9, "damaged|cut off"),
    "a cut tar": (layer(file("a", bytes(5000)))[:3000], "cut off"),
    "a cut zstd": (zstandard.compress(SMALL)[:-5], "cut off"),
    "a window of 1 GiB": (b"\x28\xb5\x2f\xfd\x00\xa0" + bytes(100), "window"),
    "a long name": (layer(file("x" * 256)), "255"),
    "a long path": (layer(file("x/" * 2049 + "y")), "4096"),
    "a whiteout of nothing": (layer(file("a/.wh.")), "whiteout"),
    "a whiteout of the parent": (layer(file("a/.wh...")), "whiteout"),
    "a file in a file": (layer(file("a"), file("a/b")), "no directory"),
    "links in a circle": (layer(symlink("a", "b"), symlink("b", "a"), file("a/x")), "links"),
}


@pytest.mark.parametrize("what", HOSTILE)
async def test_a_hostile_layer_is_refused_with_a_reason(what: str) -> None:
    stored, reason = HOSTILE[what]
    with pytest.raises(Refused, match=reason):
        await rows(stored, Bounds(entries=2000))


async def test_wrong_bytes_on_the_disk_are_no_fault_of_the_layer() -> None:
    good = gzip.compress(SMALL)
    for stored in (good[:-9], gzip.compress(layer(file("other")))):
        with pytest.raises(Failed, match="the stored bytes are damaged"):
            async for _ in listing(pieces(stored), str(Digest.of(good))):
                pass


async def test_holes_are_not_hashed() -> None:
    found = await entries(sparse(100 * GIB))
    assert [(one.size, one.sha256) for one in found[b""]] == [(100 * GIB, b"")]


async def test_names_need_not_be_text() -> None:
    stored = header(b"\xff\xfe/caf\xe9", 1) + padded(b"x") + header(b"\xe2\x80\xaetxt") + END
    found = await entries(stored)
    assert sorted(found) == [b"", b"\xff\xfe"]
    assert [one.name for one in found[b""]] == [b"\xe2\x80\xaetxt", b"\xff\xfe"]
    assert [one.name for one in found[b"\xff\xfe"]] == [b"caf\xe9"]


async def test_the_last_of_a_name_counts() -> None:
    found = await entries(
        layer(
            file("a", b"1"),
            file("./a", b"22"),
            folder("d"),
            file("d/inner/x", b"gone"),
            file("d", b"now a file"),
            file("e/.wh.f"),
            file("e/f", b"3"),
            file("e/.wh..wh..opq"),
            file(".wh..wh.plnk/1.2", b"of AUFS"),
        )
    )
    assert sorted(found) == [b"", b"e"]
    assert [(one.name, one.kind, one.size, one.number) for one in found[b""]] == [
        (b"a", Kind.FILE, 2, 1),
        (b"d", Kind.FILE, 10, 4),
        (b"e", Kind.IMPLIED, 1, -1),
    ]
    assert [(one.name, one.kind) for one in found[b"e"]] == [
        (b"", Kind.OPAQUE),
        (b"f", Kind.FILE),
        (b"f", Kind.WHITEOUT),
    ]


async def test_links_of_the_layer_lead_to_where_entries_are() -> None:
    found = await entries(
        layer(symlink("lib", "usr/lib"), file("lib/x", b"1"), file("usr/lib/y"), file("lib/z"))
    )
    assert sorted(found) == [b"", b"usr", b"usr/lib"]
    assert [one.name for one in found[b"usr/lib"]] == [b"x", b"y", b"z"]


async def test_a_folder_of_many_files_comes_in_parts() -> None:
    count = 100_000 if LONG else 5000
    block = b"".join(header(b"d/%06d" % number) for number in range(count))
    found, done = await rows(gzip.compress(block + END, 1))
    assert done.files == count + 1
    parts = [one for one in found if one.directory == b"d"]
    assert [one.first for one in parts] == [b"", *[b"%06d" % at for at in range(999, count, 999)]]
    names = [entry.name for one in parts for entry in unpack(one.entries)]
    assert names == [b"%06d" % number for number in range(count)]
    assert sum(len(one.entries) for one in parts) < 10 * count


def test_entries_are_packed_and_unpacked() -> None:
    some = [
        Entry(b"", Kind.OPAQUE),
        Entry(b"\xff", Kind.FILE, 0o4755, 1, 2, 1 << 40, -5, b"", 7, bytes(range(32))),
        Entry(b"dev", Kind.BLOCK, link=b"8:1", number=9),
        Entry(b"gone", Kind.WHITEOUT, number=2),
        Entry(b"link", Kind.SYMLINK, link=b"../x", mtime=1 << 40),
        Entry(b"sparse", Kind.FILE, size=5),
    ]
    for entries_ in (some, some[:1], some[1:2], some * (MOST // len(some))):
        assert unpack(pack(entries_)) == entries_
    whole = pack(some)
    for damaged in (b"", b"\2x", whole[:-1], whole[:1], b"\0" + whole, b"\1" + bytes(100)):
        with pytest.raises(Damaged):
            unpack(damaged)
