"""U7: who unpacks is killed at any moment; the folder is whole, or not there."""

import asyncio
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

from kho.client.stores.layout import Layout
from kho.client.unpacking.unpack import Choices, unpack
from tests.client.layers import file, folder, hardlink, layer, symlink, tree
from tests.client.rootfs_images import rootfs_image
from tests.faults.scale import LONG, report, rounds, seed

KHO = Path(sys.executable).with_name("kho")
LAYERS = [
    layer(
        folder(f"d{number}", 0o555, mtime=number),
        *(file(f"d{number}/f{one}", os.urandom(3000), mode=0o444) for one in range(150)),
        symlink(f"l{number}", f"d{number}"),
        hardlink(f"h{number}", f"l{number}/f0"),
        *([file(f"d{number - 1}/.wh.f7")] if number else []),
    )
    for number in range(6)
]


def _seen(root: Path) -> dict[str, tuple[object, ...]]:
    return {name: fields[:7] for name, fields in tree(root).items()}


def test_U7_a_killed_run_leaves_all_or_nothing(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "layout")
    drawn = seed()
    print(f"FAULTS_SEED={drawn}")
    chance = random.Random(drawn)
    image = asyncio.run(rootfs_image(layout, *LAYERS))
    asyncio.run(unpack(image, tmp_path / "wanted", Choices(sync=False)))
    wanted, out = _seen(tmp_path / "wanted"), tmp_path / "out"
    command: list[str | Path] = [KHO, "unpack", f"oci:{layout.folder}:image", out, "--quiet"]
    if not LONG:  # other tests keep the disk busy
        command.append("--no-sync")
    started = time.monotonic()
    subprocess.run(command, check=True)
    seconds = time.monotonic() - started
    kills, whole, half = rounds(short=5, long=200), 0, 0
    for _ in range(kills):
        shutil.rmtree(out, ignore_errors=True)
        with subprocess.Popen(command) as running:
            time.sleep(chance.uniform(0.3, 1.1) * seconds)
            running.kill()
        leftovers = [one for one in os.listdir(tmp_path) if one.startswith(".out.kho-unpack-")]
        half += bool(leftovers)
        if out.exists():
            whole += 1
            assert _seen(out) == wanted
        assert len(leftovers) <= 1
    shutil.rmtree(out, ignore_errors=True)
    subprocess.run(command, check=True)
    assert _seen(out) == wanted
    assert sorted(os.listdir(tmp_path)) == ["layout", "out", "wanted"]
    report("U7", seed=drawn, kills=kills, whole=whole, left_behind=half)
