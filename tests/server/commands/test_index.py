"""`khod index` from the shell."""

from pathlib import Path

import pytest

from kho.server.database import facts
from tests.flows.people import resources_of
from tests.flows.registry import Registry
from tests.server.commands.doors import Door, door


@pytest.fixture
async def pushed(registry: Registry) -> Registry:
    """Two repositories; the server goes on."""
    for name in ("a", "b/c"):
        await registry.push_image(name, "t", b"a layer")
    assert not await resources_of(registry).database.read(facts.doubted, 0, 10)
    await registry.stop()
    return registry


@pytest.fixture
def khod(pushed: Registry, database_url: str) -> Door:
    """Commands on it."""
    return door(pushed.folder, ("--database", database_url))


def test_of_all_or_of_one(khod: Door, tmp_path: Path) -> None:
    code, told, error = khod("index rebuild b/c")
    assert (code, error) == (0, "")
    assert told == "1 to be done by a running khod, within a minute if there are few\n"
    assert khod("index rebuild")[1].startswith("2 to be done")
    code, told, error = khod("index rebuild b/d")
    assert (code, told) == (3, "")
    assert "there is no repository b/d" in error
    file = tmp_path / "off.toml"
    file.write_text("[index]\nenabled = false\n")
    assert "once index.enabled is true again" in khod(f"index rebuild a --config {file}")[1]
    events = khod("audit --action index.*")[1]
    assert events.count("index.rebuild") == 3
    assert "operator" in events
