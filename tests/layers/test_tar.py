"""Tar as others write it, and as nobody should."""

import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from kho.layers.errors import LayerRefused
from kho.layers.tar import Entry, Kind, TarReader
from tests.layers.archives import END, Dripping, entries, header, long, members, padded, pax

TAR = shutil.which("tar")
FORMATS = ["v7", "oldgnu", "gnu", "ustar", "posix"]
SPARSE = [
    ["--format=oldgnu", "-S"],
    ["--format=gnu", "-S"],
    *(["--format=posix", "-S", f"--sparse-version={version}"] for version in ("0.0", "0.1", "1.0")),
]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Some of everything that needs no root."""
    root = tmp_path / "t"
    (root / "folder").mkdir(parents=True)
    (root / "a").write_bytes(b"hello")
    (root / "empty").touch()
    (root / "block").write_bytes(b"b" * 512)
    (root / "folder/hard").hardlink_to(root / "a")
    (root / "soft").symlink_to("../anything")
    os.mkfifo(root / "pipe")
    os.utime(root / "a", (0, 1_600_000_000))
    return root


def packed(tree: Path, *options: str) -> bytes:
    assert TAR
    command = [TAR, "-C", str(tree.parent), "-cf", "-", *options, tree.name]
    return subprocess.run(command, capture_output=True, check=True).stdout


def listed(content: bytes) -> list[bytes]:
    """What GNU tar lists."""
    assert TAR
    command = [TAR, "-tf", "-", "--quoting-style=literal"]
    done = subprocess.run(command, input=content, capture_output=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.skipif(TAR is None, reason="no tar here")
@pytest.mark.parametrize("form", FORMATS)
def test_what_gnu_tar_writes(tree: Path, form: str) -> None:
    if form == "v7":
        (tree / "pipe").unlink()
    content = packed(tree, f"--format={form}", "--sort=name")
    found = {entry.path: (entry, data) for entry, data in members(Dripping(content))}
    assert [entry.path for entry in entries(content)] == listed(content)
    assert found[b"t/a"][1] == b"hello"
    assert found[b"t/a"][0].mtime_ns == 1_600_000_000 * 10**9
    assert found[b"t/folder/"][0].kind is Kind.DIRECTORY
    assert found[b"t/folder/hard"][0].kind is Kind.HARDLINK
    assert found[b"t/folder/hard"][0].link == b"t/a"
    assert found[b"t/soft"][0].link == b"../anything"
    if form != "v7":
        assert found[b"t/pipe"][0].kind is Kind.FIFO


@pytest.mark.skipif(TAR is None, reason="no tar here")
@pytest.mark.parametrize("form", ["gnu", "posix"])
def test_long_names_and_odd_times(tree: Path, form: str) -> None:
    name = "n" * 200
    (tree / name).mkdir()
    (tree / name / ("m" * 150)).symlink_to("z" * 170)
    os.utime(tree / "a", ns=(0, -1_500_000_000))
    found = {entry.path.decode(): entry for entry in entries(packed(tree, f"--format={form}"))}
    assert found[f"t/{name}/{'m' * 150}"].link == b"z" * 170
    seconds = {"gnu": -2_000_000_000, "posix": -1_500_000_000}
    assert found["t/a"].mtime_ns == seconds[form]


@pytest.mark.skipif(TAR is None, reason="no tar here")
@pytest.mark.parametrize("options", SPARSE, ids=" ".join)
@pytest.mark.parametrize("pieces", [0, 1, 3, 60])
def test_files_with_holes(tmp_path: Path, options: list[str], pieces: int) -> None:
    (tmp_path / "t").mkdir()
    path = tmp_path / "t/holes"
    with path.open("wb") as file:
        for piece in range(pieces):
            file.seek(piece * 40_000)
            file.write(b"%d " % piece * 500)
        file.truncate(3_000_000)
    (tmp_path / "t/whole").write_bytes(b"after")
    found = {entry.path: data for entry, data in members(packed(tmp_path / "t", *options))}
    assert found[b"t/holes"] == path.read_bytes()
    assert found[b"t/whole"] == b"after"


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_what_python_writes(form: int) -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as tar:
        for name, kind in (("d", tarfile.CHRTYPE), ("x/" * 60 + "é", tarfile.REGTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.devmajor, member.devminor = kind, 5, 300
            member.uid, member.mode, member.mtime = 2**21 - 1, 0o4755, 77
            member.size = 3 if kind == tarfile.REGTYPE else 0
            tar.addfile(member, io.BytesIO(b"abc"))
    (device, _), (regular, data) = members(file.getvalue())
    assert device == Entry(b"d", Kind.CHARACTER, 0o4755, 2**21 - 1, 0, 0, 77 * 10**9, b"", 5, 300)
    assert regular.path == b"x/" * 60 + "é".encode()
    assert data == b"abc"


def test_pax_records_go_above_the_header() -> None:
    records = {"path": b"p", "size": b"3", "uid": b"4294967295", "mtime": b"1.5", "gid": b"7"}
    ((entry, data),) = members(pax(**records) + header(size=0) + padded(b"abc") + END)
    assert data == b"abc"
    assert (entry.path, entry.uid, entry.gid) == (b"p", 4294967295, 7)
    assert entry.mtime_ns == 1_500_000_000


def test_extended_attributes() -> None:
    records = {"SCHILY__xattr__user__a": b"\0=\n", "LIBARCHIVE__xattr__user__b": b"AA=="}
    one, other = entries(pax(**records) + header() + header(b"b") + END)
    assert one.xattrs == {b"user.a": b"\0=\n"}
    assert other.xattrs == {}


def test_global_records_are_passed_over() -> None:
    found = entries(pax(b"g", comment=b"of git", mtime=b"5", uid=b"5") + header() + END)
    assert [(entry.path, entry.uid, entry.mtime_ns) for entry in found] == [(b"a", 0, 0)]


def test_numbers_in_base_256() -> None:
    fields = {"at_108": b"\x80\0\0\0\xff\xff\xff\xff", "at_136": b"\xff" * 12}
    (entry,) = entries(header(**fields) + END)
    assert entry.uid == 2**32 - 1
    assert entry.mtime_ns == -(10**9)


def test_numbers_may_have_blanks_around_them() -> None:
    fields = {"at_100": b"   644 \0", "at_108": b"      1\0", "at_116": bytes(8)}
    (entry,) = entries(header(size=b"          3 ", **fields) + padded(b"abc") + END)
    assert (entry.mode, entry.uid, entry.gid, entry.size) == (0o644, 1, 0, 3)


def test_a_checksum_of_signed_bytes_is_taken() -> None:
    block = header("é".encode())
    blank = block[:148] + b" " * 8 + block[156:]
    signed = sum(one - 256 if one > 127 else one for one in blank)
    (entry,) = entries(block[:148] + b"%06o\0 " % signed + block[156:] + END)
    assert entry.path == "é".encode()


def test_a_prefix_is_of_ustar_alone() -> None:
    times = b"00000000001\x0000000000002\0"
    prefixed, gnu, star, v7 = entries(
        header(b"n", at_345=b"dir/sub")
        + header(b"n", at_257=b"ustar  \0", at_345=times)
        + header(b"n", at_345=b"p" * 20 + bytes(111) + times, at_508=b"tar\0")
        + header(b"n", at_257=bytes(8), at_345=b"dir")
        + END
    )
    assert prefixed.path == b"dir/sub/n"
    assert gnu.path == b"n"
    assert star.path == b"p" * 20 + b"/n"
    assert v7.path == b"n"


def test_an_old_folder_is_a_name_with_a_slash() -> None:
    (entry,) = entries(header(b"f/", flag=b"\0") + END)
    assert entry.kind is Kind.DIRECTORY


def test_a_hard_link_has_no_content_whatever_it_says() -> None:
    found = entries(header(b"l", 4096, b"1", at_157=b"a") + header(b"b") + END)
    assert [(entry.path, entry.size) for entry in found] == [(b"l", 0), (b"b", 0)]


@pytest.mark.parametrize("end", [b"", bytes(512), bytes(1024), bytes(10240)])
def test_how_a_tar_may_end(end: bytes) -> None:
    ((_, data),) = members(header(size=3) + padded(b"abc") + end)
    assert data == b"abc"


def test_the_padding_of_the_last_entry_may_be_missing_as_in_go() -> None:
    assert [data for _, data in members(header(size=3) + b"abc")] == [b"abc"]
    assert len(entries(header(size=3) + b"abc")) == 1


def test_what_follows_the_end_is_drained() -> None:
    raw = io.BytesIO(header(size=3) + padded(b"abc") + END + b"rest" * 1000)
    reader = TarReader(raw)
    assert len(list(reader)) == 1
    assert next(reader, None) is None
    assert reader.position == 512 * 4
    assert reader.drain() == 4000
    assert reader.position == 512 * 4 + 4000
    assert raw.read() == b""


class Unseekable(Dripping):
    """A stream."""

    def seekable(self) -> bool:
        return False


@pytest.mark.parametrize("size", [1, 511, 512, 700_000, 2_000_000])
@pytest.mark.parametrize("kind", [io.BytesIO, Unseekable])
def test_unread_content_is_passed_over(size: int, kind: type[io.BytesIO | Unseekable]) -> None:
    tar = header(size=size) + padded(bytes(size)) + header(b"b", 3) + padded(b"abc")
    reader = TarReader(kind(tar + END))
    next(reader)
    assert reader.position == 512
    assert len(reader.read(100)) == min(size, 100)
    assert next(reader).path == b"b"
    at = reader.position
    assert tar[at : at + 3] == b"abc"
    assert reader.read(100) == b"abc"
    cut = TarReader(kind(tar[: 512 + size - 1]))
    next(cut)
    with pytest.raises(LayerRefused, match="a: the tar is cut off"):
        next(cut)


def test_gnu_names_go_above_the_header() -> None:
    tar = long(b"K", b"k" * 300) + long(b"L", b"l" * 300) + header(flag=b"2", at_157=b"short")
    (entry,) = entries(tar + END)
    assert (entry.path, entry.link) == (b"l" * 300, b"k" * 300)
