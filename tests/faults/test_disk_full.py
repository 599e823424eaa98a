"""F5: a full disk is told as 507, keeps nothing half, and is over as soon as there is room."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-m", "tests.faults.full_disk"]

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a disk of its own: root only")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the registry on the small disk answered."""
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.fail("unshare is missing (Debian: apt-get install util-linux)", pytrace=False)
    folder = tmp_path_factory.mktemp("full")
    command = [unshare, "-m", *PROGRAM, str(folder)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


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
