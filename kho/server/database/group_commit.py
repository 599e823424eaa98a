"""Group commit: one thread of the process writes, and one flush to disk serves all who wait.

write() ─┐                       ┌ SAVEPOINT, work, RELEASE ┐
write() ─┼─> queue ─> turnstile, BEGIN IMMEDIATE  ...  COMMIT (one fsync), all resolved
write() ─┘                       └ SAVEPOINT, work, ROLLBACK TO: one caller's exception

On a full disk the works that make room run once more, on the room that was kept back for them.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Final, Generic, TypeVar

from kho.oci.errors import InsufficientStorage, Unavailable
from kho.server.database.engine import Transaction
from kho.server.database.reserve import Reserve
from kho.server.database.sqlite_connection import SqliteTransaction, connect, sqlite3, translated
from kho.server.database.turnstile import Turnstile

T = TypeVar("T")

BATCH: Final = 128
PATIENCE_SECONDS: Final = 5.0


class _Handed(Generic[T]):
    """One work that a caller waits for."""

    __slots__ = ("error", "future", "makes_room", "result", "work")

    def __init__(
        self,
        work: Callable[[Transaction], Awaitable[T]],
        future: asyncio.Future[T],
        *,
        makes_room: bool,
    ) -> None:
        self.work = work
        self.future = future
        self.makes_room = makes_room
        self.result: T
        self.error: BaseException | None = None

    def resolve(self) -> None:
        if self.future.done():  # cancelled, or out of patience
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


class GroupCommit:
    """The writing thread of one process; made and used on one event loop."""

    def __init__(self, path: str) -> None:
        self._connection = connect(path)
        self._turnstile = Turnstile(path)
        self._reserve = Reserve(path)
        self._transaction = SqliteTransaction(self._connection)
        self._queue: SimpleQueue[_Handed[Any] | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._closing = False
        self._thread = threading.Thread(target=self._serve, name="group-commit", daemon=True)
        self._thread.start()

    async def submit(
        self, work: Callable[[Transaction], Awaitable[T]], *, makes_room: bool = False
    ) -> T:
        """Run `work` in the next transaction; its result, once that is on disk.

        Work that `makes_room` may use what is kept back for it on a full disk.
        """
        if self._closing:
            raise Unavailable("the database is closing")
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(_Handed(work, future, makes_room=makes_room))
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await future
        except TimeoutError:
            raise Unavailable("the database is locked") from None

    async def close(self) -> None:
        """Commit what was handed over, end the thread, close the connection."""
        if not self._closing:
            self._closing = True
            self._queue.put(None)
        await asyncio.to_thread(self._thread.join, PATIENCE_SECONDS)

    def _serve(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = self._commit(first)
            try:
                self._loop.call_soon_threadsafe(_resolve, batch)
            except RuntimeError:  # the loop is closed: nobody waits any more
                break
            del first, batch  # results are not kept alive until the next write
        self._connection.close()
        self._turnstile.close()
        self._reserve.close()

    def _commit(self, first: _Handed[Any]) -> list[_Handed[Any]]:
        """One transaction for `first` and all who wait; whom to tell afterwards."""
        batch: list[_Handed[Any]] = []
        try:
            with self._turnstile:
                self._transact(self._waiting(first), batch)
                self._make_room(batch)
                self._reserve.keep()
        except Exception as error:  # noqa: BLE001 - the thread must live on
            self._abandon(batch or [first], error)
        return batch or [first]

    def _transact(self, works: Iterable[_Handed[Any]], batch: list[_Handed[Any]]) -> None:
        """Run `works` in one transaction; they are added to `batch`, each with what became of it.

        Raises only what comes before the first of them.
        """
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for handed in works:
                batch.append(handed)
                self._run(handed)
            self._connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - the thread must live on
            self._abandon(batch, error)

    def _make_room(self, batch: list[_Handed[Any]]) -> None:
        """Run what the full disk hindered, and makes room, once more on the reserve."""
        again = [
            handed
            for handed in batch
            if handed.makes_room and isinstance(handed.error, InsufficientStorage)
        ]
        if not again:
            return
        try:
            if not self._reserve.give():
                return
            for handed in again:
                handed.error = None
            self._transact(again, [])
        except Exception as error:  # noqa: BLE001 - the others of the batch are on disk
            self._abandon(again, error)
        # The log has grown by what was given: it goes into the database and is cut off.
        with suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _waiting(self, first: _Handed[Any]) -> Iterator[_Handed[Any]]:
        """Yield `first` and whoever came meanwhile, without those who have given up."""
        handed: _Handed[Any] | None = first
        for _ in range(BATCH):
            if handed is None:
                break
            if not handed.future.done():
                yield handed
            try:
                handed = self._queue.get_nowait()
            except Empty:
                return
        self._queue.put(handed)  # for the next transaction; None is the end, for `_serve`

    def _run(self, handed: _Handed[Any]) -> None:
        """Drive one work to its end; its failure undoes its own statements only."""
        execute = self._connection.execute
        execute("SAVEPOINT work")
        try:
            handed.result = _drive(handed.work(self._transaction))
        except BaseException as error:
            if not self._connection.in_transaction:
                raise  # SQLite itself gave the whole transaction up (disk full, I/O error)
            handed.error = translated(error) if isinstance(error, sqlite3.Error) else error
            execute("ROLLBACK TO work")
        execute("RELEASE work")

    def _abandon(self, batch: list[_Handed[Any]], error: Exception) -> None:
        """Nothing of this transaction is kept, so everybody hears of it, whatever he had got."""
        if self._connection.in_transaction:
            self._connection.rollback()
        for handed in batch:
            if isinstance(error, sqlite3.Error):
                handed.error = translated(error)
            else:
                handed.error = Unavailable(f"the transaction failed: {error}")
            handed.error.__cause__ = error


def _drive(coroutine: Awaitable[T]) -> T:
    steps = coroutine.__await__()
    try:
        next(steps)
    except StopIteration as stop:
        result: T = stop.value
        return result
    steps.close()
    raise RuntimeError("the work of a transaction may wait for nothing but its transaction")


def _resolve(batch: list[_Handed[Any]]) -> None:
    for handed in batch:
        handed.resolve()
