"""A folder becomes the same layer wherever it is, and a layer what the folder is."""

import io
import os
import random
import socket
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from kho.client.building.append import Addition, Appending, append, pack_layer, read_layer, start
from kho.client.building.built import deliver
from kho.client.building.exclusion import Exclusion
from kho.client.building.layer_file import LayerMaker
from kho.client.building.mutate import Change
from kho.client.building.pack import Modes, Packing, pack_folder
from kho.client.errors import ClientError, Misused
from kho.client.images.image import open_image
from kho.client.stores.layout import Layout
from kho.client.stores.registry_store import RegistryStore
from kho.layers.compression import Compression
from kho.layers.errors import LayerRefused
from kho.oci.platform import Platform

from .layers import file, layer
from .rootfs_images import rootfs_image

AMD64 = Platform.parse("amd64")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Something of each kind."""
    found = tmp_path / "folder"
    made(found, range(20))
    return found


def made(folder: Path, order: Sequence[int]) -> None:
    """The same content, its names made in some order."""
    (folder / "bin").mkdir(parents=True)
    for number in order:
        (folder / f"f{number}").write_text(f"{number}" * number)
    (folder / "bin/run").write_bytes(b"#!/bin/sh\n")
    (folder / "bin/run").chmod(0o755)
    os.link(folder / "f1", folder / "linked")
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "up").symlink_to("..")
    os.mkfifo(folder / "pipe", 0o600)
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink() and path.name != "run" and path.is_file():
            path.chmod(0o644)


def packed(folder: Path, packing: Packing | None = None) -> tuple[tarfile.TarFile, list[str]]:
    """The layer, read by somebody else."""
    notes: list[str] = []
    out = Memory()
    pack_folder(folder, out, packing, notes.append)
    return tarfile.open(fileobj=io.BytesIO(out.getvalue())), notes


class Memory(io.BytesIO):
    def finish(self) -> None:
        pass


def test_all_kinds_are_there_and_links_are_not_followed(folder: Path) -> None:
    tar, _ = packed(folder)
    names = tar.getnames()
    assert names == sorted(names)
    assert tar.getmember("link").linkname == "/etc/passwd"
    assert tar.getmember("linked").islnk()
    assert tar.getmember("linked").linkname == "f1"
    assert tar.getmember("pipe").isfifo()
    assert tar.getmember("bin/run").mode == 0o755
    assert {(one.uid, one.gid, one.mtime) for one in tar} == {(0, 0, 0)}
    content = tar.extractfile("f19")
    assert content is not None
    assert content.read() == b"19" * 19


async def test_the_same_content_is_the_same_layer(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere/of/another/name"
    order = list(range(20))
    random.shuffle(order)
    before = os.umask(0o077)
    try:
        made(other, order)
        for path in (other, other / "bin"):
            path.chmod((folder / "bin").stat().st_mode)
        for path in other.rglob("*"):
            if os.geteuid() == 0:
                os.chown(path, 1234, 4321, follow_symlinks=False)
            os.utime(path, (1e9, 1e9 + len(path.name)), follow_symlinks=False)
        layers = [await pack_layer(one, Packing(), Compression.GZIP) for one in (folder, other)]
        zstd = [await pack_layer(one, Packing(), Compression.ZSTD) for one in (folder, other)]
    finally:
        os.umask(before)
    assert layers[0].digest == layers[1].digest
    assert zstd[0].digest == zstd[1].digest
    assert {one.diff_id for one in (*layers, *zstd)} == {layers[0].diff_id}
    for one in (*layers, *zstd):
        one.close()


def test_a_place_in_the_image_has_its_folders(folder: Path) -> None:
    tar, _ = packed(folder, Packing(prefix="/var/tmp/app/"))
    assert tar.getnames()[:3] == ["var", "var/tmp", "var/tmp/app"]
    assert [one.mode for one in tar.getmembers()[:2]] == [0o755, 0o1777]
    assert tar.getmember("var/tmp/app/linked").linkname == "var/tmp/app/f1"
    assert "." not in packed(folder)[0].getnames()


def test_owners_times_and_modes_as_chosen(folder: Path) -> None:
    os.utime(folder / "f1", (5, 5))
    os.utime(folder / "f2", (2e9, 2e9))
    (folder / "f3").chmod(0o4711)
    tar, _ = packed(folder, Packing(owner=(7, 8), latest=100, modes=Modes.NORMAL))
    assert (tar.getmember("f1").mtime, tar.getmember("f2").mtime) == (5, 100)
    assert (tar.getmember("f1").uid, tar.getmember("f1").gid) == (7, 8)
    assert (tar.getmember("f3").mode, tar.getmember("f4").mode) == (0o755, 0o644)
    tar, _ = packed(folder, Packing(owner=None, latest=None))
    assert tar.getmember("f2").mtime == 2e9
    assert tar.getmember("f2").uid == os.geteuid()
    assert tar.getmember("f3").mode == 0o4711


def test_a_socket_is_left_out_and_told(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        here = Path.cwd()
        os.chdir(folder)  # its path may be too long
        try:
            one.bind("sock")
        finally:
            os.chdir(here)
        tar, notes = packed(folder)
    assert "sock" not in tar.getnames()
    assert notes == [f"left out: {folder}/sock, a socket"]


def test_extended_attributes_where_they_are_wanted(folder: Path) -> None:
    try:
        os.setxattr(folder / "f1", "user.kho", b"1")
    except OSError:
        pytest.skip("the file system has none")
    assert (
        "SCHILY.xattr.user.kho"
        in packed(folder, Packing(xattrs=True))[0].getmember("f1").pax_headers
    )
    assert packed(folder)[0].getmember("f1").pax_headers == {}


@pytest.mark.parametrize(
    "globs, gone, kept",
    [
        (["*.pyc"], ["a.pyc", "x/y/a.pyc"], ["a.py", "pyc"]),
        (["build/"], ["build", "x/build"], []),
        (["/build"], ["build"], ["x/build"]),
        (["docs/*.md"], ["docs/a.md"], ["docs/x/a.md", "a.md", "x/docs/a.md"]),
        (["**/cache/*"], ["cache/a", "x/y/cache/b"], ["cache"]),
        (["docs/**"], ["docs/a", "docs/a/b"], ["docs"]),
        (["f[0-3]", "[!a-y]z"], ["f3", "zz"], ["f4", "az"]),
        (["a?c", "b+"], ["abc", "b+"], ["a/c", "bb"]),
    ],
)
def test_globs_of_what_is_left_out(globs: list[str], gone: list[str], kept: list[str]) -> None:
    exclusion = Exclusion(globs)
    assert all(exclusion.has(one.encode(), is_folder=True) for one in gone)
    assert not any(exclusion.has(one.encode(), is_folder=True) for one in kept)
    assert not Exclusion(["build/"]).has(b"build", is_folder=False)


def test_what_is_excluded_is_not_even_read(folder: Path) -> None:
    tar, _ = packed(folder, Packing(exclude=["bin", "f*", "pipe"]))
    assert tar.getnames() == ["link", "linked", "up"]
    assert tar.getmember("linked").isfile()  # its other name is not there


def test_a_name_that_deletes_is_refused(folder: Path) -> None:
    (folder / "bin/.wh.passwd").touch()
    with pytest.raises(Misused, match="deletes files of the layers below"):
        packed(folder)


class Meddling(Memory):
    """Changes a file while it is read."""

    def __init__(self, path: Path, how: str) -> None:
        super().__init__()
        self.path = path
        self.how = how

    def write(self, piece: bytes, /) -> int:  # type: ignore[override]
        if b"0123456789" * 100 in piece and self.how:
            how, self.how = self.how, ""
            with self.path.open("r+b") as changed:
                if how == "longer":
                    changed.seek(0, 2)
                    changed.write(b"more")
                elif how == "shorter":
                    changed.truncate(100)
                else:
                    changed.seek(3)
                    changed.write(b"!")
        return super().write(piece)


@pytest.mark.parametrize("how", ["longer", "shorter", "other"])
def test_a_file_that_changes_meanwhile_is_an_error(folder: Path, how: str) -> None:
    path = folder / "large"
    path.write_bytes(b"0123456789" * 100_000)
    with pytest.raises(ClientError, match=r"large was written to while the folder was packed"):
        pack_folder(folder, Meddling(path, how))


async def test_what_is_no_folder_is_told(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path / "file"):
        (tmp_path / "file").touch()
        with pytest.raises(Misused, match="expected a folder"):
            await pack_layer(path, Packing(), Compression.GZIP)


@pytest.mark.parametrize("compression", list(Compression))
async def test_an_image_of_a_folder(
    folder: Path, repository: RegistryStore, compression: Compression
) -> None:
    change = Change(entrypoint=("/bin/run",), env={"A": "b"})
    packed = await pack_layer(folder, Packing(), compression)
    built, manifest = start([Addition(packed, "kho pack /")], change, AMD64)
    await deliver(built, manifest, repository, "1")
    packed.close()
    image = await open_image(repository, "1", AMD64)
    assert image.config.diff_ids == (packed.diff_id,)
    assert image.layers[0].media_type.endswith("tar" + compression.suffix)
    assert (image.config.entrypoint, image.config.env) == (("/bin/run",), ("A=b",))
    assert image.config.history == (
        {"created": "1970-01-01T00:00:00Z", "created_by": "kho pack /"},
    )


async def test_layers_on_a_base_and_nothing_of_it_is_sent(
    folder: Path, layout: Layout, repository: RegistryStore
) -> None:
    base = await rootfs_image(layout, layer(file("a")), config={"Env": ["A=1"], "Cmd": ["x"]})
    packed = await pack_layer(folder, Packing(), Compression.GZIP)
    appending = Appending([Addition(packed, "kho append /")], Change(env={"B": "2"}), "host/b:1")
    built, manifest = await append(layout, "image", appending)
    await deliver(built, manifest, repository, "1")
    packed.close()
    image = await open_image(repository, "1", AMD64)
    assert image.layers[0] == base.layers[0]
    assert image.config.diff_ids == (*base.config.diff_ids, packed.diff_id)
    assert (image.config.env, image.config.command) == (("A=1", "B=2"), ("x",))
    assert image.config.history == ()  # of the base nothing is known
    assert b'"org.opencontainers.image.base.name":"host/b:1"' in manifest.content


@pytest.mark.parametrize("kind", ["gz", "tar"])
async def test_a_tar_is_taken_as_it_is_where_it_is_compressed(tmp_path: Path, kind: str) -> None:
    import gzip  # noqa: PLC0415

    tar = layer(file("a", b"x" * 1000))
    path = tmp_path / f"layer.{kind}"
    path.write_bytes(gzip.compress(tar, mtime=5) if kind == "gz" else tar)
    found = await read_layer(path, Compression.GZIP)
    assert found.compression is Compression.GZIP
    with LayerMaker(Compression.NONE) as plain:
        plain.write(tar)
        plain.finish()
        assert found.diff_id == plain.diff_id
    if kind == "gz":
        assert found.size == path.stat().st_size
    found.close()


@pytest.mark.parametrize("content", [b"no tar at all" * 100, b"\x1f\x8b\x08broken"])
async def test_what_is_no_tar_is_no_layer(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "layer.tar"
    path.write_bytes(content)
    with pytest.raises(LayerRefused, match=r"layer\.tar: "):
        await read_layer(path, Compression.GZIP)
