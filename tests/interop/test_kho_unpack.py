"""`kho unpack` beside umoci: the same trees; and runc starts what it makes."""

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kho.client.stores.layout import Layout
from tests.client.layers import device, fifo, file, folder, hardlink, layer, symlink, tree
from tests.client.rootfs_images import rootfs_image

from .clients import program
from .images import MARKER, MARKER_TEXT, DebianImage
from .kho_client import KHO, Kho
from .processes import run
from .servers import Server

NOBODY = 65534
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
# Where Python itself is may be closed to others; this opens it for reading, and for no more.
READS_ALL = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
SPECIAL = (
    layer(
        folder("./", 0o711, mtime=5),
        folder("dev", mtime=7),
        device("dev/null", mode=0o666),
        fifo("dev/pipe", mode=0o622),
        folder("bin", 0o555),
        file("bin/su", b"#!/bin/sh\n", mode=0o4755),
        hardlink("bin/again", "bin/su"),
        symlink("sbin", "bin", uid=5, gid=6),
        file("home/theirs", b"x", mode=0o400, uid=1000, gid=70000),
        file("home/gone"),
        folder("var/lower", 0o1777, uid=3),
        file("var/lower/hidden"),
        file("note", b"", xattrs={"user.note": "kept"}),
    ),
    layer(
        file("home/.wh.gone"),
        folder("var/lower", 0o700),
        file("var/lower/.wh..wh..opq"),
        file("var/lower/new", b"n"),
        file("sbin/mount", b"through a link", mode=0o2755),
        symlink("dev/null", "pipe"),
    ),
)


def umoci(layout: str, out: Path, *words: str) -> dict[str, tuple[object, ...]]:
    run(program("umoci"), "unpack", *words, "--image", layout, out)
    return tree(out / "rootfs")


@pytest.mark.parametrize("words", [(), ("--rootless",)], ids=["rootful", "rootless"])
def test_the_debian_image_is_as_umoci_makes_it(
    kho: Kho, debian: DebianImage, tmp_path: Path, words: tuple[str, ...]
) -> None:
    keep = ("--keep-setuid",) if words else ()
    told = kho.json("unpack", f"oci:{debian.layout}", tmp_path / "ours", *words, *keep)
    assert told["digest"] == debian.digest
    theirs = umoci(debian.layout, tmp_path / "theirs", *words)
    ours = tree(tmp_path / "ours")
    assert ours.keys() == theirs.keys()
    assert {name: (ours[name], theirs[name]) for name in ours if ours[name] != theirs[name]} == {}


@pytest.mark.parametrize("words", [(), ("--rootless",)], ids=["rootful", "rootless"])
def test_special_files_are_as_umoci_makes_them(
    kho: Kho, tmp_path: Path, words: tuple[str, ...]
) -> None:
    asyncio.run(rootfs_image(Layout(tmp_path / "layout"), *SPECIAL))
    layout = f"{tmp_path}/layout:image"
    keep = ("--keep-setuid",) if words else ()
    kho.run("unpack", f"oci:{layout}", tmp_path / "ours", *words, *keep)
    ours, theirs = tree(tmp_path / "ours"), umoci(layout, tmp_path / "theirs", *words)
    # No layer describes these: ours have a fixed time, umoci's the present, and so has the root.
    for name in (".", "home", "var"):
        assert ours.pop(name)[:3] == theirs.pop(name)[:3]
    assert ours == theirs


def test_images_of_registries_are_unpacked(
    kho: Kho, debian: DebianImage, either: Server, tmp_path: Path
) -> None:
    ref = f"{either.host}/unpack/debian:1"
    kho.run("copy", f"oci:{debian.layout}", ref)
    told = kho.json("unpack", ref, tmp_path / "root")
    assert (told["layers"], told["digest"]) == (10, debian.digest)
    assert (tmp_path / "root" / MARKER.lstrip("/")).read_text() == f"{MARKER_TEXT}\n"
    assert sorted(os.listdir(tmp_path)) == ["home", "root"]
    assert "is not empty" in kho.refused("unpack", ref, tmp_path / "root")


def _script(bundle: Path, script: str) -> None:
    """Have a bundle run a script."""
    config: dict[str, Any] = json.loads((bundle / "config.json").read_text())
    config["process"]["args"] = ["/bin/sh", "-c", script]
    (bundle / "config.json").write_text(json.dumps(config))


SCRIPT = f"cat {MARKER}; id -u; id -g; echo $HOME $HOSTNAME; hostname; pwd; cat /proc/1/comm"


def test_runc_starts_a_bundle(kho: Kho, debian: DebianImage, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    kho.run("unpack", f"oci:{debian.layout}", bundle, "--bundle")
    assert bundle.stat().st_mode & 0o777 == 0o700
    _script(bundle, SCRIPT)
    runc = (program("runc"), "--root", tmp_path / "runc")
    said = run(*runc, "run", "--bundle", bundle, "kho-rootful")
    assert said == f"{MARKER_TEXT}\n0\n0\n/root kho\nkho\n/\nsh\n"


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder of nobody's, below folders that everybody may enter."""
    found = Path(tempfile.mkdtemp(prefix="kho-rootless-"))
    os.chown(found, NOBODY, NOBODY)
    yield found
    shutil.rmtree(found)


def test_runc_starts_a_rootless_bundle(debian: DebianImage, open_folder: Path) -> None:
    env = Kho(open_folder / "home").env | {"XDG_RUNTIME_DIR": str(open_folder)}
    bundle = open_folder / "bundle"
    kho = (*AS_NOBODY, *READS_ALL, KHO)
    run(*kho, "unpack", f"oci:{debian.layout}", bundle, "--bundle", env=env)
    assert {path.lstat().st_uid for path in bundle.rglob("*")} == {NOBODY}
    _script(bundle, SCRIPT)
    runc = (*AS_NOBODY, program("runc"), "--root", open_folder / "runc")
    said = run(*runc, "run", "--bundle", bundle, "kho-rootless", env=env)
    assert said == f"{MARKER_TEXT}\n0\n0\n/root kho\nkho\n/\nsh\n"
