"""`khod keys`: listed and rotated, whether the registry is being served or not."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from kho.server.cli import main
from kho.server.config import load
from kho.server.index.tokens import keys
from kho.server.resources import open_resources
from tests.flows.databases import on_both_databases


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("KHO_", "REGISTRY_"))]:
        monkeypatch.delenv(name)


@pytest.fixture
def place(tmp_path: Path, database_url: str) -> list[str]:
    """Flags that name a registry with one key."""
    flags = {"data": str(tmp_path / "data"), "database": database_url}

    async def ensure() -> None:
        (tmp_path / "data").mkdir()
        async with open_resources(load(dict(flags), {})) as resources:
            await keys.ensure(resources)

    asyncio.run(ensure())
    return [part for key, value in flags.items() for part in (f"--{key}", value)]


def khod(place: list[str], *words: str) -> str:
    """What a command prints; it must not fail, nor complain."""
    told = CliRunner().invoke(main, [*words, *place])
    assert (told.exit_code, told.stderr) == (0, "")
    return told.stdout


def listed(place: list[str]) -> list[dict[str, Any]]:
    """`khod keys list --json`."""
    found: list[dict[str, Any]] = json.loads(khod(place, "keys", "list", "--json"))
    return found


@on_both_databases
def test_rotation_leaves_the_old_key_for_a_while(place: list[str]) -> None:
    (first,) = listed(place)
    kid = khod(place, "keys", "rotate").strip()
    signing, retired = listed(place)
    assert (signing["kid"], signing["use"], signing["retires_at"]) == (kid, "signs", None)
    assert (retired["kid"], retired["use"]) == (first["kid"], "verifies")
    assert retired["retires_at"] > signing["created_at"]
    (event,) = map(json.loads, khod(place, "audit", "--json").splitlines())
    assert (event["action"], event["actor"], event["target"]) == ("key.rotate", "operator", kid)


@on_both_databases
def test_a_key_that_leaked_is_dropped(place: list[str]) -> None:
    khod(place, "keys", "rotate")
    kid = khod(place, "keys", "rotate", "--drop-old").strip()
    assert [row["kid"] for row in listed(place)] == [kid]


def test_private_halves_are_never_shown(place: list[str]) -> None:
    shown = khod(place, "keys", "list") + khod(place, "keys", "list", "--json")
    assert "PRIVATE" not in shown
    assert set(listed(place)[0]) == {"kid", "algorithm", "use", "created_at", "retires_at"}
