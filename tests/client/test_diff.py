"""Two images side by side: what differs is told, and no more is read than that takes."""

import random
import sqlite3
import struct
from pathlib import Path
from typing import Any

import pytest

from kho.client.images.diff import Difference, diff_images
from kho.client.images.files import FileInfo, list_files
from kho.client.images.image import Image
from kho.layers.errors import LayerRefused
from tests.client.layered import Counting, layered
from tests.client.layers import Member, file, folder, hardlink, layer, symlink
from tests.client.test_image_files import some_layers

STATUS = "var/lib/dpkg/status"


@pytest.fixture
def source(tmp_path: Path) -> Counting:
    return Counting(tmp_path / "layout")


def told(found: Difference) -> dict[str, str | tuple[str, ...]]:
    out: dict[str, str | tuple[str, ...]] = {}
    for one in found.files:
        out[one.path] = "+" if one.before is None else "-" if one.after is None else one.what
    return out


async def two(
    source: Counting, shared: list[bytes], before: list[bytes], after: list[bytes]
) -> tuple[Image, Image]:
    one = await layered(source, *shared, *before, name="one")
    return one, await layered(source, *shared, *after, name="two")


async def test_files_that_differ(source: Counting) -> None:
    below = layer(
        folder("d"), file("d/a", b"1"), file("d/b", b"2"), file("gone", b"3"), symlink("l", "a")
    )
    above = layer(
        folder("d", mode=0o700),
        file("d/a", b"changed"),
        file("d/b", b"2", mode=0o4755, uid=5),
        file("d/new", b"4"),
        file(".wh.gone"),
        symlink("l", "b"),
    )
    before, after = await two(source, [below], [], [above])
    assert told(await diff_images(before, after)) == {
        "/d": ("mode",),
        "/d/a": ("size", "content"),
        "/d/b": ("mode", "owner"),
        "/d/new": "+",
        "/gone": "-",
        "/l": ("link",),
    }
    assert (await diff_images(before, before)).same


async def test_layers_in_common_are_read_only_where_they_matter(source: Counting) -> None:
    base = layer(folder("etc"), file("etc/a", b"1"), file("etc/b", b"2"))
    one = layer(folder("etc"), file("etc/a", b"x"))
    before, after = await two(source, [base], [one], [layer(folder("etc"), file("etc/a", b"y"))])
    found = await diff_images(before, after)
    assert told(found) == {"/etc/a": ("content",)}
    assert (found.shared_read, source.layers_read(before)) == (0, [1])
    before, after = await two(source, [base], [one], [layer(folder("etc"), file("etc/b", b"y"))])
    source.layers_read(before)
    assert told(await diff_images(before, after)) == {
        "/etc/a": ("content",),
        "/etc/b": ("content",),
    }
    assert 0 in source.layers_read(before)


async def test_config_alone_reads_no_layer(source: Counting) -> None:
    tar = layer(file("a"))
    config = {"Env": ["A=1", "B=2"], "Labels": {"x": "1"}, "Entrypoint": ["/a"], "User": "5"}
    before = await layered(source, tar, name="one", config=config)
    config = {"Env": ["A=1", "B=3", "C="], "Labels": {"y": "1"}, "Entrypoint": ["/a", "-v"]}
    after = await layered(source, tar, name="two", config=config)
    source.layers_read(before)
    found = await diff_images(before, after)
    assert source.layers_read(before) == []
    assert {one.name: (one.before, one.after) for one in found.config} == {
        "entrypoint": (["/a"], ["/a", "-v"]),
        "env B": ("2", "3"),
        "env C": (None, ""),
        "label x": ("1", None),
        "label y": (None, "1"),
        "user": ("5", None),
    }


def deb(*packages: tuple[str, str, str]) -> bytes:
    return "\n".join(
        f"Package: {name}\nStatus: {state}\nVersion: {version}\nDescription: d\n more: lines\n"
        for name, version, state in packages
    ).encode()


def rpmdb(path: Path, *packages: tuple[str, str]) -> bytes:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB)")
        for name, version in packages:
            texts = [(1000, name), (1001, version), (1002, "3.el9")]
            data, entries = b"", b""
            for tag, text in texts:
                entries += struct.pack(">IIII", tag, 6, len(data), 1)
                data += text.encode() + b"\0"
            blob = struct.pack(">II", len(texts), len(data)) + entries + data
            database.execute("INSERT INTO Packages (blob) VALUES (?)", (blob,))
        database.execute("INSERT INTO Packages (blob) VALUES (?)", (b"\xff" * 40,))
    database.close()
    return path.read_bytes()


async def test_packages_that_differ(source: Counting, tmp_path: Path) -> None:
    ok = "install ok installed"
    site = "usr/lib/python3/site-packages"
    one: list[Member] = [
        file(STATUS, deb(("a", "1", ok), ("b", "1", ok), ("c", "1", "deinstall ok config-files"))),
        file("lib/apk/db/installed", b"C:Q1\nP:musl\nV:1.2-r0\n\nP:zlib\nV:1\n"),
        file(f"{site}/Foo_Bar-1.0.dist-info/METADATA", b"Name: Foo-Bar"),
        file(f"{site}/old-2.0-py3.11.egg-info", b"x"),
        file("app/node_modules/left-pad/package.json", b'{"name":"left-pad","version":"1.0.0"}'),
        file("app/node_modules/@s/x/package.json", b'{"name":"@s/x","version":"1.0.0"}'),
        file("app/package.json", b'{"name":"app","version":"1.0.0"}'),
        file("var/lib/rpm/rpmdb.sqlite", rpmdb(tmp_path / "1", ("bash", "5.1"), ("zsh", "5"))),
    ]
    two_: list[Member] = [
        file(STATUS, deb(("a", "2", ok), ("c", "1", ok))),
        file("lib/apk/db/installed", b"P:musl\nV:1.2-r1\n\nP:zlib\nV:1\n"),
        file(f"{site}/Foo_Bar-1.1.dist-info/METADATA", b"Name: Foo-Bar"),
        file("app/node_modules/left-pad/package.json", b'{"name":"left-pad","version":"2.0.0"}'),
        file("app/node_modules/@s/x/package.json", b"no json"),
        file("app/package.json", b'{"name":"app","version":"2.0.0"}'),
        file("var/lib/rpm/rpmdb.sqlite", rpmdb(tmp_path / "2", ("bash", "5.2"), ("zsh", "5"))),
        file("var/lib/rpm/Packages", b"Berkeley"),
    ]
    before, after = await two(source, [], [layer(*one)], [layer(*two_)])
    found = await diff_images(before, after, files=False)
    assert [(one.kind, one.name, one.before, one.after) for one in found.packages] == [
        ("apk", "musl", ("1.2-r0",), ("1.2-r1",)),
        ("deb", "a", ("1",), ("2",)),
        ("deb", "b", ("1",), ()),
        ("deb", "c", (), ("1",)),
        ("npm", "@s/x", ("1.0.0",), ()),
        ("npm", "left-pad", ("1.0.0",), ("2.0.0",)),
        ("python", "foo-bar", ("1.0",), ("1.1",)),
        ("python", "old", ("2.0",), ()),
        ("rpm", "bash", ("5.1-3.el9",), ("5.2-3.el9",)),
    ]
    assert found.unread == ("rpm (Berkeley DB)",)
    assert found.files == ()


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
async def test_a_damaged_database_says_nothing(source: Counting, content: bytes) -> None:
    tars = [layer(file("var/lib/rpm/rpmdb.sqlite", one)) for one in (content, b"other")]
    before, after = await two(source, [], tars[:1], tars[1:])
    assert (await diff_images(before, after)).packages == ()


async def test_a_hard_link_is_the_file_that_it_links_to(source: Counting) -> None:
    base = layer(folder("d"), file("d/a", b"1"))
    before, after = await two(source, [base], [], [layer(folder("d"), hardlink("d/b", "d/a"))])
    assert told(await diff_images(before, after)) == {"/d/b": "+"}


@pytest.mark.parametrize("seed", range(2))
async def test_skipping_layers_changes_nothing(seed: int, source: Counting) -> None:
    """What is told with layers in common is what lists of all files of both tell."""
    dice = random.Random(seed)
    for _ in range(16):
        shared = await drawn(source, dice, [])
        both = [await drawn(source, dice, shared) for _ in range(2)]
        before, after = await two(source, shared, *both)
        one, other = await listed(before), await listed(after)
        found = told(await diff_images(before, after, with_packages=False))
        wanted = dict.fromkeys(one.keys() - other.keys(), "-")
        wanted |= dict.fromkeys(other.keys() - one.keys(), "+")
        assert {path: sign for path, sign in found.items() if isinstance(sign, str)} == wanted
        changed = {
            path for path in one.keys() & other.keys() if looks(one[path]) != looks(other[path])
        }
        assert found.keys() - wanted.keys() == changed


async def drawn(source: Counting, dice: random.Random, below: list[bytes]) -> list[bytes]:
    """Some layers that make sense on those below."""
    while True:
        found = some_layers(dice)
        try:
            await listed(await layered(source, *below, *found))
        except LayerRefused:
            continue
        return found


async def listed(image: Image) -> dict[str, FileInfo]:
    return {one.path: one for one in await list_files(image, hashed=True)}


def looks(info: FileInfo) -> tuple[Any, ...]:
    mode = 0 if info.link else info.mode
    return info.kind, mode, info.uid, info.gid, info.size, info.digest, info.link
