"""U2: a whiteout takes away one thing of lower layers, wherever in its layer it stands."""

import os
import random
from pathlib import Path

import pytest

from tests.attacks.unpack_cases import WHITEOUTS, Case, holds
from tests.client.layers import Member, applied, fifo, file, folder, layer, symlink, tree

MODES = [True, False] if os.geteuid() == 0 else [True]
OPAQUE = file(".wh..wh..opq")

# Entries of a folder below and of the layer that makes it opaque; what must be left of them is
# what the layer has, and the folders above it.
OPAQUES: list[tuple[str, tuple[Member, ...], tuple[Member, ...]]] = [
    ("empty", (), ()),
    (
        "one level",
        (file("file"), fifo("fifo")),
        (symlink("link", ".."), symlink("badlink", "./nothing")),
    ),
    ("one level, nothing new", (file("file"), symlink("link", ".."), fifo("fifo")), ()),
    (
        "two levels",
        (symlink("link", ".."), symlink("dir/link", "../badlink"), symlink("dir/bad2", "/../../x")),
        (file("file"), folder("dir"), file("dir/file"), symlink("dir/bad", "../../../etc/shadow")),
    ),
    (
        "many levels",
        (
            symlink("link", ".."),
            file("1a/file"),
            folder("1a/2a"),
            file("1a/2a/3"),
            file("1a/2b/old"),
            folder("1a/2b/3/4"),
            file("1b/2/3"),
        ),
        (
            file("file"),
            folder("1a"),
            symlink("1a/link", "../../../"),
            folder("1a/2b"),
            file("1a/2b/new"),
        ),
    ),
    (
        "a folder above that the layer does not name",
        (folder("some/dir"), file("another/dir/somewhere")),
        (file("some/dir/somewhere"),),
    ),
    (
        "whiteouts beside it",
        (file("c"),),
        (file(".wh.b"), file("a"), file("b"), file(".wh.a"), file(".wh.c")),
    ),
    (
        "whiteouts of folders beside it",
        (file("file"), symlink("dir1/link", "../badlink"), file("dir2/link")),
        (
            file(".wh.dir2"),
            folder("dir1"),
            file("dir1/file"),
            file(".wh.dir1"),
            folder("dir2"),
            file("dir2/f"),
        ),
    ),
]
SINGLE = ["rootpath", ".hiddenroot", "some/path/file", "another/path/.hiddenfile"]


@pytest.mark.parametrize("rootless", MODES)
@pytest.mark.parametrize("case", WHITEOUTS, ids=[one[0].replace(" ", "-") for one in WHITEOUTS])
def test_U2_whiteouts_take_away_one_thing(tmp_path: Path, case: Case, *, rootless: bool) -> None:
    holds(case, tmp_path, rootless=rootless)


@pytest.mark.parametrize("tail", ["", "/file1"])
@pytest.mark.parametrize("path", SINGLE)
def test_U2_whiteouts_leave_their_folder_as_it_is(tmp_path: Path, path: str, tail: str) -> None:
    above, _, name = path.rpartition("/")
    kept = [folder(above, 0o750, mtime=123)] if above else []
    root = tmp_path / "root"
    applied(root, layer(*kept, file(path + tail)), layer(file(f"{above}/.wh.{name}")))
    assert sorted(os.listdir(root / above)) == []
    if above:
        assert (root / above).stat().st_mtime == 123
        assert (root / above).stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize("case", OPAQUES, ids=[one[0].replace(" ", "-") for one in OPAQUES])
def test_U2_opaque_folders_hide_lower_layers_alone(
    tmp_path: Path, case: tuple[str, tuple[Member, ...], tuple[Member, ...]]
) -> None:
    _, below, above = case
    lower = layer(folder("sub"), file("beside"), *(_in_sub(one) for one in below))
    upper = [_in_sub(one) for one in (*above, OPAQUE)]
    alone = layer(folder("sub"), file("beside"), *(one for one in upper if ".wh." not in one.path))
    applied(tmp_path / "alone", alone)
    wanted = _without_inodes(tmp_path / "alone")
    for number, order in enumerate((upper, upper[-1:] + upper[:-1])):
        root = tmp_path / str(number)
        applied(root, lower, layer(*order))
        assert _without_inodes(root) == wanted


def test_U2_the_order_in_a_layer_does_not_matter(tmp_path: Path) -> None:
    chance = random.Random(20)
    lower = layer(
        folder("a", 0o700), file("a/1"), file("a/b/2"), file("c/3"), folder("d", 0o711), file("d/4")
    )
    upper = [
        file("a/new", b"n"),
        file("a/b/new", b"n"),
        file("d/e/new", b"n"),
        file("c/new", b"n"),
        file(".wh.a"),
        file("d/.wh..wh..opq"),
        file("c/.wh.3"),
    ]
    applied(tmp_path / "first", lower, layer(*upper))
    wanted = _without_inodes(tmp_path / "first")
    assert set(wanted) == {".", "a", "a/new", "a/b", "a/b/new", "c", "c/new", "d", "d/e", "d/e/new"}
    for number in range(40):
        chance.shuffle(upper)
        applied(tmp_path / str(number), lower, layer(*upper))
        assert _without_inodes(tmp_path / str(number)) == wanted, upper


def _in_sub(member: Member) -> Member:
    return Member(**{**vars(member), "path": f"sub/{member.path}"})


def _without_inodes(root: Path) -> dict[str, tuple[object, ...]]:
    return {name: fields[:7] for name, fields in tree(root).items()}
