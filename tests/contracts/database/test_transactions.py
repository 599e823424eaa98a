"""What `read` and `write` promise."""

import asyncio

import pytest

from kho.oci.errors import Unavailable
from kho.server.database import manifests, repositories, tags
from kho.server.database.engine import Database, Transaction
from kho.server.database.open import open_database

from .samples import digest, manifest, put_blob, put_manifest


class RefusedError(Exception):
    """What a rule raises inside a transaction."""


async def _refuse_after_writing(tx: Transaction, repository: str) -> None:
    await put_manifest(tx, repository, manifest(1), "t")
    raise RefusedError(repository)


async def test_arguments_go_in_and_the_result_comes_out(database: Database) -> None:
    async def work(_: Transaction, first: int, *, second: int) -> tuple[int, int]:
        return first, second

    assert await database.write(work, 1, second=2) == (1, 2)
    assert await database.read(work, 1, second=2) == (1, 2)


async def test_what_is_written_is_seen_by_every_worker(database: Database, other: Database) -> None:
    for number in range(20):
        await database.write(put_manifest, "a", manifest(number), "t")
        row = await other.read(manifests.by_tag, "a", "t")
        assert row is not None
        assert row.digest == str(digest(number))


async def test_a_transaction_sees_its_own_writes(database: Database) -> None:
    async def work(tx: Transaction) -> int | None:
        await repositories.ensure(tx, "a")
        return await repositories.find(tx, "a")

    assert await database.write(work) is not None


async def test_an_exception_undoes_the_whole_work(database: Database) -> None:
    with pytest.raises(RefusedError, match="a"):
        await database.write(_refuse_after_writing, "a")
    assert await database.read(repositories.find, "a") is None


async def test_one_failure_among_many_fails_alone(database: Database, other: Database) -> None:
    async def one(number: int) -> None:
        each = database if number % 2 else other
        if number % 3:
            await each.write(put_manifest, f"r{number}", manifest(number), "t")
        else:
            await each.write(_refuse_after_writing, f"r{number}")

    results = await asyncio.gather(*map(one, range(60)), return_exceptions=True)
    failed = [number for number, result in enumerate(results) if result is not None]
    assert failed == list(range(0, 60, 3))
    assert all(isinstance(results[number], RefusedError) for number in failed)
    names = await database.read(repositories.page, None, 100)
    assert set(names) == {f"r{number}" for number in range(60) if number % 3}


async def test_a_cancelled_caller_disturbs_nobody(database: Database) -> None:
    calls = [asyncio.create_task(database.write(put_blob, "a", number)) for number in range(60)]
    await asyncio.sleep(0.001)
    for call in calls[::2]:
        call.cancel()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert all(result == digest(number) for number, result in enumerate(results) if number % 2)
    await database.ping()
    assert await database.write(put_blob, "a", 100) == digest(100)


async def test_ping(database: Database) -> None:
    await database.ping()


async def test_closed_means_unavailable(url: str) -> None:
    database = await open_database(url)
    await database.close()
    for call in (database.ping(), database.write(repositories.ensure, "a")):
        with pytest.raises(Unavailable):
            await call
    await database.close()


async def test_close_finishes_what_was_handed_over(url: str) -> None:
    database = await open_database(url)
    calls = [asyncio.create_task(database.write(put_blob, "a", number)) for number in range(50)]
    await asyncio.sleep(0)
    await database.close()
    done = await asyncio.gather(*calls, return_exceptions=True)
    reopened = await open_database(url)
    async with asyncio.timeout(5):
        repository_id = await reopened.write(repositories.ensure, "a")
    assert repository_id
    assert sum(isinstance(result, Unavailable) for result in done) < 50
    await reopened.close()


async def test_hundreds_of_writers_at_once(database: Database, other: Database) -> None:
    calls = [
        each.write(put_manifest, "a", manifest(number), f"t{number}")
        for number in range(150)
        for each in (database, other)
    ]
    await asyncio.gather(*calls)
    assert len(await database.read(tags.page, "a", None, 1000)) == 150
