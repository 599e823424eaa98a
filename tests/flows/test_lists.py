"""Tags and catalog: order, pages, links."""

from urllib.parse import urlsplit

import pytest

from tests.flows.client import Answer, Client
from tests.flows.databases import on_both_databases
from tests.flows.registry import Registry

TAGS = ["10", "9", "A", "Z", "_x", "a", "a-b", "a.b", "a_b", "b", "latest", "v1.0.0-rc.1"]


def next_page(answer: Answer) -> str | None:
    """Where the Link points, read as docker does: cut at the first `;`."""
    if "link" not in answer:
        return None
    target, _, rest = answer["Link"].partition(";")
    assert rest.strip() == 'rel="next"'
    target = target.removeprefix("<").removesuffix(">")
    assert target.startswith("/v2/")
    return target


async def walk(client: Client, target: str, key: str, size: int) -> list[str]:
    """Follow the links; every page but the last is full."""
    found: list[str] = []
    following: str | None = target
    while following is not None:
        answer = await client.get(following)
        assert answer.status == 200
        page = answer.json()[key]
        following = next_page(answer)
        assert len(page) == size or following is None
        assert len(page) <= size
        found += page
    return found


@pytest.fixture
async def tagged(registry: Registry) -> Registry:
    """A repository with many tags."""
    await registry.push_blob("a/b", b"{}")
    digest = await registry.push_image("a/b", TAGS[3])
    query = "&".join(f"tag={tag}" for tag in TAGS)
    body = (await registry.client.get(f"/v2/a/b/manifests/{digest}")).body
    await registry.push_manifest("a/b", f"{digest}?{query}", body)
    return registry


@on_both_databases
async def test_all_tags_in_byte_order(tagged: Registry) -> None:
    answer = await tagged.client.head("/v2/a/b/tags/list")
    assert (answer.status, answer["Content-Type"]) == (200, "application/json")
    assert "link" not in answer
    body = (await tagged.client.get("/v2/a/b/tags/list")).json()
    assert body == {"name": "a/b", "tags": sorted(TAGS)}


@on_both_databases
@pytest.mark.parametrize("size", [1, 2, 5, 11, 12, 13])
async def test_pages_of_tags(tagged: Registry, size: int) -> None:
    target = f"/v2/a/b/tags/list?n={size}"
    assert await walk(tagged.client, target, "tags", size) == sorted(TAGS)


@on_both_databases
@pytest.mark.parametrize("last", ["", "A", "Aa", "zzz", "a.b", "!", "é", "%F0%9F%98%80", "%FF"])
@pytest.mark.parametrize("count", ["", "&n=3"])
async def test_strictly_after_last_which_need_not_exist(
    tagged: Registry, last: str, count: str
) -> None:
    sent = last.encode().decode("latin-1")
    answer = await tagged.client.get(f"/v2/a/b/tags/list?last={sent}{count}")
    texts = {"%F0%9F%98%80": "\U0001f600", "%FF": "\ufffd"}
    after = [tag for tag in sorted(TAGS) if tag > texts.get(last, last)]
    assert answer.status == 200
    assert answer.json()["tags"] == (after[:3] if count else after)


@on_both_databases
@pytest.mark.parametrize("target", ["/v2/a/b/tags/list", "/v2/_catalog"])
async def test_a_last_that_no_database_can_hold(tagged: Registry, target: str) -> None:
    assert (await tagged.client.get(f"{target}?last=a%00b")).status == 400


async def test_a_page_of_none(tagged: Registry) -> None:
    for target, key in (("/v2/a/b/tags/list", "tags"), ("/v2/_catalog", "repositories")):
        answer = await tagged.client.get(f"{target}?n=0")
        assert (answer.status, answer.json()[key]) == (200, [])
        assert "link" not in answer


@pytest.mark.parametrize("count", ["-1", "x", "", "1_0", "%2B5", "1e3", " 5", "%D9%A3", "1000000"])
@pytest.mark.parametrize("target", ["/v2/a/b/tags/list", "/v2/_catalog", "/v2/a/b/referrers/D"])
async def test_counts_that_are_none(tagged: Registry, target: str, count: str) -> None:
    target = target.replace("/D", f"/sha256:{'0' * 64}")
    answer = await tagged.client.get(f"{target}?n={count}")
    assert (answer.status, answer.codes) == (400, ["PAGINATION_NUMBER_INVALID"])


@pytest.mark.settings(limits__page=5)
async def test_a_count_over_the_maximum_is_clamped(tagged: Registry) -> None:
    assert await walk(tagged.client, "/v2/a/b/tags/list?n=100", "tags", 5) == sorted(TAGS)
    assert await walk(tagged.client, "/v2/a/b/tags/list", "tags", 5) == sorted(TAGS)


@on_both_databases
async def test_repositories_without_tags(registry: Registry) -> None:
    answer = await registry.client.get("/v2/never/was/tags/list")
    assert (answer.status, answer.codes) == (404, ["NAME_UNKNOWN"])
    await registry.push_image("a", "1")
    await registry.client.delete("/v2/a/manifests/1")
    assert (await registry.client.get("/v2/a/tags/list")).json() == {"name": "a", "tags": []}
    await registry.push_blob("only-blobs", b"x")
    assert (await registry.client.get("/v2/only-blobs/tags/list")).json()["tags"] == []


NAMES = ["a", "a/b", "a/b/c", "a-b", "a-b/c", "a.b", "a_b", "a0", "ab", "b", "b/a"]
# `/` sorts lowest, so that a repository stands right before what is below it.
SORTED = sorted(NAMES, key=lambda name: name.split("/"))


@pytest.fixture
async def full(registry: Registry) -> Registry:
    """Many repositories."""
    for name in NAMES:
        await registry.push_image(name, "1")
    await registry.push_blob("only-blobs", b"x")
    return registry


@on_both_databases
@pytest.mark.parametrize("size", [1, 3, 10, 11, 12])
async def test_the_catalog_in_pages(full: Registry, size: int) -> None:
    found = await walk(full.client, f"/v2/_catalog?n={size}", "repositories", size)
    assert found == SORTED


async def test_the_catalog(full: Registry) -> None:
    answer = await full.client.get("/v2/_catalog")
    assert answer.json() == {"repositories": SORTED}
    answer = await full.client.get("/v2/_catalog?last=a/b")
    assert answer.json() == {"repositories": SORTED[SORTED.index("a/b") + 1 :]}


@on_both_databases
async def test_a_repository_leaves_the_catalog_with_its_last_manifest(full: Registry) -> None:
    digest = (await full.client.head("/v2/b/manifests/1"))["Docker-Content-Digest"]
    await full.client.delete(f"/v2/b/manifests/{digest}")
    assert "b" not in (await full.client.get("/v2/_catalog")).json()["repositories"]


async def test_an_empty_catalog(registry: Registry) -> None:
    assert (await registry.client.get("/v2/_catalog")).json() == {"repositories": []}


async def test_the_link_of_a_page_keeps_to_its_own_path(full: Registry) -> None:
    answer = await full.client.get("/v2/_catalog?n=2&ns=docker.io")
    target = next_page(answer)
    assert target is not None
    assert urlsplit(target).path == "/v2/_catalog"
    assert urlsplit(target).query == "last=a%2Fb&n=2"
