"""`/v1/search`: what docker and podman ask, and who sees what."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.flows.databases import on_both_databases
from tests.flows.people import Field, People, basic
from tests.flows.registry import Registry

NAMES = ("team/app", "team/worker", "other/app", "public/app-tools")
# Syntax of SQL, LIKE, FTS5, tsquery, JSON, HTML, templates; and what no text is.
HOSTILE = [
    "' OR 1=1 --",
    "'; DROP TABLE repositories; --",
    "1) UNION SELECT body FROM manifests --",
    "app' AND (SELECT 1 FROM pg_sleep(9)) --",
    'app" OR "team',
    "app* OR team",
    "NEAR(app team, 5)",
    "name:app ^team -other",
    "app & !team | (other <-> x):*",
    "(((((",
    "%_%",
    "\\",
    '["app"]',
    "${7*7}{{7*7}}",
    "<script>alert(1)</script>",
    "\u202eppa\ufeff",
    "\U0010ffff",
    "%ff%fe",
    "a" * 10_000,
    "a " * 5_000,
    "é" * 3_000,
    "-" * 8_000,
    "0" * 4_000,
    "sha256:" + "0" * 7 + "'",
    "sha256:%",
]


async def fill(registry: Registry) -> None:
    """Four repositories, each with an image."""
    for name in NAMES:
        await registry.push_image(name, "1.25.3")


async def search(registry: Registry, query: str, *headers: Field, more: str = "") -> dict[str, Any]:
    answer = await registry.client.get(f"/v1/search?q={quote(query)}{more}", *headers)
    assert answer.status == 200, answer
    body: dict[str, Any] = answer.json()
    return body


async def names(registry: Registry, query: str, *headers: Field) -> list[str]:
    return [one["name"] for one in (await search(registry, query, *headers))["results"]]


@on_both_databases
async def test_a_search_of_what_was_just_pushed(registry: Registry) -> None:
    await fill(registry)
    assert await search(registry, "work") == {
        "query": "work",
        "num_results": 1,
        "num_pages": 1,
        "page": 1,
        "page_size": 25,
        "results": [
            {
                "name": "team/worker",
                "description": "",
                "star_count": 0,
                "is_official": False,
                "is_automated": False,
                "is_trusted": False,
            }
        ],
    }
    assert await names(registry, "app") == ["other/app", "team/app", "public/app-tools"]
    assert await names(registry, "team/app") == ["team/app"]
    assert await names(registry, "APP Team") == ["team/app"]
    assert await names(registry, "1.25") == sorted(NAMES)
    assert await names(registry, "") == sorted(NAMES)
    assert await names(registry, "???") == []
    digest = (await registry.client.head("/v2/team/app/manifests/1.25.3"))["Docker-Content-Digest"]
    assert await names(registry, digest[:14]) == sorted(NAMES)
    await registry.client.delete("/v2/team/worker/manifests/1.25.3")
    await registry.client.delete(f"/v2/team/worker/manifests/{digest}")
    assert await names(registry, "work") == []


async def test_ping_says_that_it_stands_alone(registry: Registry) -> None:
    answer = await registry.client.get("/v1/_ping")
    assert (answer.status, answer.json()) == (200, {"standalone": True})
    assert answer["X-Docker-Registry-Standalone"] == "true"


async def test_pages(registry: Registry) -> None:
    await fill(registry)
    first = await search(registry, "", more="&n=3")
    second = await search(registry, "", more="&n=3&page=2")
    assert (first["num_pages"], first["page_size"], second["page"]) == (2, 3, 2)
    assert [one["name"] for one in first["results"] + second["results"]] == sorted(NAMES)
    assert (await search(registry, "", more="&n=3&page=3"))["results"] == []
    assert (await search(registry, "", more="&n=1000"))["page_size"] == 100
    assert (await search(registry, "", more="&n=0"))["page_size"] == 1
    for wrong in ("n=-1", "n=x", "page=x", "n=1'"):
        assert (await registry.client.get(f"/v1/search?q=a&{wrong}")).status == 400


@on_both_databases
async def test_everybody_sees_what_they_may_pull(registry: Registry) -> None:
    await fill(registry)
    people = People(registry)
    secret = await people.user("alice")
    root = await people.user("root", admin=True)
    await people.grant("user:alice", "reader", "team/**")
    await people.publish("public/app-tools")
    narrow = await people.token("user:alice", ("team/worker", "pull"), name="narrow")
    public, mine = ["public/app-tools"], ["team/app", "public/app-tools"]
    assert await names(registry, "app") == public
    assert await names(registry, "app", basic("alice", secret)) == mine
    assert len(await names(registry, "app", basic("root", root))) == 3
    for scope in ("registry:catalog:search", "registry:catalog:*"):
        assert await names(registry, "app", await people.bearer(secret, scope)) == mine
    assert await names(registry, "app", await people.bearer(None, "registry:catalog:*")) == public
    # What a token was not given, it does not see.
    assert await names(registry, "", basic("alice", narrow)) == ["team/worker"]
    assert await names(registry, "", await people.bearer(narrow, "registry:catalog:*")) == [
        "team/worker"
    ]
    assert await names(
        registry, "app", await people.bearer(secret, "repository:team/app:pull")
    ) == ["team/app"]
    # What docker sends over TLS when nobody has logged in.
    assert await names(registry, "app", basic("", "")) == public
    wrong = await registry.client.get("/v1/search?q=app", basic("alice", "wrong"))
    assert wrong.status == 401


async def test_a_closed_registry_answers_with_nothing(registry: Registry) -> None:
    await fill(registry)
    people = People(registry)
    await people.user("alice")
    people.forget()
    assert (await registry.client.get("/v2/")).status == 401
    assert await names(registry, "app") == []
    digest = "sha256:" + "0" * 7
    assert await names(registry, digest) == await names(registry, "") == []


@on_both_databases
async def test_whatever_is_typed_is_words(registry: Registry) -> None:
    await fill(registry)
    for text in HOSTILE:
        for field in ("q", "n", "page"):
            answer = await registry.client.get(f"/v1/search?{field}={quote(text)}")
            assert answer.status in ((200,) if field == "q" else (200, 400)), (field, text)
    for raw in ("q=%ff%fe", "q=%ed%a0%80", "q=a%0d%0ab", "q=" + "%25" * 3000):
        assert (await registry.client.get(f"/v1/search?{raw}")).status == 200
    assert (await registry.client.get("/v1/search?q=a%00b")).status == 400
    assert await names(registry, "app") == ["other/app", "team/app", "public/app-tools"]
    assert await names(registry, "' OR 1=1 --") == await names(registry, 'app" OR "team') == []


@pytest.mark.settings(index__enabled=False)
async def test_without_the_index_there_is_none(registry: Registry) -> None:
    for path in ("/v1/search?q=a", "/v1/_ping"):
        assert (await registry.client.get(path)).status == 404
