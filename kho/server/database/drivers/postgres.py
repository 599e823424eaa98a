"""PostgreSQL: a small pool of asyncpg connections, and what to do when one breaks.

Isolation is READ COMMITTED. Every rule that a race could break is held by the schema (unique and
foreign keys) or by a row lock that the statement itself takes, so REPEATABLE READ would only add
retries: pushes into one repository touch the same rows all the time, and nothing here derives one
row from many.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Concatenate, Final, ParamSpec, TypeAlias, TypeVar

import asyncpg
from sqlalchemy import literal_column, select

from kho.oci.errors import InsufficientStorage, Unavailable
from kho.server.database.engine import Transaction
from kho.server.database.errors import ConstraintViolated
from kho.server.database.statement import Row, Statement, Value

P = ParamSpec("P")
T = TypeVar("T")
Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"

CONNECTIONS: Final = 8
BUDGET_SECONDS: Final = 5.0  # for one read or write, with its waiting, connecting and retries
RELEASE_SECONDS: Final = 1.0
CLOSE_SECONDS: Final = 2.0
RACES: Final = 6
SETTINGS: Final = {
    "application_name": "khod",
    "jit": "off",
    "statement_timeout": "5000",
    "idle_in_transaction_session_timeout": "10000",
    "default_transaction_isolation": "read committed",
}

_LOST_RACE: Final = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.UniqueViolationError,
    asyncpg.ForeignKeyViolationError,
    asyncpg.InvalidCachedStatementError,  # a migration ran beside us
    asyncpg.OutdatedSchemaCacheError,
)
_LOST_CONNECTION: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.ReadOnlySQLTransactionError,
    ConnectionError,
)
_PING: Final = Statement(select(literal_column("1")))


class PostgresTransaction:
    """Statements on one connection; prepared once and then kept by asyncpg."""

    __slots__ = ("_connection",)
    alone: Final = False

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def one(self, statement: Statement, /, **values: Value) -> Row | None:
        """The first row."""
        compiled = statement.postgresql
        row = await self._connection.fetchrow(compiled.text, *compiled.bind(values))
        return None if row is None else tuple(row)

    async def all(self, statement: Statement, /, **values: Value) -> list[Row]:
        """Every row."""
        compiled = statement.postgresql
        return [
            tuple(row)
            for row in await self._connection.fetch(compiled.text, *compiled.bind(values))
        ]

    async def run(self, statement: Statement, /, **values: Value) -> int:
        """Execute, and count the rows that were affected."""
        compiled = statement.postgresql
        status = await self._connection.execute(compiled.text, *compiled.bind(values))
        return int(status.rpartition(" ")[2])


class PostgresDatabase:
    """A pool that connects when it must, so that a stopped server delays no start."""

    dialect: Final = "postgresql"

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool

    @classmethod
    async def open(cls, url: str, *, connections: int = CONNECTIONS) -> "PostgresDatabase":
        """Make the pool; it connects with the first query."""
        pool = await asyncpg.create_pool(
            url,
            min_size=0,
            max_size=connections,
            timeout=BUDGET_SECONDS,
            reset=_nothing,
            server_settings=SETTINGS,
            statement_cache_size=256,
        )
        return cls(pool)

    def edition(self) -> None:
        """Nothing that could be seen without asking the server."""

    async def read(
        self,
        work: Callable[Concatenate[Transaction, P], Awaitable[T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run `work`; each statement is a transaction of its own."""

        async def once() -> T:
            async with self._connected() as connection:
                return await work(PostgresTransaction(connection), *args, **kwargs)

        return await self._persist(once)

    async def write(
        self,
        work: Callable[Concatenate[Transaction, P], Awaitable[T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run `work` in a transaction, again when it lost a race."""

        async def once() -> T:
            async with self._connected() as connection:
                await connection.execute("BEGIN")
                try:
                    result = await work(PostgresTransaction(connection), *args, **kwargs)
                except Exception:
                    await connection.execute("ROLLBACK")
                    raise
                await _commit(connection)
                return result

        return await self._persist(once)

    async def write_lazily(
        self,
        work: Callable[Concatenate[Transaction, P], Awaitable[T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Like `write`: to ask for less would be one more round trip."""
        return await self.write(work, *args, **kwargs)

    async def read_settled(
        self,
        work: Callable[Concatenate[Transaction, P], Awaitable[T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """A write: the server may be busy with the COMMIT of a worker that is dead already."""
        return await self.write(work, *args, **kwargs)

    async def remove(
        self,
        work: Callable[Concatenate[Transaction, P], Awaitable[T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Like `write`: the disk is the server's affair."""
        return await self.write(work, *args, **kwargs)

    async def ping(self) -> None:
        """Raise Unavailable unless a query is answered."""
        await self.read(_ping)

    async def close(self) -> None:
        """Close the connections, by force when the server does not answer."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    async def _persist(self, once: Callable[[], Awaitable[T]]) -> T:
        """Try again after a lost race, and one time after a lost connection, within the budget."""
        losses = 0
        try:
            async with asyncio.timeout(BUDGET_SECONDS):
                for race in range(RACES):
                    try:
                        return await once()
                    except _LOST_RACE:
                        if race == RACES - 1:
                            raise
                        await asyncio.sleep(random.uniform(0, 0.002 * 2**race))  # noqa: S311
                    except _LOST_CONNECTION:
                        losses += 1
                        await self._pool.expire_connections()
                        if losses > 1:
                            raise
        except TimeoutError:
            await self._pool.expire_connections()
            raise Unavailable("the database does not answer") from None
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            told = translated(error)
            if told is error:
                raise
            raise told from error
        raise AssertionError("the last race raises")

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Connection]:
        """A connection of the pool, which is thrown away when its query did not come to an end."""
        if self._pool.is_closing():
            raise Unavailable("the database is closing")
        connection = await self._pool.acquire()
        try:
            yield connection
        except asyncio.CancelledError:
            if not _is_lost(connection):
                connection.terminate()
            raise
        except asyncpg.InterfaceError as error:
            if _is_lost(connection):
                raise asyncpg.ConnectionDoesNotExistError(str(error)) from error
            raise
        finally:
            await self._pool.release(connection, timeout=RELEASE_SECONDS)


def translated(error: Exception) -> Exception:
    """The error that a caller understands; the same one when it is a mistake of ours."""
    if isinstance(error, asyncpg.DiskFullError):
        return InsufficientStorage("the database's disk is full")
    if isinstance(error, asyncpg.IntegrityConstraintViolationError):
        return ConstraintViolated(str(error))
    if isinstance(error, asyncpg.SerializationError | asyncpg.DeadlockDetectedError):
        return Unavailable("the database is too busy")
    passing = (
        *_LOST_CONNECTION,
        asyncpg.InsufficientResourcesError,
        asyncpg.InvalidAuthorizationSpecificationError,
        asyncpg.InvalidCatalogNameError,
        OSError,
    )
    if isinstance(error, passing):
        return Unavailable("the database cannot be reached")
    return error


def _is_lost(connection: Connection) -> bool:
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:  # it broke, and the pool has taken it back
        return True


async def _commit(connection: Connection) -> None:
    # A transaction that is broken already answers COMMIT with ROLLBACK, and raises nothing.
    if await connection.execute("COMMIT") != "COMMIT":
        raise RuntimeError(
            "the work of a transaction went on after one of its statements had failed"
        )


async def _nothing(_connection: object) -> None:
    """In place of asyncpg's reset, a round trip: nothing here changes a session."""


async def _ping(tx: Transaction) -> None:
    await tx.one(_PING)
