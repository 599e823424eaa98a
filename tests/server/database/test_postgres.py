"""PostgreSQL: a server that hangs, dies and comes back; races that are lost and run again."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from kho.oci.errors import InsufficientStorage, Unavailable
from kho.server.database import blobs, repositories
from kho.server.database.drivers import postgres
from kho.server.database.drivers.postgres import PostgresDatabase, translated
from kho.server.database.engine import Database, Transaction
from kho.server.database.errors import ConstraintViolated
from kho.server.database.open import migrate, open_database
from tests.contracts.database.conftest import EMPTY
from tests.contracts.database.samples import digest, put_blob
from tests.postgres import PostgresServer


@pytest.fixture(scope="module")
def fragile(postgres: PostgresServer) -> Iterator[PostgresServer]:  # noqa: ARG001
    """A server of this module's own, to be stopped and killed."""
    with PostgresServer() as server:
        migrate(server.create("kho"))
        yield server


@pytest.fixture
async def database(fragile: PostgresServer) -> AsyncIterator[PostgresDatabase]:
    fragile.sql(EMPTY, database="kho")
    opened = await open_database(fragile.url("kho"))
    assert isinstance(opened, PostgresDatabase)
    yield opened
    await opened.close()


async def _seconds_until_unavailable(database: Database) -> float:
    start = time.monotonic()
    with pytest.raises(Unavailable):
        await database.write(put_blob, "a", 1)
    return time.monotonic() - start


async def test_a_server_that_hangs(database: PostgresDatabase, fragile: PostgresServer) -> None:
    await database.write(put_blob, "a", 1)
    fragile.pause()
    try:
        start = time.monotonic()
        calls = [database.read(repositories.find, "a") for _ in range(20)]
        calls += [database.write(repositories.ensure, "a") for _ in range(20)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert time.monotonic() - start < 6
        assert all(isinstance(result, Unavailable) for result in results)
    finally:
        fragile.resume()
    start = time.monotonic()
    assert await database.read(blobs.size, "a", digest(1)) == 10
    assert await database.write(put_blob, "a", 2) == digest(2)
    assert time.monotonic() - start < 2


async def test_a_server_that_is_killed_and_restarted(
    database: PostgresDatabase, fragile: PostgresServer
) -> None:
    await asyncio.gather(*(database.write(put_blob, "a", number) for number in range(20)))
    fragile.stop()
    try:
        assert await _seconds_until_unavailable(database) < 1
        with pytest.raises(Unavailable):
            await database.ping()
    finally:
        fragile.start()
    start = time.monotonic()
    await asyncio.gather(*(database.write(put_blob, "a", number) for number in range(20)))
    assert time.monotonic() - start < 5


async def test_a_connection_that_breaks_is_replaced_unnoticed(
    database: PostgresDatabase, fragile: PostgresServer
) -> None:
    """Also between the statements of a write, which then runs once more."""
    runs = 0

    async def work(tx: Transaction) -> int:
        nonlocal runs
        runs += 1
        found = await repositories.ensure(tx, "a")
        if runs == 1:
            await asyncio.to_thread(_end_sessions, fragile)
        await blobs.put(tx, digest(1), 1)
        return found

    assert await database.write(work) > 0
    assert runs == 2
    _end_sessions(fragile)
    assert await database.read(blobs.size_anywhere, digest(1)) == 1


def _end_sessions(server: PostgresServer) -> None:
    server.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'khod'"
    )


async def test_opening_while_the_server_is_down(fragile: PostgresServer) -> None:
    fragile.stop()
    try:
        database = await open_database(fragile.url("kho"))
        with pytest.raises(Unavailable):
            await database.ping()
    finally:
        fragile.start()
    await database.ping()
    await database.close()


async def test_a_deadlock_is_run_again(database: PostgresDatabase) -> None:
    await database.write(put_blob, "a", 1)
    await database.write(put_blob, "a", 2)
    both = asyncio.Barrier(2)
    runs = 0

    async def unlink(tx: Transaction, first: int, second: int) -> None:
        nonlocal runs
        runs += 1
        await blobs.unlink(tx, "a", digest(first))
        if runs <= 2:
            await both.wait()
        await blobs.unlink(tx, "a", digest(second))

    await asyncio.gather(database.write(unlink, 1, 2), database.write(unlink, 2, 1))
    assert runs == 3
    assert await database.read(blobs.size, "a", digest(2)) is None


async def test_a_violation_that_stays_is_raised(database: PostgresDatabase) -> None:
    runs = 0

    async def work(tx: Transaction) -> None:
        nonlocal runs
        runs += 1
        await blobs.link(tx, 12345, digest(1))

    with pytest.raises(ConstraintViolated):
        await database.write(work)
    assert runs == postgres.RACES


async def test_a_swallowed_error_does_not_pass_for_a_commit(database: PostgresDatabase) -> None:
    async def work(tx: Transaction) -> None:
        await repositories.ensure(tx, "a")
        try:
            await blobs.link(tx, 12345, digest(1))
        except asyncpg.ForeignKeyViolationError:
            return

    with pytest.raises(RuntimeError, match="went on"):
        await database.write(work)
    assert await database.read(repositories.find, "a") is None


async def test_cancelled_callers_leave_no_connection_behind(
    database: PostgresDatabase, fragile: PostgresServer
) -> None:
    async def sleep(tx: Transaction) -> None:
        await repositories.ensure(tx, "a")
        await asyncio.sleep(60)

    for _ in range(3):
        calls = [asyncio.create_task(database.write(sleep)) for _ in range(12)]
        await asyncio.sleep(0.1)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    async with asyncio.timeout(2):
        await database.write(repositories.ensure, "a")
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'khod'"
    assert int(fragile.sql(query)) <= postgres.CONNECTIONS


async def test_never_more_connections_than_allowed(fragile: PostgresServer) -> None:
    database = await open_database(fragile.url("kho"), connections=3)
    await asyncio.gather(*(database.write(put_blob, "a", number) for number in range(50)))
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'khod'"
    assert 1 <= int(fragile.sql(query)) <= 3
    await database.close()


async def test_closing_while_the_server_hangs(fragile: PostgresServer) -> None:
    database = await open_database(fragile.url("kho"))
    await database.ping()
    fragile.pause()
    try:
        start = time.monotonic()
        await database.close()
        assert time.monotonic() - start < 6
    finally:
        fragile.resume()


@pytest.mark.parametrize(
    "error,expected",
    [
        (asyncpg.DiskFullError("x"), InsufficientStorage),
        (asyncpg.TooManyConnectionsError("x"), Unavailable),
        (asyncpg.CannotConnectNowError("x"), Unavailable),
        (asyncpg.ReadOnlySQLTransactionError("x"), Unavailable),
        (asyncpg.InvalidPasswordError("x"), Unavailable),
        (asyncpg.DeadlockDetectedError("x"), Unavailable),
        (ConnectionRefusedError("x"), Unavailable),
        (asyncpg.CheckViolationError("x"), ConstraintViolated),
        (asyncpg.UndefinedTableError("x"), asyncpg.UndefinedTableError),
    ],
)
def test_errors_in_our_words(error: Exception, expected: type[Exception]) -> None:
    assert isinstance(translated(error), expected)
