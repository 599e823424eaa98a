"""What layers weigh, and whether all of an image is what it should be."""

import json
from pathlib import Path

import pytest

from kho.client.images.image import Image
from kho.client.images.tree import image_tree
from kho.client.images.validate import Check, Report
from kho.client.stores.layout import Layout
from tests.client.images import CONFIG, LAYER, blob, index, manifest
from tests.client.layered import Counting, layered
from tests.client.layers import file, folder, hardlink, layer


@pytest.fixture
def source(tmp_path: Path) -> Counting:
    return Counting(tmp_path / "layout")


async def test_sums_of_a_tree(source: Counting) -> None:
    image = await layered(
        source,
        layer(folder("d"), file("d/a", b"x" * 100), file("d/b", b"y" * 10), hardlink("l", "d/b")),
        layer(folder("d"), file("d/a", b"z" * 5), file(".wh.l")),
        layer(folder("d"), file("d/.wh.a")),
        history=[
            {"created_by": "one"},
            {"created_by": "ENV x", "empty_layer": True},
            {"created_by": "two\nlines"},
            {"created_by": "three"},
        ],
    )
    tree = await image_tree(image, depth=1)
    assert [one.files_size for one in tree.layers] == [110, 5, 0]
    assert [one.command for one in tree.layers] == ["one", "two lines", "three"]
    assert [one.size for one in tree.layers] == [one.size for one in image.layers]
    assert (tree.files_size, tree.visible, tree.wasted_size) == (115, 10, 105)
    assert round(tree.efficiency, 3) == 0.087
    assert [(one.path, one.size, one.count) for one in tree.wasted] == [("/d/a", 105, 2)]
    (found,) = tree.layers[0].folders
    assert (found.path, found.size, found.count) == ("/d", 110, 2)
    assert [one.path for one in tree.layers[0].largest] == ["/d/a", "/d/b"]
    assert tree.layers[1].removed == 1


async def test_an_image_without_files(source: Counting) -> None:
    tree = await image_tree(await layered(source, layer()))
    assert (tree.efficiency, tree.wasted) == (1.0, ())


# Validation.


async def checked(layout: Layout, *, fast: bool = False) -> Report:
    return await Check(layout, fast=fast).run("it")


@pytest.fixture
async def image(source: Counting) -> Image:
    return await layered(source, layer(file("a", b"1")), layer(file("b", b"2")))


async def test_a_good_image(source: Counting, image: Image) -> None:
    found = await checked(source)
    assert (found.good, found.manifests, found.blobs) == (True, 1, 3)
    assert found.size == sum(one.size for one in (*image.layers, image.config_content))
    assert (await checked(source, fast=True)).good


@pytest.mark.parametrize("fast", [False, True])
async def test_a_missing_layer(source: Counting, image: Image, *, fast: bool) -> None:
    source.path(image.layers[1].digest).unlink()
    (problem,) = (await checked(source, fast=fast)).problems
    assert f"has no {image.layers[1].digest}" in problem


async def test_a_damaged_layer_and_a_cut_one(source: Counting, image: Image) -> None:
    first, second = (source.path(one.digest) for one in image.layers)
    first.write_bytes(first.read_bytes()[:-1])
    second.write_bytes(b"\0" * second.stat().st_size)
    found = await checked(source)
    assert len(found.problems) == 2
    assert {"not the" in one or "has the digest" in one for one in found.problems} == {True}
    (problem,) = (await checked(source, fast=True)).problems
    assert "not the" in problem


async def test_a_layer_of_another_diff_id(source: Counting) -> None:
    await layered(
        source, layer(file("a")), rootfs={"type": "layers", "diff_ids": ["sha256:" + "0" * 64]}
    )
    (problem,) = (await checked(source)).problems
    assert "the config tells sha256:0000" in problem
    assert (await checked(source, fast=True)).good


async def test_a_layer_that_is_no_tar(source: Counting) -> None:
    await layered(source, b"no tar" * 1000)
    (problem,) = (await checked(source)).problems
    assert "in a header" in problem


async def test_a_config_that_tells_of_other_layers(source: Counting) -> None:
    config = blob(source, json.dumps({"os": "linux", "architecture": "amd64"}).encode(), CONFIG)
    made = manifest({"config": config, "layers": [blob(source, b"x", LAYER)]})
    await source.take_manifest(made, "it")
    (problem,) = (await checked(source)).problems
    assert "1 layers and 0 diff ids" in problem


async def test_an_index_of_a_good_and_a_missing_image(source: Counting, image: Image) -> None:
    gone = manifest({"config": blob(source, b"{}", CONFIG), "layers": []})
    await index(source, "it", ("linux/amd64", image.manifest), ("linux/arm64", gone))
    found = await checked(source)
    assert (found.manifests, len(found.problems)) == (2, 1)
    assert str(gone.digest) in found.problems[0]


async def test_an_artifact_has_blobs_and_no_tars(source: Counting) -> None:
    config = blob(source, b"{}", "application/vnd.oci.empty.v1+json")
    layers = [blob(source, b"any bytes", "text/plain")]
    await source.take_manifest(manifest({"config": config, "layers": layers}), "it")
    found = await checked(source)
    assert (found.good, found.blobs) == (True, 2)


async def test_attestations_of_buildkit_are_no_broken_layers(source: Counting) -> None:
    statement = blob(source, b'{"_type": "statement"}', "application/vnd.in-toto+json")
    rootfs = {"type": "layers", "diff_ids": [statement["digest"]]}
    config = {"architecture": "unknown", "os": "unknown", "rootfs": rootfs}
    described = blob(source, json.dumps(config).encode(), CONFIG)
    made = manifest({"config": described, "layers": [statement]})
    await source.take_manifest(made, "it")
    assert (await checked(source)).problems == []
