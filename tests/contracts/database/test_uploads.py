"""Rows of upload sessions."""

import asyncio
from collections.abc import Callable

from kho.server.database import uploads
from kho.server.database.engine import Database, Transaction

ID = "5b0f7e0c-6a0b-4b7e-9d57-0f4a4c2d6f11"


async def _start(tx: Transaction, id_: str = ID) -> None:
    await uploads.create(tx, id_, "a/b", "alice", "sha256")


async def test_a_new_session_holds_nothing(database: Database) -> None:
    await database.write(_start)
    row = await database.read(uploads.find, ID, "a/b")
    assert row is not None
    assert row[:6] == (ID, "a/b", "alice", "sha256", 0, None)
    assert row.started_at > 1_600_000_000_000


async def test_a_session_belongs_to_its_repository(database: Database) -> None:
    await database.write(_start)
    assert await database.read(uploads.find, ID, "a/c") is None
    assert await database.read(uploads.find, "another", "a/b") is None


async def test_create_twice_is_one_session(database: Database) -> None:
    await database.write(_start)
    await database.write(uploads.advance, ID, expected=0, size=5, state=None)
    await database.write(_start)
    row = await database.read(uploads.find, ID, "a/b")
    assert row is not None
    assert row.size == 5


async def test_advance_needs_the_size_that_is_there(database: Database) -> None:
    await database.write(_start)
    assert await database.write(uploads.advance, ID, expected=0, size=5, state=b"\0five")
    assert not await database.write(uploads.advance, ID, expected=0, size=7, state=b"seven")
    assert not await database.write(uploads.advance, ID, expected=6, size=7, state=b"seven")
    assert not await database.write(uploads.advance, "other", expected=5, size=7, state=b"seven")
    row = await database.read(uploads.find, ID, "a/b")
    assert row is not None
    assert (row.size, row.state) == (5, b"\0five")
    assert await database.write(uploads.advance, ID, expected=5, size=9, state=None)


async def test_the_same_step_may_be_taken_twice(database: Database) -> None:
    """A COMMIT whose answer got lost is run again: it must not look like a lost race."""
    await database.write(_start)
    assert await database.write(uploads.advance, ID, expected=0, size=5, state=b"five")
    assert await database.write(uploads.advance, ID, expected=0, size=5, state=b"five")
    assert not await database.write(uploads.advance, ID, expected=0, size=5, state=b"other bytes")


async def test_one_of_many_racers_advances(database: Database, other: Database) -> None:
    await database.write(_start)
    calls = [
        each.write(uploads.advance, ID, expected=0, size=5, state=b"%d" % number)
        for number in range(10)
        for each in (database, other)
    ]
    won = sum(await asyncio.gather(*calls))
    row = await database.read(uploads.find, ID, "a/b")
    assert row is not None
    assert won in (1, 2)  # the two with the same state are one and the same step
    assert row.size == 5


async def test_remove(database: Database) -> None:
    await database.write(_start)
    assert await database.write(uploads.remove, ID)
    assert not await database.write(uploads.remove, ID)
    assert await database.read(uploads.find, ID, "a/b") is None


async def test_expired_by_the_database_clock_oldest_first(
    database: Database, run_sql: Callable[[str], str]
) -> None:
    for number in range(5):
        await database.write(_start, f"upload-{number}")
        run_sql(
            f"UPDATE uploads SET touched_at = touched_at - {1_000_000 * (5 - number)}"
            f" WHERE id = 'upload-{number}'"
        )
    await database.write(_start, "fresh")
    assert await database.read(uploads.expired, 2_500_000, 10) == [
        "upload-0",
        "upload-1",
        "upload-2",
    ]
    assert await database.read(uploads.expired, 2_500_000, 2) == ["upload-0", "upload-1"]
    assert await database.read(uploads.expired, 60_000_000, 10) == []


async def test_an_advance_keeps_a_session_alive(
    database: Database, run_sql: Callable[[str], str]
) -> None:
    await database.write(_start)
    run_sql("UPDATE uploads SET touched_at = 0")
    await database.write(uploads.advance, ID, expected=0, size=1, state=None)
    assert await database.read(uploads.expired, 60_000, 10) == []
