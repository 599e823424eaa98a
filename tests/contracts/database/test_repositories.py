"""Rows of repositories."""

import asyncio

import pytest

from kho.server.database import repositories
from kho.server.database.engine import Database, Transaction

from .samples import manifest, put_manifest

NAMES = ["a", "a-b", "a.b", "a/b", "a/b/c", "a/bc", "a0", "a_b", "ab", "b"]
IN_ORDER = ["a", "a/b", "a/b/c", "a/bc", "a-b", "a.b", "a0", "a_b", "ab", "b"]


async def _fill(tx: Transaction, names: list[str]) -> None:
    for name in names:
        await put_manifest(tx, name, manifest(1))


async def test_unknown_repository(database: Database) -> None:
    assert await database.read(repositories.find, "a/b") is None


async def test_ensure_makes_a_repository_once(database: Database) -> None:
    first = await database.write(repositories.ensure, "a/b")
    assert await database.write(repositories.ensure, "a/b") == first
    assert await database.write(repositories.ensure, "a/c") != first
    assert await database.read(repositories.find, "a/b") == first


async def test_names_are_case_sensitive_bytes(database: Database) -> None:
    assert await database.write(repositories.ensure, "a") != await database.write(
        repositories.ensure, "A"
    )


async def test_racing_ensures_agree(database: Database, other: Database) -> None:
    calls = [each.write(repositories.ensure, "a/b") for each in (database, other) * 20]
    assert len(set(await asyncio.gather(*calls))) == 1


async def test_page_puts_the_slash_before_everything(database: Database) -> None:
    await database.write(_fill, NAMES)
    assert await database.read(repositories.page, None, 100) == IN_ORDER


@pytest.mark.parametrize("limit", [1, 2, 3, 9, 10, 11])
async def test_pages_join_without_gap_or_repetition(database: Database, limit: int) -> None:
    await database.write(_fill, NAMES)
    seen: list[str] = []
    while page := await database.read(repositories.page, seen[-1] if seen else None, limit):
        assert len(page) <= limit
        seen += page
    assert seen == IN_ORDER


async def test_page_after_a_name_that_does_not_exist(database: Database) -> None:
    await database.write(_fill, NAMES)
    assert await database.read(repositories.page, "a/b/zzz", 2) == ["a/bc", "a-b"]
    assert await database.read(repositories.page, "c", 2) == []


async def test_page_leaves_out_repositories_without_manifests(database: Database) -> None:
    await database.write(repositories.ensure, "blobs-only")
    await database.write(_fill, ["a"])
    assert await database.read(repositories.page, None, 10) == ["a"]
