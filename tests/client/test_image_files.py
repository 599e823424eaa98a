"""Files of images that are not unpacked: the same as those of images that are."""

import os
import random
import stat
from itertools import count
from pathlib import Path

import pytest

from kho.client.errors import Missing, Misused
from kho.client.images.files import ImageFiles, list_files, read_file, split_path
from kho.client.images.files_view import LoopingLinks
from kho.client.images.image import Image
from kho.layers.errors import LayerRefused
from kho.layers.tar import Kind
from kho.oci.reference import ReferenceInvalid
from kho.remote.errors import ContentMismatch
from tests.client.layered import Counting, layered
from tests.client.layers import Member, applied, file, folder, hardlink, layer, symlink

OPAQUE = ".wh..wh..opq"


@pytest.fixture
def source(tmp_path: Path) -> Counting:
    return Counting(tmp_path / "layout")


async def content(image: Image, path: str) -> bytes:
    return b"".join([piece async for piece in read_file(image, path)])


async def names(image: Image) -> list[str]:
    return [one.path for one in await list_files(image)]


async def test_the_uppermost_file_counts_and_no_layer_below_is_read(source: Counting) -> None:
    image = await layered(
        source,
        layer(file("a", b"low"), file("b", b"below")),
        layer(file("b", b"middle")),
        layer(file("b", b"high")),
    )
    assert await content(image, "/b") == b"high"
    assert source.layers_read(image) == [2]
    assert await content(image, "a") == b"low"
    assert source.layers_read(image) == [2, 1, 0]


async def test_what_was_taken_away_is_not_there(source: Counting) -> None:
    image = await layered(
        source,
        layer(folder("d"), file("d/a", b"1"), file("b", b"2"), file("c", b"3")),
        layer(folder("d"), file(f"d/{OPAQUE}"), file("d/new", b"4"), file(".wh.b")),
    )
    assert await names(image) == ["/c", "/d", "/d/new"]
    source.layers_read(image)
    for path in ("/d/a", "/b", "/d/a/deeper", "/c/below"):
        with pytest.raises(Missing, match="has no"):
            await content(image, path)
    with pytest.raises(Missing):
        await content(image, "/d/a")
    image = await layered(source, layer(file("b", b"1")), layer(file(".wh.b"), file("x")))
    source.layers_read(image)
    with pytest.raises(Missing):
        await content(image, "/b")
    assert source.layers_read(image) == [1], "a whiteout is an answer"


async def test_links_are_followed_inside_the_image(source: Counting) -> None:
    image = await layered(
        source,
        layer(
            folder("usr"),
            folder("usr/lib"),
            file("usr/lib/os-release", b"debian"),
            symlink("lib", "usr/lib"),
        ),
        layer(
            folder("etc"),
            symlink("etc/os-release", "../usr/lib/os-release"),
            symlink("etc/out", "../../../../usr/lib/os-release"),
            symlink("etc/absolute", "/lib/os-release"),
        ),
    )
    for path in ("/etc/os-release", "/etc/out", "/etc/absolute", "/lib/os-release"):
        assert await content(image, path) == b"debian"
    source.layers_read(image)
    await content(image, "/etc/os-release")
    assert source.layers_read(image) == [1, 0], "its content came along with the names"


async def test_a_layer_that_writes_through_a_link_of_a_lower_one(source: Counting) -> None:
    image = await layered(
        source,
        layer(
            folder("usr"), folder("usr/lib"), file("usr/lib/x", b"old"), symlink("lib", "usr/lib")
        ),
        layer(file("lib/x", b"new")),
    )
    assert await content(image, "/usr/lib/x") == b"new"
    assert await names(image) == ["/lib", "/usr", "/usr/lib", "/usr/lib/x"]


async def test_hard_links_have_the_content_of_their_file(source: Counting) -> None:
    image = await layered(
        source,
        layer(file("a", b"content")),
        layer(hardlink("b", "a"), hardlink("c", "b")),
        layer(file(".wh.a")),
    )
    assert await content(image, "/c") == b"content"
    assert await names(image) == ["/b", "/c"]


@pytest.mark.parametrize("path", ["/one", "/one/below", "/self"])
async def test_links_in_circles_end(source: Counting, path: str) -> None:
    image = await layered(
        source, layer(symlink("one", "two"), symlink("two", "one"), symlink("self", "self/self"))
    )
    with pytest.raises(LoopingLinks, match="circles"):
        await content(image, path)


async def test_what_has_no_content_says_what_it_is(source: Counting) -> None:
    image = await layered(source, layer(folder("etc"), file("etc/a")))
    with pytest.raises(Misused, match="is a directory"):
        await content(image, "/etc")
    assert await content(image, "/etc/a") == b""


async def test_a_large_file_and_a_second_one(source: Counting) -> None:
    large = random.Random(1).randbytes(5 << 20)
    image = await layered(source, layer(file("large", large), file("small", b"s")))
    files = ImageFiles(image)
    assert b"".join([piece async for piece in read_file(image, "/large", files=files)]) == large
    assert b"".join([piece async for piece in read_file(image, "small", files=files)]) == b"s"


async def test_what_is_listed_of_a_file(source: Counting) -> None:
    image = await layered(source, layer(file("a", b"abc", mode=0o4755, uid=7, gid=8)))
    (found,) = await list_files(image, hashed=True)
    assert (found.path, found.kind, found.mode) == ("/a", Kind.FILE, 0o4755)
    assert (found.uid, found.gid, found.size, found.layer) == (7, 8, 3, 0)
    assert found.digest.startswith("sha256:ba7816bf8f01cfea")


async def test_nothing_of_a_damaged_layer_comes_out(source: Counting) -> None:
    image = await layered(source, layer(file("a", b"content")))
    path = source.path(image.layers[0].digest)
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1  # the length in the gzip trailer
    path.write_bytes(damaged)
    with pytest.raises(ContentMismatch, match="has the digest"):
        await content(image, "/a")
    path.write_bytes(bytes(damaged[:-3]))
    with pytest.raises(ContentMismatch):
        await content(image, "/a")


async def test_a_layer_that_makes_no_sense_is_named(source: Counting) -> None:
    image = await layered(source, b"no tar" * 1000)
    with pytest.raises(LayerRefused, match=f"layer {image.layers[0].digest}: a number in a header"):
        await content(image, "/a")
    image = await layered(source, layer(file("a"), file("a/b")))
    with pytest.raises(LayerRefused, match="yet has entries"):
        await names(image)


@pytest.mark.parametrize(
    "text, found",
    [
        ("debian:12:/etc/x", ("debian:12", "/etc/x")),
        ("debian:/", ("debian", "/")),
        ("localhost:5000/app", ("localhost:5000/app", None)),
        ("localhost:5000/app:1:/a:/b", ("localhost:5000/app:1", "/a:/b")),
        ("docker://localhost:5000/app:/x", ("docker://localhost:5000/app", "/x")),
        ("oci:/abs/folder:name:/x", ("oci:/abs/folder:name", "/x")),
        ("oci:folder", ("oci:folder", None)),
        ("app@sha256:abc:/x", ("app@sha256:abc", "/x")),
        ("[::1]:5000/app:/x", ("[::1]:5000/app", "/x")),
    ],
)
def test_a_reference_and_a_path(text: str, found: tuple[str, str | None]) -> None:
    assert split_path(text) == found


def test_a_path_without_an_image() -> None:
    with pytest.raises(ReferenceInvalid, match="names no image"):
        split_path(":/etc")


# Against `unpack`: whatever layers say, both must see the same.

NAMES = ("a", "b", "c")
_numbers = count()


def some_member(dice: random.Random) -> Member:
    path = "/".join(dice.choice(NAMES) for _ in range(dice.randint(1, 3)))
    head, _, name = path.rpartition("/")
    above = f"{head}/" if head else ""
    target = dice.choice((*NAMES, "a/b", "../c", "/b", "../../a/c", "."))
    return dice.choice(
        (
            folder(path),
            folder(path, mode=0o700),
            file(path, str(next(_numbers)).encode()),
            file(path, b"same"),
            symlink(path, target),
            hardlink(path, dice.choice(("a", "b/a", "a/b", "c"))),
            file(f"{above}.wh.{name}"),
            file(f"{above}{OPAQUE}"),
        )
    )


def some_layers(dice: random.Random) -> list[bytes]:
    return [
        layer(*(some_member(dice) for _ in range(dice.randint(1, 6))))
        for _ in range(dice.randint(1, 4))
    ]


def on_disk(root: Path) -> dict[str, tuple[object, ...]]:
    """Kind, and content or where it leads."""
    found: dict[str, tuple[object, ...]] = {}
    for path in root.rglob("*"):
        status = path.lstat()
        name = f"/{path.relative_to(root)}"
        if stat.S_ISLNK(status.st_mode):
            found[name] = (Kind.SYMLINK, os.readlink(path))
        elif stat.S_ISDIR(status.st_mode):
            found[name] = (Kind.DIRECTORY, stat.S_IMODE(status.st_mode))
        else:
            found[name] = (Kind.FILE, path.read_bytes())
    return found


async def in_image(image: Image) -> dict[str, tuple[object, ...]]:
    found: dict[str, tuple[object, ...]] = {}
    files = ImageFiles(image)
    view = await files.view()
    for one in await list_files(image):
        if one.kind is Kind.SYMLINK:
            found[one.path] = (one.kind, one.link)
        elif one.kind is Kind.DIRECTORY:
            found[one.path] = (one.kind, one.mode)
        else:
            parts = tuple(os.fsencode(one.path[1:]).split(b"/"))
            node = view.find(parts, follow=False)
            assert node is not None
            found[one.path] = (one.kind, b"".join([piece async for piece in files.read(node)]))
    return found


@pytest.mark.parametrize("seed", range(5))
async def test_an_image_has_the_files_that_it_unpacks_to(seed: int, tmp_path: Path) -> None:
    dice = random.Random(seed)
    compared = 0
    while compared < 12:
        tars = some_layers(dice)
        root = tmp_path / f"root-{next(_numbers)}"
        image = await layered(Counting(tmp_path / "layout"), *tars)
        try:
            applied(root, *tars)
        except LayerRefused:
            continue
        assert await in_image(image) == on_disk(root)
        compared += 1
        for path, (kind, value) in on_disk(root).items():
            if kind is Kind.FILE:  # found from the top down: as from the bottom up
                assert await content(image, path) == value
