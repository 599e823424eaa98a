"""SQLite: reads inline on the event loop, writes by group commit."""

from collections.abc import Awaitable, Callable
from typing import Concatenate, Final, ParamSpec, TypeVar

from sqlalchemy import func, select, table

from kho.oci.errors import Unavailable
from kho.server.database.drivers.group_commit import GroupCommit
from kho.server.database.drivers.shortcut import Shortcut
from kho.server.database.drivers.sqlite_connection import (
    SqliteTransaction,
    connect,
    sqlite3,
    translated,
)
from kho.server.database.drivers.wal_index import find_head
from kho.server.database.engine import Transaction
from kho.server.database.statement import Statement

P = ParamSpec("P")
T = TypeVar("T")

# The first transaction maps the WAL-index.
_LOOK: Final = "SELECT 1 FROM sqlite_master"
_PING: Final = Statement(select(func.count()).select_from(table("alembic_version")))


class SqliteDatabase:
    """A database file, opened by one process: one connection reads, one writes."""

    dialect: Final = "sqlite"

    def __init__(self, path: str) -> None:
        """Open the file, which must exist; call on the event loop that will use it."""
        self._connection = connect(path, read_only=True)
        self._reader = SqliteTransaction(self._connection)
        self._connection.execute(_LOOK).fetchone()
        self._head = find_head(path)
        self._writer = GroupCommit(path)
        self._shortcut = Shortcut(path)
        self._closed = False

    def edition(self) -> bytes | None:
        """The head of the WAL-index."""
        return None if self._head is None else bytes(self._head)

    async def read(
        self,
        work: Callable[Concatenate[Transaction, P], Awaitable[T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run `work` on committed rows; it never suspends."""
        if self._closed:
            raise Unavailable("the database is closing")
        try:
            return await work(self._reader, *args, **kwargs)
        except sqlite3.Error as error:
            told = translated(error)
            if told is error:
                raise
            raise told from error

    async def write(
        self,
        work: Callable[Concatenate[Transaction, P], Awaitable[T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run `work` in the writing thread, in a transaction shared with other callers."""

        def bound(tx: Transaction) -> Awaitable[T]:
            return work(tx, *args, **kwargs)

        return await self._writer.submit(bound)

    async def write_lazily(
        self,
        work: Callable[Concatenate[Transaction, P], Awaitable[T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Like `write`, without a flush of its own; over when this ends, however it ends."""

        def bound(tx: Transaction) -> Awaitable[T]:
            return work(tx, *args, **kwargs)

        results: list[T] = []
        if not self._closed and self._shortcut.take(bound, results):
            return results[0]
        return await self._writer.submit(bound, lazy=True)

    async def read_settled(
        self,
        work: Callable[Concatenate[Transaction, P], Awaitable[T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """A read: no lazy write outlives its caller, and a killed process writes nothing more."""
        return await self.read(work, *args, **kwargs)

    async def remove(
        self,
        work: Callable[Concatenate[Transaction, P], Awaitable[T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Like `write`, also on a full disk, as far as the reserve goes."""

        def bound(tx: Transaction) -> Awaitable[T]:
            return work(tx, *args, **kwargs)

        return await self._writer.submit(bound, makes_room=True)

    async def ping(self) -> None:
        """Raise Unavailable unless a query is answered."""
        await self.read(_ping)

    async def close(self) -> None:
        """Commit what was handed over, then close both connections."""
        self._closed = True
        self._head = None
        await self._writer.close()
        self._shortcut.close()
        self._connection.close()


async def _ping(tx: Transaction) -> None:
    await tx.one(_PING)
