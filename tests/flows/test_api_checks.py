"""Checks of what is stored, asked for by the API: who is at them, what they find, how they end."""

import asyncio
from typing import Any

import pytest

from kho.oci.digest import Digest
from kho.server.database import checks as rows
from kho.server.database.checks import Report
from kho.server.registry import checking
from tests.flows.api import call
from tests.flows.databases import on_both_databases
from tests.flows.people import People, basic
from tests.flows.registry import Registry

LAYER = b"a layer" * 100
NOTHING_YET = Report(0, 0, "{}", "[]")


class Root:
    """An administrator's calls; `work` is what a worker does within seconds."""

    def __init__(self, people: People, token: str) -> None:
        self.people, self.header = people, basic("root", token)

    async def ask(self, method: str, path: str, body: object = None, status: int = 200) -> Any:
        """One call with the status that it must have."""
        answer = await call(self.people.registry.client, method, path, self.header, body=body)
        assert answer.status == status, (method, path, answer)
        return answer.json()

    async def work(self) -> int:
        """Do what waits."""
        return await checking.work(self.people.resources, step=0.02)

    async def begun(self, check_id: int) -> None:
        """Wait until somebody is at it."""
        for _ in range(1000):
            if (await self.ask("GET", f"/checks/{check_id}"))["state"] != "waiting":
                return
            await asyncio.sleep(0.01)
        raise AssertionError("nobody took it")

    async def actions(self) -> list[tuple[str, str]]:
        """What the trail has of checks, the newest first."""
        found = await self.ask("GET", "/audit?action=check.*&action=fsck.*&action=index.*")
        return [(one["action"], one["actor"]) for one in found["items"]]


@pytest.fixture
async def root(registry: Registry) -> Root:
    """Of a registry with an image."""
    await registry.push_image("team/app", "1.0", LAYER)
    people = People(registry)
    token = await people.user("root", admin=True)
    people.forget()
    return Root(people, token)


@on_both_databases
async def test_a_check_finds_what_is_damaged_and_repairs_it(root: Root) -> None:
    registry = root.people.registry
    assert (await root.ask("GET", "/checks"))["items"] == []
    asked = await root.ask("POST", "/checks", {}, 202)
    assert (asked["state"], asked["asked_by"]) == ("waiting", "user:root")
    assert await root.work() == 1
    first = await root.ask("GET", f"/checks/{asked['id']}")
    assert (first["state"], first["found"], first["findings"]) == ("done", 0, [])
    assert first["checked"]["blobs"] == 2
    assert first["checked"]["bytes"] == len(LAYER) + 2
    file = registry.blob_file(Digest.of(LAYER))
    file.write_bytes(LAYER[:-1] + b"!")
    quick = await root.ask("POST", "/checks", {"quick": True, "repair": True}, 202)
    await root.work()
    assert (await root.ask("GET", f"/checks/{quick['id']}"))["found"] == 0
    whole = await root.ask("POST", "/checks", {"repair": True}, 202)
    await root.work()
    found = await root.ask("GET", f"/checks/{whole['id']}")
    assert (found["state"], found["found"], found["repaired"]) == ("done", 1, 1)
    assert found["findings"][0]["kind"] == "blob.damaged"
    assert found["findings"][0]["where"] == str(Digest.of(LAYER))
    assert not file.exists()
    listed = await root.ask("GET", "/checks?limit=2")
    assert [one["id"] for one in listed["items"]] == [whole["id"], quick["id"]]
    assert "findings" not in listed["items"][0]
    rest = await root.ask("GET", f"/checks?limit=2&after={listed['next']}")
    assert [one["id"] for one in rest["items"]] == [asked["id"]]
    started = ("check.start", "user:root")
    assert await root.actions() == [("fsck.repair", "user:root"), *[started] * 3]


@on_both_databases
async def test_one_at_a_time_and_it_can_be_stopped(root: Root) -> None:
    root.people.registry.blob_file(Digest.of(LAYER)).unlink()  # a suspect: it takes a second
    first = await root.ask("POST", "/checks", {}, 202)
    refused = await root.ask("POST", "/checks", {}, 409)
    assert "under way" in refused["detail"]
    stopped = await root.ask("POST", f"/checks/{first['id']}/stop")
    assert stopped["state"] == "stopped"
    assert await root.work() == 0
    await root.ask("POST", f"/checks/{first['id']}/stop", None, 409)
    await root.ask("POST", "/checks/999/stop", None, 404)
    await root.ask("GET", "/checks/999", None, 404)
    second = await root.ask("POST", "/checks", {}, 202)
    working = asyncio.create_task(root.work())
    await root.begun(second["id"])
    assert (await root.ask("POST", f"/checks/{second['id']}/stop"))["state"] == "stopped"
    assert await asyncio.wait_for(working, 10) == 0
    seen = await root.ask("GET", f"/checks/{second['id']}")
    assert (seen["state"], seen["found"]) == ("stopped", 0)
    assert seen["ended_at"] is not None
    third = await root.ask("POST", "/checks", {}, 202)
    working = asyncio.create_task(root.work())
    await root.begun(third["id"])
    working.cancel()  # the worker ends
    await asyncio.gather(working, return_exceptions=True)
    assert (await root.ask("GET", f"/checks/{third['id']}"))["state"] == "failed"


@on_both_databases
async def test_a_check_whose_worker_has_gone_is_in_nobodys_way(root: Root) -> None:
    database = root.people.resources.database
    first = await root.ask("POST", "/checks", {}, 202)
    held = await database.write(rows.lease, 0)
    assert held is not None
    assert held.id == first["id"]
    assert await database.write(rows.lease, 0) is None
    await asyncio.sleep(0.01)
    assert (await root.ask("GET", f"/checks/{first['id']}"))["state"] == "failed"
    await root.ask("POST", f"/checks/{first['id']}/stop", None, 409)
    for _ in range(rows.KEPT + 2):
        asked = await root.ask("POST", "/checks", {}, 202)
        await root.ask("POST", f"/checks/{asked['id']}/stop")
    kept = (await root.ask("GET", "/checks?limit=200"))["items"]
    assert len(kept) == rows.KEPT
    await root.ask("GET", f"/checks/{first['id']}", None, 404)
    assert not await database.write(rows.renew, first["id"], NOTHING_YET, 1000)


@on_both_databases
async def test_the_index_is_made_again(root: Root) -> None:
    state = await root.ask("GET", "/index")
    assert state["repositories_waiting"] == 0
    assert await root.ask("POST", "/index-rebuilds", {}, 202) == {"repositories": 1}
    assert (await root.ask("GET", "/index"))["repositories_waiting"] == 1
    named = {"repository": "team/app"}
    assert await root.ask("POST", "/index-rebuilds", named, 202) == {"repositories": 1}
    await root.ask("POST", "/index-rebuilds", {"repository": "team/none"}, 404)
    await root.ask("POST", "/index-rebuilds", {"repository": "TEAM"}, 400)
    assert await root.actions() == [("index.rebuild", "user:root")] * 2
    counts = await root.ask("GET", "/counts")
    assert (counts["repositories"], counts["admins"]) == (1, 1)
    health = await root.ask("GET", "/health")
    assert health["workers"] >= 1
    assert "check what is stored" in [one["name"] for one in health["jobs"]]
