"""SQLite: the file, group commit, and what happens when the disk says no."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kho.oci.errors import InsufficientStorage, Unavailable
from kho.server.database import blobs, repositories
from kho.server.database.drivers import group_commit
from kho.server.database.drivers.sqlite import SqliteDatabase
from kho.server.database.drivers.sqlite_connection import connect, require_sound_version
from kho.server.database.drivers.turnstile import Turnstile
from kho.server.database.engine import Transaction
from kho.server.database.errors import UnusableDatabase
from kho.server.database.open import migrate, open_database
from tests.contracts.database.samples import digest, manifest, put_blob, put_manifest


@pytest.fixture
def path(tmp_path: Path) -> str:
    migrate(f"sqlite:///{tmp_path}/kho.db")
    return f"{tmp_path}/kho.db"


@pytest.fixture
async def database(path: str) -> AsyncIterator[SqliteDatabase]:
    opened = await open_database(f"sqlite:///{path}")
    assert isinstance(opened, SqliteDatabase)
    yield opened
    await opened.close()


def _modes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}


def _size(path: str) -> int:
    return Path(path).stat().st_size


async def test_files_are_for_the_owner_only(database: SqliteDatabase, path: str) -> None:
    await database.write(repositories.ensure, "a")
    files = _modes(Path(path).parent)
    assert {"kho.db", "kho.db-wal", "kho.db-shm", "kho.db.lock"} <= files.keys()
    assert set(files.values()) == {0o600}


async def test_safe_settings(database: SqliteDatabase) -> None:
    for connection in (database._connection, database._writer._connection):
        expected = {
            "journal_mode": "wal",
            "synchronous": 2,
            "foreign_keys": 1,
            "mmap_size": 0,
            "trusted_schema": 0,
        }
        for name, value in expected.items():
            assert connection.execute(f"PRAGMA {name}").fetchone()[0] == value


@pytest.mark.parametrize(
    "version", [(3, 51, 3), (3, 53, 0), (4, 0, 0), (3, 50, 7), (3, 44, 6), (3, 44, 9)]
)
def test_sound_versions(version: tuple[int, int, int]) -> None:
    require_sound_version(version)


@pytest.mark.parametrize(
    "version", [(3, 51, 2), (3, 40, 1), (3, 50, 6), (3, 44, 5), (3, 45, 9), (3, 7, 0)]
)
def test_versions_that_lose_pages(version: tuple[int, int, int]) -> None:
    with pytest.raises(UnusableDatabase, match="WAL-reset"):
        require_sound_version(version)


def _commits(database: SqliteDatabase) -> list[str]:
    """Every COMMIT of the writing thread from now on."""
    seen: list[str] = []
    database._writer._connection.set_trace_callback(
        lambda text: seen.append(text) if text == "COMMIT" else None
    )
    return seen


async def test_those_who_wait_share_a_commit(database: SqliteDatabase) -> None:
    commits = _commits(database)
    await asyncio.gather(*(database.write(put_blob, "a", number) for number in range(100)))
    assert len(commits) <= 5
    assert await database.read(blobs.size, "a", digest(99)) == 10


async def test_a_batch_is_bounded(database: SqliteDatabase) -> None:
    commits = _commits(database)
    many = group_commit.BATCH * 3
    await asyncio.gather(*(database.write(put_blob, "a", number) for number in range(many)))
    assert 3 <= len(commits) <= 8


async def test_one_commit_for_each_when_nobody_else_waits(database: SqliteDatabase) -> None:
    commits = _commits(database)
    for number in range(5):
        await database.write(put_blob, "a", number)
    assert len(commits) == 5


async def test_works_run_off_the_event_loop(database: SqliteDatabase) -> None:
    async def where(_: Transaction) -> str:
        return threading.current_thread().name

    assert await database.write(where) == "group-commit"
    assert await database.read(where) == "MainThread"


async def test_a_read_cannot_write(database: SqliteDatabase) -> None:
    with pytest.raises(Unavailable, match="read-only"):
        await database.read(repositories.ensure, "a")


async def test_a_work_that_waits_is_a_mistake(database: SqliteDatabase) -> None:
    async def wait(tx: Transaction) -> None:
        await put_blob(tx, "a", 1)
        await asyncio.sleep(0)

    first, second = await asyncio.gather(
        database.write(wait), database.write(put_blob, "b", 2), return_exceptions=True
    )
    assert isinstance(first, RuntimeError)
    assert second == digest(2)
    assert await database.read(repositories.find, "a") is None


async def test_a_full_disk_is_said_and_forgotten(database: SqliteDatabase) -> None:
    await database.write(put_blob, "a", 1)
    connection = database._writer._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    await database.write(_limit_pages, database, pages)
    large = [database.write(_fill, number) for number in range(10)]
    results = await asyncio.gather(*large, return_exceptions=True)
    assert any(isinstance(result, InsufficientStorage) for result in results)
    assert all(result is None or isinstance(result, InsufficientStorage) for result in results)
    assert await database.read(blobs.size, "a", digest(1)) == 10
    await database.write(_limit_pages, database, 2**30)
    await database.write(_fill, 1)


async def _limit_pages(_: Transaction, database: SqliteDatabase, pages: int) -> None:
    database._writer._connection.execute(f"PRAGMA max_page_count = {pages}").fetchone()


async def _fill(tx: Transaction, number: int) -> None:
    new = manifest(number)
    large = type(new)(new.digest, "m", None, None, None, bytes(100_000), ())
    await put_manifest(tx, "a", large)


async def test_a_failed_commit_fails_all_and_keeps_nothing(
    database: SqliteDatabase, path: str
) -> None:
    """A lock that does not go away: nobody of the batch hears a success."""
    stubborn = connect(path)
    stubborn.execute("BEGIN IMMEDIATE")
    database._writer._connection.execute("PRAGMA busy_timeout = 10")
    calls = [database.write(put_blob, "a", number) for number in range(5)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(result, Unavailable) for result in results)
    stubborn.execute("ROLLBACK")
    stubborn.close()
    assert await database.read(repositories.find, "a") is None
    assert await database.write(put_blob, "a", 1) == digest(1)


async def test_a_deferred_violation_fails_the_commit_for_all(database: SqliteDatabase) -> None:
    async def break_a_key(_: Transaction) -> None:
        execute = database._writer._connection.execute
        execute("PRAGMA defer_foreign_keys = ON")
        execute("INSERT INTO repository_blobs VALUES (12345, 'nothing', 0)")

    results = await asyncio.gather(
        database.write(put_blob, "a", 1), database.write(break_a_key), return_exceptions=True
    )
    assert all(isinstance(result, Exception) for result in results)
    assert await database.read(repositories.find, "a") is None
    assert await database.write(put_blob, "a", 1) == digest(1)


async def test_patience_ends_while_another_process_holds_the_lock(
    database: SqliteDatabase, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "PATIENCE_SECONDS", 0.1)
    turnstile = Turnstile(path)
    with turnstile:
        with pytest.raises(Unavailable, match="locked"):
            await database.write(put_blob, "a", 1)
        assert await database.read(repositories.find, "a") is None
    turnstile.close()
    monkeypatch.undo()
    await database.write(put_blob, "b", 2)
    assert await database.read(repositories.find, "a") is None, "nobody waited for it any more"


async def test_who_gave_up_before_the_transaction_is_left_out(
    database: SqliteDatabase, path: str
) -> None:
    turnstile = Turnstile(path)
    with turnstile:
        calls = [asyncio.create_task(database.write(put_blob, f"r{n}", n)) for n in range(4)]
        await asyncio.sleep(0.05)
        calls[1].cancel()
        calls[0].cancel()
        await asyncio.sleep(0.05)
    turnstile.close()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(result, asyncio.CancelledError) for result in results] == [
        True,
        True,
        False,
        False,
    ]
    assert await database.read(repositories.find, "r1") is None
    assert await database.read(repositories.find, "r2") is not None


async def test_who_gives_up_during_the_transaction_does_not_break_the_batch(
    database: SqliteDatabase,
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    async def slow(tx: Transaction) -> None:
        await put_blob(tx, "slow", 1)
        begun.set()
        go_on.wait(5)

    first = asyncio.create_task(database.write(slow))
    await asyncio.to_thread(begun.wait, 5)
    second = asyncio.create_task(database.write(put_blob, "b", 2))
    await asyncio.sleep(0)
    commits = _commits(database)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    go_on.set()
    assert await second == digest(2)
    assert commits == ["COMMIT"]
    assert await database.read(blobs.size, "slow", digest(1)) == 10, "it had begun"


async def test_the_log_stays_small(database: SqliteDatabase, path: str) -> None:
    """Checkpoints keep up: the write-ahead log is a few MiB, however much is written."""
    for number in range(300):
        await database.write(_fill, number)
    assert _size(path) > 20_000_000
    assert _size(path + "-wal") < 12_000_000


async def test_special_characters_in_the_path(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a%20b?c=d#e.db"
    migrate(url)
    database = await open_database(url)
    await database.ping()
    await database.close()
    assert "a%20b?c=d#e.db" in _modes(tmp_path)


async def test_a_missing_file_is_unusable_and_stays_missing(tmp_path: Path) -> None:
    with pytest.raises(UnusableDatabase, match="empty"):
        await open_database(f"sqlite:///{tmp_path}/kho.db")
    assert _modes(tmp_path) == {}
