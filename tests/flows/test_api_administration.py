"""What administrators and users do by the API, and that it counts; on both databases."""

import json
from typing import Any

import pytest

from kho.server.database import audit
from kho.server.database.audit import Filter
from tests.flows.api import call, signed_in
from tests.flows.client import Answer
from tests.flows.databases import on_both_databases
from tests.flows.people import Field, People, basic
from tests.flows.registry import Registry

PASSWORD = "a long password"


class Root:
    """An administrator's calls."""

    def __init__(self, people: People, header: Field) -> None:
        self.people, self.header = people, header

    async def ask(self, method: str, path: str, body: object = None, status: int = 200) -> Any:
        """One call with the status that it must have; what it tells, if anything."""
        answer = await call(self.people.registry.client, method, path, self.header, body=body)
        assert answer.status == status, (method, path, answer)
        return answer.json() if answer.body else None


@pytest.fixture
async def root(registry: Registry) -> Root:
    """Of a registry with nobody else."""
    people = People(registry)
    token = await people.user("root", admin=True)
    people.forget()
    return Root(people, basic("root", token))


async def status_of(root: Root, path: str, *headers: Field) -> int:
    """Of a GET by somebody."""
    root.people.forget()
    return (await root.people.registry.client.get(path, *headers)).status


@on_both_databases
async def test_an_account_from_beginning_to_end(root: Root) -> None:
    made = await root.ask("POST", "/users", {"name": "bob", "password": PASSWORD}, 201)
    assert (made["name"], made["admin"], made["groups"]) == ("bob", False, [])
    again = await root.ask("POST", "/users", {"name": "bob", "password": PASSWORD}, 409)
    assert "already" in again["detail"]
    assert await status_of(root, "/api/v1/account", basic("bob", PASSWORD)) == 200
    changed = await root.ask("PATCH", "/users/bob", {"email": "bob@example.com", "disabled": True})
    assert (changed["email"], changed["disabled"]) == ("bob@example.com", True)
    assert await status_of(root, "/api/v1/account", basic("bob", PASSWORD)) == 401
    await root.ask("PATCH", "/users/bob", {"disabled": False})
    await root.ask("PUT", "/users/bob/password", {"password": "another password"})
    assert await status_of(root, "/api/v1/account", basic("bob", "another password")) == 200
    await root.ask("DELETE", "/users/bob", status=204)
    await root.ask("GET", "/users/bob", status=404)
    events = await root.ask("GET", "/audit?action=user.*&actor=user:root")
    assert [one["action"] for one in events["items"]] == [
        *("user.remove", "user.password", "user.set", "user.set", "user.add"),
    ]


async def test_the_last_administrator_stays(root: Root) -> None:
    for method, body in (
        ("DELETE", None),
        ("PATCH", {"admin": False}),
        ("PATCH", {"disabled": True}),
    ):
        refused = await root.ask(method, "/users/root", body, 409)
        assert "last administrator" in refused["detail"]


@on_both_databases
async def test_groups_roles_and_grants(root: Root) -> None:
    bob = basic("bob", await root.people.user("bob"))
    await root.people.registry.client.get("/v2/", root.header)
    await root.ask("POST", "/groups", {"name": "web"}, 201)
    await root.ask("PUT", "/groups/web/members/bob", status=204)
    await root.ask("PUT", "/groups/web/members/bob", status=409)
    await root.ask("PUT", "/groups/web/members/nobody", status=404)
    found = await root.ask("GET", "/groups/web")
    assert found["members"] == [{"user": "bob", "source": "local"}]
    await root.ask("POST", "/roles", {"name": "looker", "actions": ["pull"]}, 201)
    grant = {"subject": "group:web", "role": "looker", "pattern": "team/**"}
    given = await root.ask("POST", "/grants", grant, 201)
    assert {**grant, "created_by": "user:root"}.items() <= given.items()
    await root.ask("DELETE", "/roles/looker", status=409)
    why = await root.ask("GET", "/access?subject=user:bob&action=pull&repository=team/app")
    assert why["allowed"]
    assert why["rule"]["subject"] == "group:web"
    assert (await root.ask("GET", "/grants?repository=team/app"))["items"] == [given]
    assert (await root.ask("GET", "/grants?subject=user:bob"))["items"] == []
    await root.ask("DELETE", f"/grants/{given['id']}", status=204)
    await root.ask("DELETE", f"/grants/{given['id']}", status=404)
    await root.ask("DELETE", "/roles/looker", status=204)
    assert await status_of(root, "/api/v1/groups", bob) == 403


@on_both_databases
async def test_robots_tokens_and_trust(root: Root) -> None:
    await root.ask("POST", "/robots", {"name": "ci", "description": "builds"}, 201)
    token = {"owner": "robot:ci", "name": "one", "scopes": ["team/**:pull,push"], "seconds": None}
    made = await root.ask("POST", "/tokens", token, 201)
    assert made["secret"].startswith("khor_")
    assert made["seconds"] is None
    assert await status_of(root, "/v2/", basic("x", made["secret"])) == 200
    (listed,) = (await root.ask("GET", "/tokens?owner=robot:ci"))["items"]
    assert (listed["name"], listed["scopes"]) == ("one", ["team/**:pull,push"])
    assert "secret" not in listed
    rule = {
        "name": "pods",
        "robot": "ci",
        "issuer": "https://k8s.example.com",
        "preset": {"of": "kubernetes", "account": "team/app"},
    }
    kept = await root.ask("POST", "/trust", rule, 201)
    assert kept["conditions"]["kubernetes.io/namespace"] == ["team"]
    loosened = {**rule, "name": "more", "conditions": {"sub": ["*"]}}
    assert (await root.ask("POST", "/trust", loosened, 400))["errors"]
    await root.ask("DELETE", "/robots/ci", status=409)
    await root.ask("DELETE", "/trust/pods", status=204)
    await root.ask("DELETE", f"/tokens/{listed['id']}", status=204)
    assert await status_of(root, "/v2/", basic("x", made["secret"])) == 401
    await root.ask("DELETE", "/robots/ci", status=204)


async def test_keys_settings_and_health(root: Root) -> None:
    kid = (await root.ask("POST", "/keys", {}, 201))["kid"]
    assert (await root.ask("GET", "/keys"))["items"][0]["kid"] == kid
    settings = {one["key"]: one for one in (await root.ask("GET", "/settings"))["items"]}
    assert settings["index.enabled"]["value"] is True
    assert settings["data"]["source"].startswith("flag")
    health = await root.ask("GET", "/health")
    assert health["good"]
    assert [part["name"] for part in health["parts"]] == ["database", "storage"]


@on_both_databases
async def test_lists_come_in_pages_that_miss_nothing(root: Root) -> None:
    for number in range(7):
        await root.people.user(f"user-{number}")
    seen: list[str] = []
    target: str | None = "/api/v1/users?limit=3"
    while target:
        answer = await root.people.registry.client.get(target, root.header)
        page = answer.json()
        seen += [one["name"] for one in page["items"]]
        target = answer["Link"].partition(">")[0][1:] if page["next"] else None
        assert ("Link" in answer) == (page["next"] is not None)
        if len(seen) == 3:  # whoever goes or comes in between makes no other be missed
            await root.ask("DELETE", "/users/user-1", status=204)
            await root.ask("POST", "/users", {"name": "a", "password": PASSWORD}, 201)
    assert seen == ["root", *(f"user-{number}" for number in (0, 1, 2, 3, 4, 5, 6))]
    wrong = await root.ask("GET", "/users?after=not-a-cursor", status=400)
    assert "after" in wrong["errors"][0]


async def test_every_mistake_is_named_with_what_is_allowed(root: Root) -> None:
    body = {"name": "Bob", "password": "short", "colour": "red"}
    refused = await root.ask("POST", "/users", body, 400)
    assert [one.partition(":")[0] for one in refused["errors"]] == ["colour", "name", "password"]
    assert "allowed are name, password, admin, email" in refused["errors"][0]
    roles = await root.ask("POST", "/roles", {"name": "x", "actions": ["pull", "fly"]}, 400)
    assert "actions[1]" in roles["errors"][0]
    assert "pull, push" in roles["errors"][0].replace('"', "")
    client = root.people.registry.client
    for raw, header, status in (
        (b"{", ("Content-Type", "application/json"), 400),
        (b"[]", ("Content-Type", "application/json"), 400),
        (b"name=bob", ("Content-Type", "application/x-www-form-urlencoded"), 415),
        (b'{"name": "a\\u0000b"}', ("Content-Type", "application/json"), 400),
        (b"[" * 5000, ("Content-Type", "application/json"), 400),
        (b" " * 70_000, ("Content-Type", "application/json"), 413),
    ):
        answer = await client.request("POST", "/api/v1/groups", raw, [root.header, header])
        assert answer.status == status, (raw[:20], answer)


@on_both_databases
async def test_ones_own_account(root: Root) -> None:
    await root.ask("POST", "/users", {"name": "bob", "password": PASSWORD}, 201)
    people, client = root.people, root.people.registry.client
    people.forget()
    here, there = await signed_in(people, "bob"), await signed_in(people, "bob")

    async def mine(method: str, path: str, body: object = None) -> Answer:
        return await call(client, method, f"/account{path}", *here.headers(), body=body)

    assert (await mine("GET", "")).json()["has_password"] is True
    logins = (await mine("GET", "/logins")).json()["items"]
    assert sorted(one["current"] for one in logins) == [False, True]
    wrong = await mine("PUT", "/password", {"old": "a wrong one", "new": "a new password"})
    assert wrong.status == 400
    made = (await mine("POST", "/tokens", {"name": "laptop"})).json()
    as_password = await mine("PUT", "/password", {"old": made["secret"], "new": "a new password"})
    assert as_password.status == 400
    right = await mine("PUT", "/password", {"old": PASSWORD, "new": "a new password"})
    assert right.json() == {"ended": 1}
    people.forget()
    assert (await mine("GET", "")).status == 200  # this session stays
    gone = await client.get("/api/v1/account", *there.headers())
    assert gone.status == 401
    assert (await client.get("/v2/", basic("bob", made["secret"]))).status == 200
    (token,) = (await mine("GET", "/tokens")).json()["items"]
    assert (await mine("DELETE", f"/tokens/{token['id']}")).status == 204
    (login,) = [one for one in (await mine("GET", "/logins")).json()["items"] if one["current"]]
    assert (await mine("DELETE", f"/logins/{login['id']}")).status == 204
    people.forget()
    assert (await mine("GET", "")).status == 401
    events = await people.resources.database.read(audit.find, Filter(actor="user:bob"), 0, 100)
    assert "user.password" in {one.action for one in events}
    assert PASSWORD not in json.dumps([one.details for one in events])
