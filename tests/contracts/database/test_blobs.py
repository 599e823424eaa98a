"""Rows of blobs, and which repository may read which."""

import asyncio

from kho.server.database import blobs, repositories
from kho.server.database.engine import Database, Transaction

from .samples import digest, manifest, put_blob, put_manifest


async def test_a_blob_is_seen_only_where_it_is_linked(database: Database) -> None:
    await database.write(put_blob, "a", 1, 7)
    await database.write(repositories.ensure, "b")
    assert await database.read(blobs.size, "a", digest(1)) == 7
    assert await database.read(blobs.size, "b", digest(1)) is None
    assert await database.read(blobs.size, "nowhere", digest(1)) is None
    assert await database.read(blobs.size_anywhere, digest(1)) == 7
    assert await database.read(blobs.size_anywhere, digest(2)) is None


async def test_put_and_link_again_change_nothing(database: Database) -> None:
    await database.write(put_blob, "a", 1, 7)
    await database.write(put_blob, "a", 1, 7)
    assert await database.read(blobs.size, "a", digest(1)) == 7


async def test_sizes_beyond_32_bits(database: Database) -> None:
    await database.write(put_blob, "a", 1, 5 * 2**40)
    assert await database.read(blobs.size, "a", digest(1)) == 5 * 2**40


async def test_unlink_takes_the_blob_from_one_repository(database: Database) -> None:
    await database.write(put_blob, "a", 1)
    await database.write(put_blob, "b", 1)
    assert await database.write(blobs.unlink, "a", digest(1))
    assert not await database.write(blobs.unlink, "a", digest(1))
    assert not await database.write(blobs.unlink, "nowhere", digest(1))
    assert await database.read(blobs.size, "a", digest(1)) is None
    assert await database.read(blobs.size, "b", digest(1)) == 10


async def test_link_again_after_unlink(database: Database) -> None:
    await database.write(put_blob, "a", 1)
    await database.write(blobs.unlink, "a", digest(1))
    await database.write(put_blob, "a", 1)
    assert await database.read(blobs.size, "a", digest(1)) == 10


async def test_missing_keeps_the_order_asked(database: Database) -> None:
    await database.write(put_blob, "a", 2)
    await database.write(put_blob, "b", 3)
    repository_id = await database.write(repositories.ensure, "a")
    asked = [digest(3), digest(2), digest(1)]
    assert await database.write(blobs.missing, repository_id, asked) == [digest(3), digest(1)]
    assert await database.write(blobs.missing, repository_id, []) == []


async def test_sizes_of_what_is_there(database: Database) -> None:
    await database.write(put_blob, "a", 1, 11)
    await database.write(put_blob, "a", 2, 22)
    await database.write(put_blob, "b", 3, 33)
    repository_id = await database.write(repositories.ensure, "a")
    asked = [digest(number) for number in (1, 2, 3, 4)]
    found = await database.write(blobs.sizes, repository_id, asked)
    assert found == {digest(1): 11, digest(2): 22}


async def test_more_digests_than_a_statement_has_parameters(database: Database) -> None:
    await database.write(put_blob, "a", 1)
    repository_id = await database.write(repositories.ensure, "a")
    asked = [digest(number) for number in range(1, 40_000)]
    assert await database.write(blobs.missing, repository_id, asked) == asked[1:]


async def test_referenced_by_a_manifest_of_this_repository_only(database: Database) -> None:
    for repository in ("a", "b"):
        await database.write(put_blob, repository, 1)
    await database.write(put_manifest, "a", manifest(9, references=[("layer", digest(1))]))
    assert await database.read(blobs.referenced, "a", digest(1))
    assert not await database.read(blobs.referenced, "b", digest(1))
    assert not await database.read(blobs.referenced, "a", digest(2))


async def test_the_same_blob_from_everywhere_at_once(database: Database, other: Database) -> None:
    calls = [
        each.write(put_blob, repository, 1)
        for repository in ("a", "b", "c")
        for each in (database, other) * 10
    ]
    await asyncio.gather(*calls)
    assert await database.read(blobs.size, "c", digest(1)) == 10


async def _unlink_unless_needed(tx: Transaction, number: int) -> bool:
    await blobs.unlink(tx, "a", digest(number))
    if await blobs.referenced(tx, "a", digest(number)):
        raise LookupError("needed")
    return True


async def _push_if_complete(tx: Transaction, number: int) -> bool:
    repository_id = await repositories.ensure(tx, "a")
    if await blobs.missing(tx, repository_id, [digest(number)]):
        return False
    new = manifest(1000 + number, references=[("layer", digest(number))])
    await put_manifest(tx, "a", new, f"t{number}")
    return True


async def test_no_manifest_comes_between_check_and_unlink(
    database: Database, other: Database
) -> None:
    """I3: of a push and an unlink that race, one sees the other."""
    pushed_once = unlinked_once = False
    for number in range(40):
        await database.write(put_blob, "a", number)
        pushed, unlinked = await asyncio.gather(
            database.write(_push_if_complete, number),
            other.write(_unlink_unless_needed, number),
            return_exceptions=True,
        )
        there = await database.read(blobs.size, "a", digest(number)) is not None
        assert there is (unlinked is not True)
        assert pushed is there
        pushed_once |= pushed is True
        unlinked_once |= unlinked is True
    assert pushed_once
