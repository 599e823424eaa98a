"""Lazy writes on SQLite: no flush of their own, and over when their caller is told."""

import asyncio
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kho.oci.errors import Unavailable
from kho.server.database import uploads
from kho.server.database.drivers import group_commit, shortcut
from kho.server.database.drivers.sqlite import SqliteDatabase
from kho.server.database.drivers.turnstile import Turnstile
from kho.server.database.engine import Transaction
from kho.server.database.open import migrate, open_database
from tests.server.database.lazy_writes import ACTS

REPOSITORY = Path(__file__).parents[3]


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


async def session(database: SqliteDatabase, id_: str) -> bool:
    return await database.read(uploads.find, id_, "a") is not None


def test_only_what_must_be_durable_flushes_the_log(tmp_path: Path) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.fail("strace is missing (Debian: apt-get install strace)", pytrace=False)
    log = tmp_path / "log"
    program = [sys.executable, "-m", "tests.server.database.lazy_writes", f"{tmp_path}/kho.db"]
    subprocess.run(
        [strace, "-f", "-y", "-e", "trace=fsync,fdatasync,write", "-o", log, *program],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
    )
    parts = re.split(r'"MARK (\w+)', log.read_text())
    flushes = [part.count("kho.db-wal>") for part in parts[2::2]]
    acts = parts[1::2]
    assert acts == [*ACTS, "end"]
    for act, flushed in zip(ACTS, flushes, strict=False):
        assert flushed == (1 if act == "durable" else 0), (acts, flushes)


class Slow:
    """Holds up the writing thread at its next COMMIT."""

    def __init__(self, database: SqliteDatabase) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        database._writer._connection.set_trace_callback(self._see)

    def _see(self, text: str) -> None:
        if text == "COMMIT":
            self.begun.set()
            self.go_on.wait(5)


def lazily(database: SqliteDatabase, id_: str) -> asyncio.Task[None]:
    return asyncio.create_task(
        database.write_lazily(uploads.create, id_, "a", "me", "sha256"), name=id_
    )


async def begun(database: SqliteDatabase, path: str, slow: Slow) -> asyncio.Task[None]:
    """A lazy write whose COMMIT is under way in the writing thread."""
    turnstile = Turnstile(path)
    with turnstile:
        task = lazily(database, "x")
        await asyncio.sleep(0.02)
    turnstile.close()
    assert await asyncio.to_thread(slow.begun.wait, 5)
    return task


async def test_who_is_cancelled_during_the_commit_waits_for_it(
    database: SqliteDatabase, path: str
) -> None:
    slow = Slow(database)
    task = await begun(database, path, slow)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0.02)
    assert not task.done()
    slow.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await session(database, "x")


async def nothing(_tx: Transaction) -> None:
    """A work."""


async def test_patience_with_lazy_work_ends_only_before_it_begins() -> None:
    loop = asyncio.get_running_loop()
    waiting, running = (
        group_commit._Handed(nothing, loop.create_future(), makes_room=False, lazy=True)
        for _ in range(2)
    )
    assert running.claim()
    for handed in (waiting, running):
        handed.give_up()
    assert isinstance(waiting.future.exception(), Unavailable)
    assert not waiting.claim(), "the thread will not run it"
    assert not running.future.done()


async def test_who_is_cancelled_before_the_transaction_takes_it_back(
    database: SqliteDatabase, path: str
) -> None:
    turnstile = Turnstile(path)
    with turnstile:
        task = lazily(database, "x")
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    turnstile.close()
    await database.write(uploads.create, "y", "a", "me", "sha256")
    assert await session(database, "y")
    assert not await session(database, "x")


async def test_lazy_and_durable_that_wait_together_are_all_done(
    database: SqliteDatabase, path: str
) -> None:
    turnstile = Turnstile(path)
    with turnstile:
        lazy = [lazily(database, f"l{number}") for number in range(200)]
        durable = [
            asyncio.create_task(database.write(uploads.create, f"d{n}", "a", "me", "sha256"))
            for n in range(200)
        ]
        await asyncio.sleep(0.02)
    turnstile.close()
    await asyncio.gather(*lazy, *durable)
    for number in range(200):
        assert await session(database, f"l{number}")
        assert await session(database, f"d{number}")


async def test_what_waits_when_the_database_closes_is_done(path: str) -> None:
    database = await open_database(f"sqlite:///{path}")
    assert isinstance(database, SqliteDatabase)
    turnstile = Turnstile(path)
    with turnstile:
        task = lazily(database, "x")
        other = asyncio.create_task(database.write(uploads.create, "y", "a", "me", "sha256"))
        await asyncio.sleep(0.02)
        closing = asyncio.create_task(database.close())
        await asyncio.sleep(0.02)
    await asyncio.gather(task, other, closing)
    turnstile.close()


async def test_the_shortcut_leaves_no_transaction_behind(
    database: SqliteDatabase, path: str
) -> None:
    async def fail(tx: Transaction) -> None:
        await uploads.create(tx, "x", "a", "me", "sha256")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await database.write_lazily(fail)
    assert not await session(database, "x")
    turnstile = Turnstile(path)
    assert turnstile.enter_at_once()
    turnstile.leave()
    turnstile.close()
    await database.write_lazily(uploads.create, "y", "a", "me", "sha256")
    assert await session(database, "y")


async def test_many_lazy_writes_leave_the_log_small(database: SqliteDatabase, path: str) -> None:
    for number in range(shortcut.IN_A_ROW * 30):
        await database.write_lazily(uploads.create, f"{number}", "a", "me", "sha256")
    assert _size(path + "-wal") < 12_000_000


def _size(path: str) -> int:
    return Path(path).stat().st_size
