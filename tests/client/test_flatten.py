"""All layers as one: what they make together, no more and no less."""

import io
import json
import os
import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kho.client.building.built import deliver
from kho.client.building.flatten import Flattener
from kho.client.errors import Damaged
from kho.client.images.image import open_image
from kho.client.stores.layout import Layout
from kho.layers.compression import decompressed
from kho.layers.errors import LayerRefused
from kho.oci.platform import Platform
from kho.remote.manifests import Manifest

from .layers import Member, applied, file, folder, hardlink, layer, symlink, tree
from .rootfs_images import rootfs_image

AMD64 = Platform.parse("amd64")


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def same_tree(layers: list[bytes], flat: bytes, where: Path) -> None:
    """One after another, and at once: no difference that one could see."""
    where.mkdir()
    applied(where / "many", *layers)
    applied(where / "one", flat)
    many, one = tree(where / "many"), tree(where / "one")
    assert one == many


async def flattened(layout: Layout) -> Manifest:
    with closing(Flattener()) as flattener:
        return (await flattener.run(layout, "image"))[1]


async def flat(layout: Layout, *layers: bytes) -> bytes:
    await rootfs_image(layout, *layers)
    with closing(Flattener()) as flattener:
        built, made = await flattener.run(layout, "image")
        await deliver(built, made, layout, "flat")
    image = await open_image(layout, "flat", AMD64)
    assert len(image.layers) == 1
    stored = layout.path(image.layers[0].digest).read_bytes()
    tar, out = decompressed(io.BytesIO(stored)), b""
    while piece := tar.read(1 << 20):
        out += piece
    return out


CASES: dict[str, list[list[Member]]] = {
    "deleted": [[file("a", b"1"), folder("d"), file("d/x")], [file(".wh.a"), file(".wh.d")]],
    "opaque": [
        [folder("d"), file("d/x"), file("d/y")],
        [folder("d"), file("d/.wh..wh..opq"), file("d/z")],
    ],
    "whiteout after its own file": [[file("a", b"1")], [file("a", b"2"), file(".wh.a")]],
    "replaced": [[file("a", b"1")], [file("a", b"2", mode=0o600)]],
    "file for folder": [[folder("d"), file("d/x")], [file("d", b"2")]],
    "folder for file": [[file("d", b"2")], [folder("d", 0o700), file("d/x")]],
    "folder for link": [[folder("e"), symlink("d", "e")], [folder("d"), file("d/x")]],
    "through a link": [[folder("usr"), symlink("lib", "usr")], [file("lib/x", b"1")]],
    "through a link up": [[folder("a"), symlink("a/up", "../../b"), folder("b")], [file("a/up/x")]],
    "through a link from the root": [
        [folder("a"), folder("b"), symlink("a/l", "/b")],
        [file("a/l/x")],
    ],
    # What makes other tools fail: a link whose first name is below it, replaced, or gone.
    "link to a lower layer": [[file("z", b"1")], [hardlink("a", "z")]],
    "first name replaced": [[file("a", b"1"), hardlink("b", "a")], [file("a", b"2")]],
    "first name deleted": [[file("a", b"1"), hardlink("b", "a")], [file(".wh.a")]],
    "first name deleted in a folder": [
        [folder("d"), file("d/a", b"1"), hardlink("b", "d/a")],
        [file(".wh.d")],
    ],
    "link of a link": [
        [file("a", b"1")],
        [hardlink("b", "a")],
        [file(".wh.a"), hardlink("c", "b")],
    ],
    "link to a symbolic link": [[symlink("s", "nowhere"), hardlink("t", "s")], [file("x")]],
    "parents that nobody wrote": [[file("a/b/c", b"1")], [file("a/d", b"2")]],
    "mode of a folder": [[folder("d", 0o700), file("d/x")], [folder("d", 0o711)]],
    "bookkeeping": [[file("a")], [file(".wh..wh.plnk/1.2"), file("b")]],
}


@pytest.mark.parametrize("name", sorted(CASES))
async def test_flat_is_what_the_layers_make(layout: Layout, tmp_path: Path, name: str) -> None:
    layers = [layer(*one) for one in CASES[name]]
    same_tree(layers, await flat(layout, *layers), tmp_path / "trees")


@pytest.mark.parametrize("seed", range(12))
async def test_flat_is_what_random_layers_make(layout: Layout, tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    layers = [layer(*some(dice, first=not number)) for number in range(4)]
    same_tree(layers, await flat(layout, *layers), tmp_path / "trees")


def some(dice: random.Random, *, first: bool) -> list[Member]:
    """Files, folders and links of few names, and whiteouts."""
    found = [folder(one, dice.choice([0o755, 0o711])) for one in ("d", "e") if first]
    written: list[str] = []
    for name in dice.sample([f"{one}{two}" for one in ("", "d/", "e/") for two in "abc"], 5):
        kind = dice.choice("fffslw")
        parent, _, last = name.rpartition("/")
        if kind == "w" and not first:
            found.append(file(f"{parent}/.wh.{last}".lstrip("/")))
        elif kind == "l" and written:
            found.append(hardlink(name, dice.choice(written)))
        elif kind == "s":
            found.append(symlink(name, "nowhere"))
        else:
            found.append(file(name, dice.randbytes(5)))
            written.append(name)
    return found


@pytest.mark.parametrize(
    "bad, why",
    [
        ([file("a"), hardlink("b", "none")], r"b: a hard link to none, which is not there"),
        ([folder("d"), hardlink("b", "d")], r"b: a hard link to the folder d"),
        ([symlink("x", "y"), symlink("y", "x"), file("x/z")], r"symbolic links in a circle"),
        ([file("a"), file("a/b")], r"a/b: a is no folder"),
        ([file("../..", b"")], r"the root is a folder"),
        ([file(".wh.")], r"a whiteout names one entry"),
    ],
)
async def test_layers_that_make_no_sense_are_refused(
    layout: Layout, bad: list[Member], why: str
) -> None:
    await rootfs_image(layout, layer(file("one")), layer(*bad))
    with pytest.raises(LayerRefused, match=why):
        await flattened(layout)


async def test_paths_that_lead_out_stay_inside(layout: Layout, tmp_path: Path) -> None:
    layers = [
        layer(folder("d"), symlink("d/out", "/../../tmp"), file("../../../up", b"1")),
        layer(file("d/out/x", b"2"), hardlink("h", "../../up")),
    ]
    same_tree(layers, await flat(layout, *layers), tmp_path / "trees")


async def test_a_layer_that_is_not_what_the_config_says(layout: Layout) -> None:
    await rootfs_image(
        layout, layer(file("a")), layer(file("b")), diff_ids=["sha256:" + "0" * 64] * 2
    )
    with pytest.raises(Damaged, match="layer 1 uncompressed is not sha256:000"):
        await flattened(layout)


async def test_what_the_flat_image_says_of_itself(layout: Layout) -> None:
    await rootfs_image(layout, layer(file("a")), layer(file("b")), config={"User": "1"})
    made = await flattened(layout)
    value = json.loads(made.content)
    assert len(value["layers"]) == 1
    same = await flattened(layout)
    assert same.digest == made.digest
