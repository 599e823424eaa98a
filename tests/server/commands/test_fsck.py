"""`khod fsck` from the shell: what it prints, how it ends."""

import json
import os
from pathlib import Path

import pytest

from kho.oci.digest import Digest
from kho.server.registry import fsck
from tests.flows.registry import Registry
from tests.server.commands.doors import Door, door

LAYER = b"layer" * 1000
DIGEST = Digest.of(LAYER)


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second look comes at once."""
    monkeypatch.setattr(fsck, "SETTLE_SECONDS", 0.01)


@pytest.fixture
async def stored(registry: Registry) -> Registry:
    """An image, and a server that has ended: the command runs a loop of its own."""
    await registry.push_image("a", "t", LAYER)
    await registry.stop()
    return registry


@pytest.fixture
def khod(stored: Registry, database_url: str) -> Door:
    """Commands on it."""
    return door(stored.folder, ("--database", database_url))


def test_all_is_right(khod: Door) -> None:
    code, told, error = khod("fsck")
    assert (code, error) == (0, "")
    assert told.startswith("all is right (2 blobs, 5002 bytes, 2 links, 1 manifests, 1 tags")
    code, told, error = khod("fsck --quick --json")
    assert (code, error) == (0, "")
    assert json.loads(told)["clean"] is True
    assert "bytes" not in json.loads(told)["checked"]


def test_a_finding_is_a_line(khod: Door, stored: Registry) -> None:
    os.truncate(stored.blob_file(DIGEST), 10)
    code, told, error = khod("fsck")
    assert code == 1
    assert told == (
        f"blob.damaged  {DIGEST}  10 bytes are stored, 5000 were pushed"
        "  (--repair: moved to quarantine; push it again)\n"
    )
    assert error.startswith("1 found to be wrong")

    code, told, error = khod("fsck --json")
    finding, summary = map(json.loads, told.splitlines())
    assert (code, error) == (1, "")
    assert set(finding) == {"kind", "where", "what", "repair", "repaired"}
    assert (finding["kind"], finding["repaired"]) == ("blob.damaged", False)
    assert (summary["clean"], summary["findings"]) == (False, 1)


def test_repairing(khod: Door, stored: Registry) -> None:
    stored.blob_file(DIGEST).write_bytes(b"Layer" * 1000)
    code, told, _ = khod("fsck --repair")
    assert (code, "(repaired: moved to quarantine" in told) == (1, True)
    code, told, _ = khod("fsck --repair")
    assert (code, "blob.missing" in told, "nothing can be repaired here" in told) == (1, True, True)
    stored.blob_file(DIGEST).write_bytes(LAYER)
    assert khod("fsck")[0] == 0
    _, told, _ = khod("audit --action fsck.repair --json")
    (event,) = map(json.loads, told.splitlines())
    assert (event["actor"], event["target"]) == ("operator", str(DIGEST))


def test_leftovers_are_told_when_they_are_old(khod: Door, stored: Registry) -> None:
    (stored.folder / "uploads" / "left").write_bytes(b"left")
    assert khod("fsck")[0] == 0
    code, told, _ = khod("fsck --min-age 0 --repair")
    assert (code, told.split()[:2]) == (1, ["upload.orphan", "uploads/left"])
    assert khod("fsck --min-age 0")[0] == 0


def test_wrong_usage(tmp_path: Path, khod: Door) -> None:
    absent = door(tmp_path / "absent")
    absent.refused("fsck", 2, "there is no data folder")
    assert not (tmp_path / "absent").exists()
    khod.refused("fsck --fast", 2, "--fast")
    khod.refused("fsck --min-age -1", 2, "min-age")


def test_blobs_in_memory_cannot_be_looked_at(tmp_path: Path) -> None:
    (tmp_path / "khod.toml").write_text('storage = "memory://"\n')
    command = door(tmp_path, ("--config", str(tmp_path / "khod.toml")))
    command.refused("fsck", 2, "in the server's memory")
