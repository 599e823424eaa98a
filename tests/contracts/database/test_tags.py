"""Rows of tags, and the history of their moves."""

import asyncio
import random
from itertools import pairwise

import pytest

from kho.server.database import manifests, repositories, tags
from kho.server.database.engine import Database, Transaction
from kho.server.database.errors import ConstraintViolated

from .samples import digest, manifest, put_manifest

NAMES = ["1.0", "10", "2", "A", "Z", "_x", "a", "a-b", "a.b", "aB", "ab", "b"]


async def _point(tx: Transaction, tag: str, number: int, actor: str = "pusher") -> None:
    await tags.point(tx, await repositories.ensure(tx, "a"), tag, digest(number), actor)


async def _digest_of(tx: Transaction, tag: str) -> str | None:
    return await tags.digest_of(tx, await repositories.ensure(tx, "a"), tag)


@pytest.fixture
async def filled(database: Database) -> Database:
    for number in (1, 2, 3):
        await database.write(put_manifest, "a", manifest(number))
    return database


async def test_sorted_by_bytes(filled: Database) -> None:
    for name in random.sample(NAMES, len(NAMES)):
        await filled.write(_point, name, 1)
    expected = sorted(NAMES, key=str.encode)
    assert await filled.read(tags.page, "a", None, 100) == expected


@pytest.mark.parametrize("limit", [1, 5, 12, 13])
async def test_pages_join_without_gap_or_repetition(filled: Database, limit: int) -> None:
    for name in NAMES:
        await filled.write(_point, name, 1)
    seen: list[str] = []
    while page := await filled.read(tags.page, "a", seen[-1] if seen else None, limit):
        assert len(page) <= limit
        seen += page
    assert seen == sorted(NAMES)


async def test_page_after_a_tag_that_does_not_exist(filled: Database) -> None:
    for name in NAMES:
        await filled.write(_point, name, 1)
    assert await filled.read(tags.page, "a", "aa", 2) == ["ab", "b"]
    assert await filled.read(tags.page, "nowhere", None, 2) == []


async def test_a_move_leaves_a_row_of_history(filled: Database) -> None:
    await filled.write(_point, "t", 1, "alice")
    await filled.write(_point, "t", 1, "nobody")
    await filled.write(_point, "t", 2, "bob")
    assert await filled.write(tags.delete, "a", "t", "carol")
    moves = await filled.read(tags.history, "a", "t")
    one, two = str(digest(1)), str(digest(2))
    assert [move[:3] for move in moves] == [
        (None, one, "alice"),
        (one, two, "bob"),
        (two, None, "carol"),
    ]
    assert moves == sorted(moves, key=lambda move: move.at)


async def test_digest_of(filled: Database) -> None:
    assert await filled.write(_digest_of, "t") is None
    await filled.write(_point, "t", 2)
    assert await filled.write(_digest_of, "t") == str(digest(2))


async def test_delete_keeps_the_manifest(filled: Database) -> None:
    await filled.write(_point, "t", 1)
    assert await filled.write(tags.delete, "a", "t", "eve")
    assert not await filled.write(tags.delete, "a", "t", "eve")
    assert not await filled.write(tags.delete, "b", "t", "eve")
    assert await filled.read(manifests.by_digest, "a", digest(1)) is not None
    await filled.write(_point, "t", 1)
    assert await filled.read(manifests.by_tag, "a", "t") is not None


async def test_no_tag_without_its_manifest(filled: Database) -> None:
    """I3, held by the schema itself."""
    with pytest.raises(ConstraintViolated):
        await filled.write(_point, "t", 77)
    assert await filled.read(tags.page, "a", None, 10) == []
    assert await filled.read(tags.history, "a", "t") == []


async def test_moves_of_one_tag_form_one_line(filled: Database, other: Database) -> None:
    """I8: each move starts where the one before it ended."""
    calls = [
        each.write(_point, "t", random.choice([1, 2, 3]), f"{number}")
        for number in range(30)
        for each in (filled, other)
    ]
    await asyncio.gather(*calls)
    moves = await filled.read(tags.history, "a", "t")
    assert moves[0].from_digest is None
    for before, after in pairwise(moves):
        assert after.from_digest == before.to_digest
    assert moves[-1].to_digest == await filled.write(_digest_of, "t")


async def _create_only(tx: Transaction, tag: str, number: int) -> bool:
    repository_id = await repositories.ensure(tx, "a")
    if await tags.digest_of(tx, repository_id, tag) is not None:
        return False
    await tags.point(tx, repository_id, tag, digest(number), "racer")
    return True


async def test_of_many_creators_one_finds_the_tag_absent(filled: Database, other: Database) -> None:
    for tag in ("x", "y", "z"):
        calls = [
            each.write(_create_only, tag, number)
            for number in (1, 2, 3)
            for each in (filled, other) * 4
        ]
        assert sum(await asyncio.gather(*calls)) == 1
        assert len(await filled.read(tags.history, "a", tag)) == 1


async def test_tag_and_delete_of_its_manifest_race(database: Database, other: Database) -> None:
    for number in range(40):
        await database.write(put_manifest, "a", manifest(number))
        pointed, deleted = await asyncio.gather(
            database.write(_point, "t", number),
            other.write(manifests.delete, "a", digest(number), "eve"),
            return_exceptions=True,
        )
        assert deleted is not None
        assert pointed is None or isinstance(pointed, ConstraintViolated)
        assert await database.read(manifests.by_tag, "a", "t") is None
        assert await database.read(tags.page, "a", None, 10) == []


async def test_readers_see_the_old_or_the_new(filled: Database, other: Database) -> None:
    await filled.write(_point, "t", 1)
    seen: set[str] = set()

    async def watch() -> None:
        while len(seen) < 2:
            row = await other.read(manifests.by_tag, "a", "t")
            assert row is not None
            seen.add(row.digest)
            await asyncio.sleep(0)

    async def move() -> None:
        for number in range(400):
            await filled.write(_point, "t", 1 + number % 2)

    mover = asyncio.create_task(move())
    await asyncio.wait_for(watch(), 10)
    await mover
