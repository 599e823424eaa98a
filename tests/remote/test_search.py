"""Search: the registry's own where it has one, else its list of repositories."""

import json

import pytest
from aiohttp import web

from kho.client.images.searching import Found, search
from kho.remote.errors import Garbled, Unreachable
from kho.remote.registry import Registry
from tests.remote.lab import Handler, lab

CATALOG = ["team/redis", "redis", "other"]


def registry_with(answer: object, kind: str = "application/json", status: int = 200) -> Handler:
    """A registry whose search answers so."""

    async def handle(request: web.Request) -> web.Response:
        if request.path == "/v1/search":
            body = answer if isinstance(answer, str) else json.dumps(answer)
            return web.Response(text=body, content_type=kind, status=status)
        if request.path == "/v2/_catalog":
            return web.json_response({"repositories": CATALOG})
        return web.json_response({})

    return handle


async def found(handler: Handler, term: str = "redis", limit: int = 25) -> Found:
    async with lab(handler) as server, Registry(server.name()) as registry:
        result = await search(registry, term, limit)
        asked = server.asked("/v1/search")
        assert len(asked) == 1
        assert asked[0].path == f"/v1/search?q={term}&n={min(limit, 100)}"
        assert result.by_registry != bool(server.asked("/v2/_catalog"))
        names = [hit.name for hit in result.hits]
        assert all(name.startswith(f"{server.name()}/") for name in names)
        return result


def names(result: Found) -> list[str]:
    return [hit.name.partition("/")[2] for hit in result.hits]


async def test_a_registry_that_searches() -> None:
    results = [
        {"name": "lib/redis", "description": "a\nb", "star_count": 5, "is_official": True},
        {"name": "redis", "description": None, "star_count": "many"},
        "no result",
    ]
    result = await found(registry_with({"query": "redis", "results": results}))
    assert names(result) == ["redis", "lib/redis"]
    first, second = result.hits
    assert (first.description, first.stars, first.official) == ("", 0, False)
    assert (second.description, second.stars, second.official) == ("a b", 5, True)


@pytest.mark.parametrize("status", [403, 404, 405])
async def test_one_that_does_not_lists_its_repositories(status: int) -> None:
    result = await found(registry_with({}, status=status))
    assert names(result) == ["redis", "team/redis"]
    assert names(await found(registry_with({}, status=status), limit=1)) == ["redis"]


async def test_a_page_for_people_is_no_search() -> None:
    assert names(await found(registry_with("<html>", "text/html"), "oth")) == ["other"]


@pytest.mark.parametrize("answer", ["{", "[]", {"results": 5}, {}])
async def test_an_answer_that_is_none_is_garbled(answer: object) -> None:
    async with lab(registry_with(answer)) as server, Registry(server.name()) as registry:
        with pytest.raises(Garbled, match="search of"):
            await search(registry, "redis")


async def test_a_registry_that_is_not_there() -> None:
    async with Registry("127.0.0.1:1") as registry:
        with pytest.raises(Unreachable):
            await search(registry, "redis")
