"""Pages of administration: checks of what is stored, the index made again."""

import re

import pytest

from kho.oci.digest import Digest
from kho.server.registry import checking
from tests.flows.administration import Admin
from tests.flows.households import Household
from tests.flows.registry import Registry

LAYER = b"a layer" * 100
HERE = "/maintenance"


@pytest.fixture
async def root(registry: Registry) -> Admin:
    """Signed in, with an image."""
    house = Household(registry)
    await registry.push_image("team/app", "1.0", LAYER)
    found = Admin(house, await house.person("root", admin=True))
    await found.see("")
    return found


async def work(root: Admin) -> None:
    """What a worker does within seconds."""
    assert await checking.work(root.house.resources, step=0.02) == 1


async def test_a_check_from_its_button_to_what_is_repaired(root: Admin) -> None:
    file = root.house.registry.blob_file(Digest.of(LAYER))
    text = await root.see(HERE)
    assert "Asked by" not in text
    text = await root.send(f"{HERE}/checks", quick="yes")
    assert "waits for a worker" in text
    assert 'data-hx-trigger="every 2s"' in text
    assert "Stop the check" in text
    await root.send(f"{HERE}/checks", 409)
    assert "under way" in root.refusal()
    await root.send(f"{HERE}/checks/1", 303)
    assert "stopped" in root.text
    await root.send(f"{HERE}/checks/1", 409)
    await root.send(f"{HERE}/checks", quick="yes")
    await work(root)
    assert "all is right" in await root.see(f"{HERE}/checks/2")
    file.write_bytes(LAYER[:-1] + b"!")
    await root.send(f"{HERE}/checks", repair="yes")
    await work(root)
    text = await root.see(f"{HERE}/checks/3")
    for part in ("blob.damaged", str(Digest.of(LAYER)), ">repaired<", "moved to quarantine"):
        assert part in text
    assert 'data-hx-trigger="every 2s"' not in text
    assert not file.exists()
    text = await root.see(HERE)
    assert re.findall(r'/checks/(\d)"', text) == ["3", "2", "1"]
    assert "with repair" in text
    assert await root.actors("check.*") == {"user:root"}
    for path in ("4", "0", "x", "9" * 20):
        assert (await root.browser.get(f"/-/admin{HERE}/checks/{path}")).status == 404


async def test_the_index_is_made_again(root: Admin) -> None:
    text = await root.see(HERE)
    assert "<dt>Repositories to look at</dt><dd>0</dd>" in text
    await root.send(f"{HERE}/index", 404, name="team/none")
    await root.send(f"{HERE}/index", 400, name="TEAM")
    assert root.typed("name") == "TEAM"
    text = await root.send(f"{HERE}/index", name="team/app")
    assert "<dt>Repositories to look at</dt><dd>1</dd>" in text
    assert "is being rebuilt" in text
    await root.send(f"{HERE}/index", name="")
    assert await root.actors("index.rebuild") == {"user:root"}
