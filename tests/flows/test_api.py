"""The JSON API's manners: what holds for every operation."""

import re
from typing import Any

import pytest

from kho.server.policy.access import Action
from kho.server.web.api.openapi import document
from kho.server.web.api.table import OPERATIONS
from tests.flows.people import Field, People, basic, bearer
from tests.flows.registry import Registry


@pytest.fixture
async def people(registry: Registry) -> People:
    """A registry that asks who is calling."""
    return People(registry)


async def test_the_document_is_served_and_made_from_the_table(registry: Registry) -> None:
    answer = await registry.client.get("/api/v1/openapi.json")
    assert answer.status == 200
    assert answer.json() == document(OPERATIONS)
    assert answer.json()["openapi"] == "3.1.0"
    ids = [one.id for one in OPERATIONS]
    assert len(ids) == len(set(ids))


def references(value: Any) -> set[str]:
    """What a document refers to."""
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(references, value.values()))
    return set[str]().union(*map(references, value)) if isinstance(value, list) else set()


def test_every_reference_of_the_document_leads_somewhere() -> None:
    whole = document(OPERATIONS)
    for reference in references(whole):
        found = whole
        for step in reference.removeprefix("#/").split("/"):
            assert re.fullmatch(r"[A-Za-z0-9._-]+", step), reference
            found = found[step]


def test_everything_is_described() -> None:
    for one in OPERATIONS:
        assert one.function.__doc__, one.id
        assert re.fullmatch(r"[a-z][A-Za-z]+", one.id), one.id
    for name, schema in document(OPERATIONS)["components"]["schemas"].items():
        assert schema.get("description") or "enum" in schema, name


async def test_whoami_tells_what_one_may(people: People) -> None:
    token = await people.user("alice")
    await people.grant("user:alice", "reader", "team/**")
    client = people.registry.client
    mine = (await client.get("/api/v1/whoami", basic("alice", token))).json()
    assert mine["name"] == "user:alice"
    assert mine["actions"] == [Action.BROWSE, Action.ACCOUNT]
    assert [(held["role"], held["pattern"]) for held in mine["roles"]] == [("reader", "team/**")]
    # What a limited token may not see has no name for it.
    limited = basic("alice", await people.token("user:alice", ("a/b", "pull"), name="limited"))
    assert (await client.get("/api/v1/whoami", limited)).json()["roles"] == []
    nobody = (await client.get("/api/v1/whoami")).json()
    assert nobody["anonymous"]
    assert nobody["actions"] == [Action.BROWSE]


async def test_an_answer_that_is_known_is_not_sent_again(registry: Registry) -> None:
    answer = await registry.client.get("/api/v1/whoami")
    again = await registry.client.get("/api/v1/whoami", ("If-None-Match", answer["ETag"]))
    assert again.status == 304
    assert again["ETag"] == answer["ETag"]
    await registry.client.head("/api/v1/whoami")


async def test_mistakes_are_problem_details(people: People) -> None:
    client = people.registry.client
    wrong = await client.get("/api/v1/whoami?colour=red&colour=blue")
    assert wrong.status == 400
    assert wrong.json()["errors"] == [
        "colour: is given 2 times; allowed is once",
        "colour: there is no such field; allowed are none",
    ]
    assert (await client.get("/api/v1/nothing")).status == 404
    assert (await client.delete("/api/v1/whoami")).status == 405
    await people.user("alice")
    people.forget()
    for header in (basic("alice", "wrong"), bearer("wrong")):
        answer = await client.get("/api/v1/whoami", header)
        assert answer.status == 401
        assert answer["WWW-Authenticate"]


async def test_whatever_is_refused_is_a_problem(people: People) -> None:
    client = people.registry.client
    admin = basic("root", await people.user("root", admin=True))
    stranger = basic("eve", await people.user("eve"))
    people.forget()
    json = ("Content-Type", "application/json")
    asked: tuple[tuple[str, str, bytes | None, list[Field], int], ...] = (
        ("GET", "/nothing", None, [admin], 404),
        ("GET", "/repositories/no/such/-/tags", None, [stranger], 404),
        ("GET", "/repositories/UPPER", None, [admin], 404),
        ("GET", "/checks/17", None, [admin], 404),
        ("DELETE", "/whoami", None, [admin], 405),
        ("GET", "/users", None, [], 401),
        ("GET", "/users", None, [stranger], 403),
        ("POST", "/groups", b"{}", [admin, json], 400),
        ("POST", "/groups", b'{"name": "x"}', [admin, ("Content-Type", "text/plain")], 415),
        ("POST", "/groups", b" " * 70_000, [admin, json], 413),
        ("POST", "/users", b'{"name": "eve", "password": "long enough"}', [admin, json], 409),
    )
    for method, path, body, headers, status in asked:
        answer = await client.request(method, f"/api/v1{path}", body, headers)
        assert answer.status == status, (method, path, answer)
        assert answer["Content-Type"] == "application/problem+json", path
        told = answer.json()
        assert told["status"] == status
        assert told["title"]
        assert told["detail"]
        assert told["instance"] == f"/api/v1{path}"
