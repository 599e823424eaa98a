"""Searches: rank, pages, counts, why, and who sees what, of few and of very many."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import bindparam, update

from kho.oci.errors import InvalidRequest
from kho.server.config import load
from kho.server.database import images, repositories
from kho.server.database.engine import Transaction
from kho.server.database.images import ImageFacts
from kho.server.database.schema import repositories as table
from kho.server.database.searching import search_writing
from kho.server.database.statement import Statement
from kho.server.index.search import Hit, find
from kho.server.index.searching.pool import WHOLE
from kho.server.policy.access import ANYONE, NOBODY, ROLES, Action, Allowance, Grant, Principal
from kho.server.resources import Resources, open_resources
from tests.contracts.database.samples import digest, manifest, put_blob, put_manifest
from tests.flows.databases import on_both_databases

_SET = Statement(
    update(table)
    .values(
        description=bindparam("description"),
        pulls=bindparam("to_pulls"),
        pushed_at=bindparam("at"),
    )
    .where(table.c.id == bindparam("of"))
)
SHOPS = {
    "app": ("", 0),
    "team/app": ("", 3),
    "other/app": ("", 9),
    "app-tools": ("", 1),
    "team/apple": ("", 50),
    "my-app/worker": ("", 100),
    "team/worker": ("Does what an app needs", 200),
    "misc/thing": ("", 300),
    "misc/none": ("", 400),
}


@pytest.fixture
async def resources(tmp_path: Path, database_url: str) -> AsyncIterator[Resources]:
    """An empty registry that nobody serves."""
    config = load({"data": str(tmp_path / "data"), "database": database_url}, {})
    config.data.mkdir()
    async with open_resources(config) as opened:
        yield opened


async def put(
    tx: Transaction,
    name: str,
    number: int,
    *,
    description: str = "",
    pulls: int = 0,
    labels: dict[str, str] | None = None,
    platform: str = "linux/amd64",
) -> None:
    """A repository with one tagged image."""
    one = await put_manifest(tx, name, manifest(number), "latest")
    facts = ImageFacts("image", f'["{platform}"]', None, 1, 1, None, json.dumps(labels or {}))
    await images.put(tx, one, str(digest(number)), facts, "pusher")
    await tx.run(_SET, of=one, description=description, to_pulls=pulls, at=number % 9999)
    await search_writing.refresh(tx, one)


async def shops(tx: Transaction) -> None:
    """The repositories of the tests, of which one has the word in a label."""
    for number, (name, (description, pulls)) in enumerate(SHOPS.items(), 1):
        labels = {"example.note": "an app inside"} if name == "misc/thing" else {}
        platform = "linux/arm64" if name.startswith("team") else "linux/amd64"
        values = {"description": description, "pulls": pulls}
        await put(tx, name, number, **values, labels=labels, platform=platform)  # type: ignore[arg-type]


def reader(*patterns: str) -> Principal:
    """Who may pull these."""
    grants = (Grant("user:a", "reader", one, ROLES["reader"]) for one in patterns)
    return Principal("user:a", tuple(grants))


def names(hits: tuple[Hit, ...]) -> list[str]:
    return [hit.name for hit in hits]


async def found(resources: Resources, query: str, **more: object) -> list[str]:
    return names((await find(resources, ANYONE, query, **more)).hits)  # type: ignore[arg-type]


@on_both_databases
async def test_the_best_comes_first(resources: Resources) -> None:
    await resources.database.write(shops)
    page = await find(resources, ANYONE, "app")
    assert names(page.hits) == [
        "app",  # it is
        "other/app",  # its last component is; pulled more
        "team/app",
        "team/apple",  # begins with it
        "app-tools",
        "my-app/worker",  # a word of the name
        "team/worker",  # of the description
        "misc/thing",  # of a label
    ]
    assert (page.count, page.exact, page.cursor) == (8, True, None)
    assert await found(resources, "team app") == ["team/app", "team/apple", "team/worker"]
    assert await found(resources, "app team") == ["team/app", "team/worker"]
    assert await found(resources, "appl") == ["team/apple"]
    assert (await found(resources, ""))[:2] == ["misc/none", "misc/thing"]
    assert await found(resources, " \t") == await found(resources, "")
    assert await found(resources, "***") == []


@on_both_databases
async def test_pages_go_on_where_they_ended(resources: Resources) -> None:
    await resources.database.write(shops)
    for query in ("app", ""):
        whole = await found(resources, query)
        seen: list[str] = []
        cursor: str | None = None
        for _ in range(len(whole)):
            page = await find(resources, ANYONE, query, cursor=cursor, limit=2)
            seen += names(page.hits)
            assert page.count == len(whole)
            if (cursor := page.cursor) is None:
                break
        assert seen == whole
        assert await found(resources, query, skip=2, limit=3) == whole[2:5]
    for wrong in ("x", "!", "W10", "é", "a" * 9000):
        with pytest.raises(InvalidRequest):
            await find(resources, ANYONE, "app", cursor=wrong)


@on_both_databases
async def test_filters(resources: Resources) -> None:
    await resources.database.write(shops)
    await resources.database.write(repositories.set_public, "team/app", public=True)
    assert await found(resources, "app", platform="arm64") == [
        "team/app",
        "team/apple",
        "team/worker",
    ]
    assert await found(resources, "app", platform="linux/s390x") == []
    assert await found(resources, "app", platform="no/such/thing/at all") == []
    assert await found(resources, "apple", kind="image") == ["team/apple"]
    assert await found(resources, "apple", kind="index' OR 1=1") == []
    assert await found(resources, "app", public=True) == ["team/app"]
    assert "team/app" not in await found(resources, "app", public=False)
    assert await found(resources, "app", pushed_after=7) == ["misc/thing"]
    assert await found(resources, "", pushed_after=7) == ["misc/none", "misc/thing"]


@on_both_databases
async def test_who_sees_what(resources: Resources) -> None:
    await resources.database.write(shops)
    await resources.database.write(repositories.set_public, "misc/thing", public=True)

    async def seen(principal: Principal, query: str = "app") -> list[str]:
        page = await find(resources, principal, query)
        assert page.count == len(page.hits)
        return names(page.hits)

    assert await seen(NOBODY) == ["misc/thing"]
    assert await seen(reader("team/app")) == ["team/app", "misc/thing"]
    assert await seen(reader("**/app*")) == ["other/app", "team/app", "team/apple", "misc/thing"]
    token = (Allowance("team/app*", frozenset({Action.PULL})),)
    assert await seen(Principal("user:a", reader("**").grants, (token,)), "") == [
        "team/apple",
        "team/app",
    ]
    assert await seen(Principal("user:a", reader("**").grants, ((),))) == []


@on_both_databases
async def test_a_digest_finds_who_holds_it(resources: Resources) -> None:
    await resources.database.write(put, "one", 0x1234567 << 228)

    async def blob(tx: Transaction) -> None:
        await put_manifest(tx, "two", manifest(2))
        await put_blob(tx, "two", (0x1234567 << 228) + 5)
        await search_writing.refresh(tx, await repositories.ensure(tx, "two"))

    await resources.database.write(blob)
    page = await find(resources, ANYONE, "SHA256:1234567")
    assert names(page.hits) == ["one", "two"]
    match = page.hits[0].match
    assert match is not None
    assert (match.field, match.ranges) == ("digest", ((0, 14),))
    assert match.text == str(digest(0x1234567 << 228))
    assert await found(resources, "sha256:123456") == []  # too short: words
    assert names((await find(resources, NOBODY, "sha256:1234567")).hits) == []


@on_both_databases
async def test_a_digest_that_very_many_hold_finds_all_of_them(resources: Resources) -> None:
    async def shared(tx: Transaction) -> None:
        for number in range(1100):
            one = await put_manifest(tx, f"team/{number:04}", manifest(7))
            await search_writing.refresh(tx, one)

    await resources.database.write(shared)
    page = await find(resources, reader("team/0*"), str(digest(7)), limit=100)
    assert not page.exact
    seen = names(page.hits)
    while page.cursor is not None:
        page = await find(
            resources, reader("team/0*"), str(digest(7)), limit=100, cursor=page.cursor
        )
        seen += names(page.hits)
    assert sorted(seen) == [f"team/{number:04}" for number in range(1000)]


async def test_why_it_was_found(resources: Resources) -> None:
    text = "Ảnh của <b>nhóm</b> thanh toán " + "và nhiều thứ khác nữa " * 10
    labels = {"org.opencontainers.image.licenses": "Apache-2.0"}
    await resources.database.write(put, "team/my-app", 1, description=text, labels=labels)

    async def why(query: str) -> tuple[str, list[str]]:
        ((hit), *_) = (await find(resources, ANYONE, query)).hits
        assert hit.match is not None
        assert len(hit.match.text) <= 160
        return hit.match.field, [hit.match.text[start:stop] for start, stop in hit.match.ranges]

    assert await why("app") == ("name", ["app"])
    assert await why("MY-AP") == ("name", ["my", "app"])
    assert await why("nhom") == ("description", ["nhóm"])
    assert (await why("khac"))[1][0] == "khác"
    assert await why("apache") == ("label", ["Apache"])
    assert await why("2.0") == ("label", ["2.0"])
    assert await why("late") == ("tag", ["latest"])
    assert await why("amd") == ("platform", ["amd64"])
    assert (await find(resources, ANYONE, "")).hits[0].match is None


@pytest.fixture
async def crowd(resources: Resources) -> Resources:
    """More than are looked at one by one; the rare word is in few, which nobody pulls."""

    async def make(tx: Transaction) -> None:
        for number in range(2 * WHOLE + 300):
            rare = " rare" if number % 1000 == 999 else ""
            parity = "odd" if number % 2 else "even"
            name = f"team{number % 3}/service-{number:04}"
            description = f"{parity} common{rare}"
            await put(
                tx, name, number, description=description, pulls=number % 50 if not rare else 0
            )

    await resources.database.write(make)
    return resources


MANY = [f"team{number % 3}/service-{number:04}" for number in range(2 * WHOLE + 300)]
SOME = [name for name in MANY if name[4] != "0"]


async def test_of_very_many_all_are_there_once(crowd: Resources) -> None:
    """Ranked while that is possible, then in the order of their numbers."""
    for query, principal, expected in (
        ("service", ANYONE, MANY),
        ("common odd", ANYONE, MANY[1::2]),
        ("", reader("team1/**", "team2/**"), SOME),
        ("service odd", reader("team?/**"), MANY[1::2]),
    ):
        seen: list[str] = []
        cursor: str | None = None
        while True:
            page = await find(crowd, principal, query, cursor=cursor, limit=100)
            assert not page.exact
            assert len(page.hits) == 100 or page.cursor is None
            seen += names(page.hits)
            if (cursor := page.cursor) is None:
                break
        assert len(seen) == len(set(seen))
        assert sorted(seen) == sorted(expected), query
    first = await find(crowd, ANYONE, "service")
    assert {hit.pulls for hit in first.hits} == {49}
    assert first.count > WHOLE // 2


async def test_a_rare_word_among_many(crowd: Resources) -> None:
    page = await find(crowd, ANYONE, "rare")
    assert names(page.hits) == ["team0/service-0999", "team1/service-1999"]
    assert page.exact
    for query in ("common rare", "service common rare od"):
        assert names((await find(crowd, ANYONE, query)).hits) == names(page.hits)
    assert names((await find(crowd, reader("team1/**"), "rare common")).hits) == [
        "team1/service-1999"
    ]
    assert names((await find(crowd, ANYONE, "common", pushed_after=2297)).hits) == [
        "team1/service-2299",
        "team0/service-2298",
    ]
    assert names((await find(crowd, ANYONE, "service-0777")).hits) == ["team0/service-0777"]
