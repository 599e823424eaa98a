"""F5: a full disk is told as 507, keeps nothing half, and is over as soon as there is room."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kho.server.database.drivers.reserve import SIZE
from tests.faults.scale import report, rounds

REPOSITORY = Path(__file__).parents[2]
ONCE, CYCLES = "tests.faults.full_disk", "tests.faults.full_disk_cycles"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a disk of its own: root only")


def run(module: str, *arguments: object) -> dict[str, Any]:
    """Run a program in a mount namespace of its own; what it printed."""
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.fail("unshare is missing (Debian: apt-get install util-linux)", pytrace=False)
    command = [unshare, "-m", sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the registry on the small disk answered."""
    return run(ONCE, tmp_path_factory.mktemp("full"))


@pytest.mark.parametrize("way", ["patch", "put", "post"])
def test_F5_a_push_that_does_not_fit_is_507_and_given_up(told: dict[str, Any], way: str) -> None:
    assert told[way] == [507, ["UNAVAILABLE"]]
    assert sum(told[f"left by {way}"]) == 0
    assert told[f"push after {way}"] == 201
    assert told[f"session after {way}"] == (204 if way == "post" else 404)


@pytest.mark.parametrize("when", ["after patch", "after put", "after post", "on a full disk"])
def test_F5_pulls_go_on(told: dict[str, Any], when: str) -> None:
    assert told[f"pull {when}"] is True


def test_F5_readiness_tells(told: dict[str, Any]) -> None:
    states = [told["ready"], told["ready on a full disk"], told["ready again"]]
    assert states == [200, 507, 200]


def test_F5_nothing_is_found_afterwards(told: dict[str, Any]) -> None:
    assert told["fsck"] == ""


@pytest.mark.parametrize(
    "kind, short", [("tmpfs", 5), ("ext4", 2), ("inodes", 2)], ids=["tmpfs", "ext4", "inodes"]
)
def test_F5_rows_and_bytes_on_one_full_disk(tmp_path: Path, kind: str, short: int) -> None:
    if kind != "tmpfs" and not Path("/dev/loop-control").exists():
        pytest.skip("no loop devices here")
    cycles = rounds(short=short, long=200)
    told = run(CYCLES, kind, tmp_path, cycles)
    always: dict[str, object] = {
        "push of a blob: 507": cycles,
        "pull: True": 2 * cycles,
        "pull of a manifest: 200": cycles,
        "cancel: 204": cycles,
        "delete of a tag: 202": cycles,
        "delete of a blob: 202": cycles,
        "after it: 404": cycles,
        "ready again: 200": cycles,
        f"reserve: {SIZE}": cycles,
        "left": 0,
        "descriptors": 0,
        "fsck": "",
    }
    if kind != "inodes":  # a row needs no inode
        always["push of a manifest: 507"] = cycles
    counted = dict(told)
    assert {key: counted.pop(key, None) for key in always} == always
    assert counted.keys() <= {"delete of a manifest: 202", "ready: 200", "ready: 507"}
    report("F5", kind=kind, **told)
