"""Images unpacked from layouts and a registry: whole, checked, or not there at all."""

import asyncio
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from kho.client.errors import Damaged, Misused
from kho.client.images.image import Image, open_image
from kho.client.stores.copy import Copier
from kho.client.stores.layout import Layout
from kho.client.stores.registry_store import RegistryStore
from kho.client.unpacking.unpack import Choices, unpack
from kho.layers.errors import LayerRefused
from kho.layers.limits import DEFAULT, Limits
from tests.client.layers import MTIME, file, folder, hardlink, layer, symlink, tree
from tests.client.rootfs_images import DOCKER, OCI, rootfs_image

QUICK = Choices(sync=False)
BASE = layer(
    folder("./", 0o751, mtime=99),
    folder("etc", 0o750, mtime=77),
    file("etc/passwd", b"root:x:0:0::/root:/bin/sh\n", mode=0o640),
    file("gone"),
    symlink("lib", "usr/lib"),
    file("usr/lib/large", os.urandom(3_000_000)),
    hardlink("same", "usr/lib/large"),
)
TOP = layer(file("etc/hosts", b"::1 localhost\n"), file(".wh.gone"))


def left(folder_of_test: Path) -> list[str]:
    return sorted(os.listdir(folder_of_test))


@pytest.mark.parametrize("media_type", [OCI, OCI + "+gzip", OCI + "+zstd", DOCKER])
async def test_layers_become_a_folder(tmp_path: Path, layout: Layout, media_type: str) -> None:
    image = await rootfs_image(layout, BASE, TOP, media_type=media_type)
    found = await unpack(image, tmp_path / "out", QUICK)
    out = tmp_path / "out"
    assert (found.folder, found.digest, found.layers) == (out, image.manifest.digest, 2)
    assert found.entries == 9
    assert left(tmp_path) == ["layout", "out"]
    assert sorted(os.listdir(out)) == ["etc", "lib", "same", "usr"]
    assert (out / "same").samefile(out / "usr/lib/large")
    assert stat.S_IMODE((out / "etc/passwd").stat().st_mode) == 0o640
    assert (out / "etc/passwd").stat().st_mtime == MTIME
    for path, mode, mtime in ((out, 0o751, 99), (out / "etc", 0o750, 77), (out / "usr", 0o755, 0)):
        assert stat.S_IMODE(path.stat().st_mode) == mode
        assert path.stat().st_mtime == mtime


async def test_an_empty_folder_is_filled_and_no_other(tmp_path: Path, layout: Layout) -> None:
    image = await rootfs_image(layout, BASE)
    (tmp_path / "empty").mkdir()
    os.symlink("empty", tmp_path / "link")
    await unpack(image, tmp_path / "link")
    assert "etc" in left(tmp_path / "empty")
    with pytest.raises(Misused, match="is not empty"):
        await unpack(image, tmp_path / "empty", QUICK)
    (tmp_path / "file").touch()
    with pytest.raises(Misused, match="is no folder"):
        await unpack(image, tmp_path / "file", QUICK)
    assert left(tmp_path) == ["empty", "file", "layout", "link"]


async def test_layers_of_a_registry_are_fetched(
    tmp_path: Path, layout: Layout, repository: RegistryStore
) -> None:
    image = await rootfs_image(layout, BASE, TOP)
    await Copier(layout, repository).copy("image", ["1"])
    await unpack(await open_image(repository, "1"), tmp_path / "fetched", QUICK)
    await unpack(image, tmp_path / "local", QUICK)
    fetched, local = tree(tmp_path / "fetched"), tree(tmp_path / "local")
    assert {name: fields[:7] for name, fields in fetched.items()} == {
        name: fields[:7] for name, fields in local.items()
    }
    assert left(tmp_path) == ["fetched", "layout", "local"]


def _flip(layout: Layout, image: Image, at: int) -> None:
    path = layout.path(image.layers[0].digest)
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("at", [1, 40, 1000, -3000, -1])
async def test_a_damaged_layer_leaves_nothing(tmp_path: Path, layout: Layout, at: int) -> None:
    image = await rootfs_image(layout, TOP, BASE)
    image = replace(
        image,
        layers=image.layers[1:],
        config=replace(image.config, diff_ids=image.config.diff_ids[1:]),
    )
    _flip(layout, image, at)
    with pytest.raises(Damaged, match=r"oci:.*@sha256.*another digest"):
        await unpack(image, tmp_path / "out", QUICK)
    assert left(tmp_path) == ["layout"]


async def test_sizes_and_diff_ids_are_held_to(tmp_path: Path, layout: Layout) -> None:
    image = await rootfs_image(layout, TOP)
    path = layout.path(image.layers[0].digest)
    path.write_bytes(path.read_bytes() + b"more")
    longer = replace(image, layers=(replace(image.layers[0], size=path.stat().st_size),))
    with pytest.raises(Damaged, match="another digest"):
        await unpack(longer, tmp_path / "out", QUICK)
    liar = replace(image, config=replace(image.config, diff_ids=(image.layers[0].digest,)))
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(Damaged, match="uncompressed is not"):
        await unpack(liar, tmp_path / "out", QUICK)
    assert left(tmp_path) == ["layout"]


async def test_what_is_no_file_system_is_refused(tmp_path: Path, layout: Layout) -> None:
    foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
    image = await rootfs_image(layout, TOP, media_type=foreign)
    with pytest.raises(Misused, match="registries do not hand out"):
        await unpack(image, tmp_path / "out", QUICK)
    image = await rootfs_image(layout, b"no tar at all" * 100)
    with pytest.raises(LayerRefused, match=r"layer sha256:.*: .*header"):
        await unpack(image, tmp_path / "out", QUICK)
    assert left(tmp_path) == ["layout"]


@pytest.mark.parametrize("limits", [replace(DEFAULT, total=2_000_000), replace(DEFAULT, entries=8)])
async def test_limits_count_all_layers(tmp_path: Path, layout: Layout, limits: Limits) -> None:
    image = await rootfs_image(layout, BASE, TOP)
    choices = Choices(sync=False, limits=limits)
    with pytest.raises(LayerRefused, match="more than"):
        await unpack(image, tmp_path / "out", choices)
    assert left(tmp_path) == ["layout"]


async def test_who_interrupts_leaves_nothing(tmp_path: Path, layout: Layout) -> None:
    image = await rootfs_image(
        layout, *(layer(file(f"{n}", os.urandom(4 << 20))) for n in range(9))
    )
    task = asyncio.create_task(unpack(image, tmp_path / "out", QUICK))
    while left(tmp_path) == ["layout"]:  # noqa: ASYNC110 - a thread makes it
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert left(tmp_path) == ["layout"]


async def test_leftovers_of_killed_runs_go_with_the_next(tmp_path: Path, layout: Layout) -> None:
    image = await rootfs_image(layout, TOP)
    killed = tmp_path / ".out.kho-unpack-12345678"
    (killed / "whole/deep").mkdir(parents=True)
    (killed / "whole/deep").chmod(0)
    other = tmp_path / ".other.kho-unpack-12345678"
    other.mkdir()
    os.symlink("/", tmp_path / ".out.kho-unpack-link")
    await unpack(image, tmp_path / "out", QUICK)
    assert left(tmp_path) == [other.name, ".out.kho-unpack-link", "layout", "out"]


async def test_holes_stay_holes(tmp_path: Path, layout: Layout) -> None:
    content = bytes(8 << 20) + b"end" + bytes(8 << 20)
    image = await rootfs_image(layout, layer(file("sparse", content)))
    found = await unpack(image, tmp_path / "out", QUICK)
    assert (tmp_path / "out/sparse").read_bytes() == content
    assert found.size == len(content)
    assert (tmp_path / "out/sparse").stat().st_blocks * 512 < 1 << 20
