"""Names inside a layer: components, whiteouts, and what is no name."""

import pytest

from kho.layers.errors import LayerRefused, shown
from kho.layers.names import METADATA, OPAQUE, Marker, components, is_metadata, whiteout


@pytest.mark.parametrize(
    "path,expected",
    [
        (b"a/b", (b"a", b"b")),
        (b"./a//b/", (b"a", b"b")),
        (b"/", ()),
        (b"./", ()),
        (b"", ()),
        (b"../../x", (b"x",)),
        (b"a/../b", (b"b",)),
        (b"a/b/../../../../c", (b"c",)),
        (b"a/...", (b"a", b"...")),
        (b"\xff/ \n", (b"\xff", b" \n")),
    ],
)
def test_a_path_is_cleaned_below_the_root(path: bytes, expected: tuple[bytes, ...]) -> None:
    assert components(path) == expected


@pytest.mark.parametrize("path", [b"a\0b", b"a" * 256, b"a/" * 2049])
def test_what_no_file_system_takes_is_refused(path: bytes) -> None:
    with pytest.raises(LayerRefused):
        components(path)


def test_a_name_and_a_path_may_be_as_long_as_linux_allows() -> None:
    assert components(b"n" * 255) == (b"n" * 255,)
    assert len(components(b"a/" * 2048)) == 2048


@pytest.mark.parametrize(
    "name,expected",
    [
        (b"a", None),
        (b".wh", None),
        (b"a.wh.b", None),
        (b".wh.a", b"a"),
        (b".wh....", b"..."),
        (b".wh..bashrc", b".bashrc"),
        (b".wh..wh..opq", OPAQUE),
        (b".wh..wh.plnk", METADATA),
        (b".wh..wh.", METADATA),
    ],
)
def test_what_a_name_takes_away(name: bytes, expected: bytes | Marker | None) -> None:
    assert whiteout(name) == expected


@pytest.mark.parametrize("name", [b".wh.", b".wh..", b".wh..."])
def test_a_whiteout_of_nothing_is_refused(name: bytes) -> None:
    with pytest.raises(LayerRefused, match="a whiteout names one entry"):
        whiteout(name)


def test_folders_of_aufs_are_metadata_with_all_that_is_in_them() -> None:
    assert is_metadata((b".wh..wh.plnk", b"12.34"))
    assert not is_metadata((b"etc", b".wh..wh..opq"))
    assert not is_metadata((b"etc", b".wh.passwd"))


def test_a_path_in_a_message_is_one_short_line() -> None:
    assert shown(b"a\n\x1b[2J\xff" + "é".encode()) == "a\\n\\x1b[2J\\xffé"
    assert len(shown(b"a" * 5000)) < 250
