"""Lists of the API: in pages, which neither skip nor repeat, and end."""

import re
from typing import Any

import pytest

from kho.server.index.sources.passwords import Cost, Line
from kho.server.web.api.openapi import document
from kho.server.web.api.table import OPERATIONS
from tests.flows.api import call
from tests.flows.client import Client
from tests.flows.people import Field, People, basic
from tests.flows.registry import Registry

# Whole, since no registry has many: keys that are believed, and settings.
WHOLE = {"listKeys", "listSettings"}


def lists() -> dict[str, tuple[str, set[str]]]:
    """Operations that tell pages: their path, and what their query takes."""
    found = {}
    for path, methods in document(OPERATIONS)["paths"].items():
        one = methods.get("get", {})
        good = one.get("responses", {}).get("200", {}).get("content", {})
        reference = good.get("application/json", {}).get("schema", {}).get("$ref", "")
        if "Listing_" in reference:
            query = {each["name"] for each in one["parameters"] if each["in"] == "query"}
            found[one["operationId"]] = path, query
    return found


def test_every_list_comes_in_pages() -> None:
    found = lists()
    assert len(found) > 12
    for name, (_, query) in found.items():
        assert ({"limit", "after"} <= query) == (name not in WHOLE), name


@pytest.fixture
async def people(registry: Registry) -> People:
    """Five of everything that administrators list."""
    for number in range(5):
        await registry.push_image(f"team/x{number}", "1", b"a layer")
    people = People(registry)
    people.resources.memory.keep(Line).cost = Cost(8, 1)
    token = await people.user("root", admin=True)
    people.forget()
    root = basic("root", token)
    for number in range(5):
        name = f"x{number}"
        for path, body in (
            ("/users", {"name": name, "password": "a long password"}),
            ("/groups", {"name": name}),
            ("/robots", {"name": name}),
            ("/roles", {"name": name, "actions": ["pull"]}),
            ("/grants", {"subject": f"user:{name}", "role": name, "pattern": "**"}),
            ("/tokens", {"owner": f"robot:{name}", "name": name}),
            (
                "/trust",
                {
                    "name": name,
                    "robot": name,
                    "issuer": "https://ci.example.com",
                    "conditions": {"sub": [f"job:{number}"]},
                },
            ),
        ):
            made = await call(registry.client, "POST", path, root, body=body)
            assert made.status == 201, (path, made)
    return people


PATHS = ("users", "groups", "robots", "roles", "grants", "tokens", "trust", "repositories", "audit")


async def test_pages_neither_skip_nor_repeat(people: People) -> None:
    header = basic("root", await people.token("user:root", name="reads"))
    for path in PATHS:
        await check(people.registry.client, path, header)


async def check(client: Client, path: str, header: Field) -> None:
    """Read a list whole and in pages of two."""
    query = "action=user.*&" if path == "audit" else ""
    whole = (await call(client, "GET", f"/{path}?{query}limit=200", header)).json()
    assert whole["next"] is None
    assert len(whole["items"]) >= 5
    seen: list[Any] = []
    target = f"/api/v1/{path}?{query}limit=2"
    while target:
        answer = await client.get(target, header)
        assert 1 <= len(answer.json()["items"]) <= 2
        seen += answer.json()["items"]
        link = re.fullmatch(r'<(.*)>; rel="next"', dict(answer.headers).get("link", ""))
        assert (link is None) == (answer.json()["next"] is None)
        target = link[1] if link else ""
    assert [one.get("id", one.get("name")) for one in seen] == [
        one.get("id", one.get("name")) for one in whole["items"]
    ]
    wrong = await client.get(f"/api/v1/{path}?after=nonsense", header)
    assert wrong.status == 400
    assert wrong["Content-Type"] == "application/problem+json"
