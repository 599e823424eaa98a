"""U1: an image is applied to its folder, and nothing outside ever changes."""

import io
import os
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from kho.client.errors import ClientError
from kho.client.unpacking.looks import Looks
from kho.client.unpacking.rootfs import Rootfs
from kho.layers.errors import LayerRefused
from kho.layers.limits import DEFAULT
from kho.layers.tar import TarReader
from tests.attacks.unpack_cases import BREAKOUTS, Case, holds
from tests.client.layers import (
    Member,
    applied,
    canary,
    device,
    fifo,
    file,
    folder,
    hardlink,
    layer,
    symlink,
    tree,
)
from tests.faults.scale import report, rounds, seed

MODES = [True, False] if os.geteuid() == 0 else [True]
NAMES = ("a", "b", "c", "d", "etc", "..", ".", "", "x" * 300)
LAYERS = 10
MAKERS = (file, folder, folder, symlink, symlink, hardlink, fifo, device)


@pytest.mark.parametrize("rootless", MODES)
@pytest.mark.parametrize("case", BREAKOUTS, ids=[one[0].replace(" ", "-") for one in BREAKOUTS])
def test_U1_nothing_breaks_out(tmp_path: Path, case: Case, *, rootless: bool) -> None:
    holds(case, tmp_path, rootless=rootless)


@pytest.mark.parametrize("prefix", ["/..", "..", "../..", "/./../.", "a/../.."])
def test_U1_steps_up_in_names_end_at_the_root(tmp_path: Path, prefix: str) -> None:
    before = canary(tmp_path / "host")
    applied(tmp_path / "root", layer(file(f"{prefix}/host/file", b"inside")))
    assert (tmp_path / "root/host/file").read_bytes() == b"inside"
    assert tree(tmp_path / "host", ctime=True) == before


@pytest.mark.parametrize("target", ["/", "/../", "/.." * 16, "/./.." * 16 + "/", ".."])
def test_U1_steps_up_in_links_end_at_the_root(tmp_path: Path, target: str) -> None:
    before = canary(tmp_path / "host")
    below = layer(symlink("link", target))
    applied(tmp_path / "root", below, layer(file("link/host/file", b"inside")))
    assert (tmp_path / "root/host/file").read_bytes() == b"inside"
    assert tree(tmp_path / "host", ctime=True) == before


def test_U1_nothing_changes_outside_whatever_layers_say(tmp_path: Path) -> None:
    """Random layers, aimed at a host; in `make faults` a hundred thousand of them."""
    drawn = seed()
    print(f"FAULTS_SEED={drawn}")
    chance = random.Random(drawn)
    host, root = tmp_path / "host", tmp_path / "root"
    before = canary(host)
    images, refused = rounds(short=60, long=10_000), 0
    for _ in range(images):
        layers = [
            layer(*(_member(chance, host) for _ in range(chance.randrange(1, 6))))
            for _ in range(LAYERS)
        ]
        refused += _apply(root, layers, rootless=chance.choice(MODES))
        assert sorted(os.listdir(tmp_path)) == ["host", "root"]
        shutil.rmtree(root)
        assert tree(host, ctime=True) == before
    report("U1", seed=drawn, layers=images * LAYERS, refused=refused)
    assert 0.1 < refused / (images * LAYERS) < 0.9


def _apply(root: Path, layers: list[bytes], *, rootless: bool) -> int:
    """Go on with the next layer where one is refused in its middle; how many are."""
    root.mkdir()
    refused, fd = 0, os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    rootfs = Rootfs(fd, Looks(rootless=rootless, keep_setuid=False), DEFAULT)
    try:
        for one in layers:
            try:
                rootfs.apply(TarReader(io.BytesIO(one)))
            except (LayerRefused, ClientError):
                refused += 1
        rootfs.finish()
    finally:
        rootfs.close()
        os.close(fd)
    return refused


def _member(chance: random.Random, host: Path) -> Member:
    make = chance.choice(MAKERS)
    more: dict[str, Any] = {
        "mode": chance.choice((0o777, 0, 0o4755)),
        "uid": chance.choice((0, 1000)),
    }
    path = _path(chance, host)
    if make in (symlink, hardlink):
        return make(path, _path(chance, host), **more)
    if chance.random() < 0.15:
        path = os.path.join(
            os.path.dirname(path), chance.choice((".wh.a", ".wh.b", ".wh..wh..opq"))
        )
    return make(path, **more)


def _path(chance: random.Random, host: Path) -> str:
    if chance.random() < 0.15:
        return str(host / chance.choice(("etc/passwd", "etc", "link/shadow", "dev/pipe", "")))
    names = NAMES if chance.random() < 0.1 else NAMES[:-2]
    path = "/".join(chance.choices(names, k=chance.randrange(1, 5)))
    return chance.choice(("", "", "/", "../")) + path
