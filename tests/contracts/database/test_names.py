"""Public repositories, and names within a range: what filtered catalogs are made of."""

import asyncio
import random
import re

import pytest

from kho.server.database import repositories
from kho.server.database.engine import Database, Transaction
from kho.server.database.identities import revisions
from kho.server.policy.access import Action, Grant, Principal
from kho.server.policy.patterns import NameRange, matches, name_range, sort_key
from kho.server.registry.repositories import visible

from .samples import manifest, put_manifest

NAMES = [
    *("a", "a/b", "a/b/c", "a/b/c/d", "a/bc", "a/c", "a-b", "a-b/c", "a.b", "axb"),
    *("a0", "a_b", "ab", "ab/c", "b", "b/c", "team/app", "team/app2", "teams/app", "z"),
]
PATTERNS = [
    *("a", "a/b", "a/*", "a/**", "a**", "a*", "*", "**", "?", "a?b", "a.b", "*/b/*", "**/c"),
    *("team/**", "team/app", "team/a*p", "te?m*/app", "z", "nowhere/**", "a-b", "a/b/**"),
]

PULL = frozenset({Action.PULL})


async def _fill(tx: Transaction, names: list[str]) -> None:
    for name in names:
        await put_manifest(tx, name, manifest(1))


@pytest.fixture
async def filled(database: Database) -> Database:
    await database.write(_fill, NAMES)
    await database.write(repositories.ensure, "a/blobs-only")
    return database


async def test_public(database: Database) -> None:
    assert not await database.read(repositories.is_public, "a")
    assert not await database.write(repositories.set_public, "a", False)
    assert await database.read(repositories.find, "a") is None
    assert await database.read(revisions.current) == 0
    assert await database.write(repositories.set_public, "a", True)
    assert await database.read(repositories.is_public, "a")
    assert not await database.read(repositories.is_public, "a/b")
    assert await database.write(repositories.set_public, "a", False)
    assert not await database.read(repositories.is_public, "a")
    assert await database.read(repositories.find, "a") is not None
    assert await database.read(revisions.current) == 2


async def test_a_repository_starts_private(database: Database) -> None:
    await database.write(repositories.ensure, "a")
    assert not await database.read(repositories.is_public, "a")
    assert await database.write(repositories.set_public, "a", True)
    await database.write(repositories.ensure, "a")
    assert await database.read(repositories.is_public, "a")


async def test_racing_openings(database: Database, other: Database) -> None:
    calls = [each.write(repositories.set_public, "a", True) for each in (database, other) * 10]
    assert all(await asyncio.gather(*calls))
    assert len(await database.read(repositories.rows, None, 10)) == 1


@pytest.mark.parametrize("limit", [1, 2, 50])
async def test_a_range_has_what_its_pattern_matches(filled: Database, limit: int) -> None:
    for pattern in PATTERNS:
        within = name_range(pattern)
        expected = sorted((one for one in NAMES if matches(pattern, one)), key=sort_key)
        seen: list[str] = []
        after: str | None = None
        while page := await filled.read(repositories.page_between, within, after, limit):
            assert len(page) <= limit
            assert not set(page) & set(seen)
            seen += page
            after = sort_key(page[-1])
        assert seen == expected, pattern


async def test_a_range_starts_after_any_key(filled: Database) -> None:
    within = name_range("a/**")
    assert within[:3] == ("a!", 'a"', None)
    for last, first in (
        ("", "a/b"),
        ("A", "a/b"),
        ("a/b", "a/b/c"),
        ("a/bb", "a/bc"),
        ("a/z", None),
    ):
        page = await filled.read(repositories.page_between, within, sort_key(last), 1)
        assert page == ([] if first is None else [first])


async def test_expressions_mean_the_same_everywhere(filled: Database) -> None:
    for glob in ("a.b", "a?b", "*-b", "t*m/*", "[a]*"):
        expression = "^" + re.escape(glob).replace(r"\*", ".*").replace(r"\?", "[^/]") + "$"
        within = NameRange("", None, expression)
        found = await filled.read(repositories.page_between, within, None, 100)
        assert set(found) == {one for one in NAMES if re.search(expression, one)}


async def test_names_by_key(filled: Database) -> None:
    keys = [sort_key(name) for name in ("z", "a/b", "a/blobs-only", "none", "a")]
    assert await filled.read(repositories.page_named, keys) == ["a", "a/b", "z"]
    assert await filled.read(repositories.page_named, []) == []


@pytest.mark.parametrize("limit", [1, 3, 50])
async def test_pages_of_grants_are_what_the_grants_match(filled: Database, limit: int) -> None:
    await filled.write(repositories.set_public, "team/app", True)
    chance = random.Random(7)
    for _ in range(60):
        patterns = chance.sample([*PATTERNS, *NAMES, "none", "a/blobs-only"], chance.randint(0, 6))
        grants = tuple(Grant("user:u", "r", each, PULL) for each in patterns)
        wanted = [
            name
            for name in sorted(NAMES, key=sort_key)
            if name == "team/app" or any(matches(each, name) for each in patterns)
        ]
        seen: list[str] = []
        while page := await filled.read(
            visible, Principal("user:u", grants), sort_key(seen[-1]) if seen else "", limit
        ):
            assert len(page) <= limit
            seen += page
        assert seen == wanted, patterns


async def test_page_public(filled: Database) -> None:
    public = ["a/b", "a", "z", "a/blobs-only", "team/app"]
    for name in public:
        await filled.write(repositories.set_public, name, True)
    seen: list[str] = []
    while page := await filled.read(
        repositories.page_public, sort_key(seen[-1]) if seen else None, 2
    ):
        assert not set(page) & set(seen)
        seen += page
    assert seen == ["a", "a/b", "team/app", "z"]


async def test_rows_for_the_operator(filled: Database) -> None:
    await filled.write(repositories.set_public, "a/blobs-only", True)
    rows = await filled.read(repositories.rows, None, 100)
    assert [row.name for row in rows] == sorted([*NAMES, "a/blobs-only"], key=sort_key)
    assert [row.name for row in rows if row.public] == ["a/blobs-only"]
    assert [row.name for row in await filled.read(repositories.rows, "team/app2", 9)] == [
        "teams/app",
        "z",
    ]
    row = await filled.read(repositories.row_of, "a/blobs-only")
    assert row in rows
    assert await filled.read(repositories.row_of, "a/none") is None
