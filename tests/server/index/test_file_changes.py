"""What differs between two images, told by the rows of their layers."""

import random

import pytest

from kho.server.index.files.changes import Differences, diff
from kho.server.index.files.stack import Stack
from kho.server.resources import Resources
from tests.client.layers import Member, file, folder, layer, symlink
from tests.faults.scale import rounds
from tests.flows.databases import on_both_databases
from tests.flows.registry import Registry
from tests.server.index.layered import listed, resources_of

Told = dict[str, tuple[str, tuple[str, ...]]]


async def told(resources: Resources, before: Stack, after: Stack, limit: int = 1000) -> Told:
    """All pages of it."""
    found: Told = {}
    behind: bytes | None = b""
    while behind is not None:
        page: Differences = await diff(resources, before, after, behind=behind, limit=limit)
        for one in page.items:
            assert one.path.decode() not in found
            found[one.path.decode()] = (one.change.value, one.what)
        behind = page.next
    return found


BASE = layer(
    folder("etc"),
    file("etc/a", b"1", mtime=5),
    file("etc/b", b"22"),
    file("usr/share/doc/x", b"x"),
    file("usr/share/doc/y", b"y"),
    symlink("bin", "usr/bin"),
    file("same/1", b"1"),
)


@on_both_databases
async def test_two_images_with_a_common_base(registry: Registry) -> None:
    one = layer(file("etc/a", b"1", mtime=9), file("etc/b", b"22", mode=0o600), file("new", b"n"))
    two = layer(
        file("etc/b", b"33"),
        file("usr/share/.wh.doc"),
        file("bin", b"a file"),
        file("new", b"n", uid=7, mtime=3),
        file("opt/app/main", b"program"),
    )
    images = await listed(registry, BASE, one, two)
    resources = resources_of(registry)
    left, right = Stack(images.layers[:2]), Stack((images.layers[0], images.layers[2]))
    assert await told(resources, left, right) == {
        "bin": ("modified", ("kind",)),
        "etc/b": ("modified", ("content", "mode")),
        "new": ("modified", ("owner",)),
        "opt": ("added", ()),
        "opt/app": ("added", ()),
        "opt/app/main": ("added", ()),
        "usr/share/doc": ("removed", ()),
        "usr/share/doc/x": ("removed", ()),
        "usr/share/doc/y": ("removed", ()),
    }
    assert await told(resources, left, right, limit=1) == await told(resources, left, right)
    assert await told(resources, left, left) == {}
    page = await diff(resources, left, right)
    assert {one.path: one.growth for one in page.items if one.growth} == {
        b"bin": 6,
        b"opt/app/main": 7,
        b"usr/share/doc/x": -1,
        b"usr/share/doc/y": -1,
    }


async def test_an_image_that_was_built_again_has_no_differences(registry: Registry) -> None:
    def built(mtime: int) -> bytes:
        return layer(folder("a", mtime=mtime), file("a/b", b"content", mtime=mtime))

    images = await listed(registry, built(1), built(2))
    first, second = Stack(images.layers[:1]), Stack(images.layers[1:])
    assert await told(resources_of(registry), first, second) == {}


async def test_a_folder_that_became_a_file(registry: Registry) -> None:
    images = await listed(registry, layer(file("d/x", b"1")), layer(file("d", b"22")))
    assert await told(resources_of(registry), images.below(1), images) == {
        "d": ("modified", ("kind",)),
        "d/x": ("removed", ()),
    }


def some_layer(chance: random.Random, above: set[str]) -> tuple[bytes, set[str]]:
    """Files, whiteouts and opaque folders, as a layer above `above` may have them."""
    files = set(above)
    members: list[Member] = []
    for _ in range(chance.randrange(1, 6)):
        parent = chance.choice(["", "a/", "a/b/", "c/", "c/d/e/"])
        name = parent + chance.choice("xyz")
        action = chance.randrange(4)
        if action == 0:
            members.append(file(f"{parent}.wh.{name[-1]}"))
            files -= {one for one in above if one == name}
        elif action == 1 and parent:
            members.append(file(f"{parent}.wh..wh..opq"))
            files -= {one for one in above if one.startswith(parent)}
    for _ in range(chance.randrange(1, 5)):
        parent = chance.choice(["", "a/", "a/b/", "c/", "c/d/e/"])
        name = parent + chance.choice("xyz")
        members.append(file(name, name.encode()))
        files.add(name)
    return layer(*members), files


@pytest.mark.parametrize("seed", range(rounds(short=3, long=30)))
async def test_what_is_seen_is_what_is_there(registry: Registry, seed: int) -> None:
    """Random layers against sets of names; pages of every size say the same."""
    chance = random.Random(seed)
    layers, expected = [], [set[str]()]
    for _ in range(5):
        made, files = some_layer(chance, expected[-1])
        layers.append(made)
        expected.append(files)
    images = await listed(registry, *layers)
    resources = resources_of(registry)
    for count in range(len(layers) + 1):
        found = await told(resources, Stack(()), images.below(count), limit=1 + seed)
        assert {one for one in found if one[-1] in "xyz"} == expected[count]
    for low in range(len(layers)):
        high = chance.randrange(low, len(layers) + 1)
        found = await told(resources, images.below(low), images.below(high), limit=2)
        gone = {one for one, (change, _) in found.items() if change == "removed"}
        new = {one for one, (change, _) in found.items() if change == "added"}
        assert {one for one in new if one[-1] in "xyz"} == expected[high] - expected[low]
        assert {one for one in gone if one[-1] in "xyz"} == expected[low] - expected[high]
