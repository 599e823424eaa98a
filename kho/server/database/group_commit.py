"""Group commit: one thread of the process writes, and one flush to disk serves all who wait.

    write() ─┐                       ┌ SAVEPOINT, work, RELEASE ┐
    write() ─┼─> queue ─> turnstile, BEGIN IMMEDIATE  ...  COMMIT (one fsync), all futures resolved
    write() ─┘                       └ SAVEPOINT, work, ROLLBACK TO: only this caller gets its exception
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from queue import Empty, SimpleQueue
from typing import Any, Final

from kho.oci.errors import Unavailable
from kho.server.database.engine import Transaction
from kho.server.database.sqlite_connection import SqliteTransaction, connect, sqlite3, translated
from kho.server.database.turnstile import Turnstile

Work = Callable[[Transaction], Awaitable[Any]]

BATCH: Final = 128
PATIENCE_SECONDS: Final = 10.0


class _Handed:
    """One work that a caller waits for."""

    __slots__ = ("error", "future", "result", "work")

    def __init__(self, work: Work, future: asyncio.Future[Any]) -> None:
        self.work = work
        self.future = future
        self.result: Any = None
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
        self._transaction = SqliteTransaction(self._connection)
        self._queue: SimpleQueue[_Handed | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._closing = False
        self._thread = threading.Thread(target=self._serve, name="group-commit", daemon=True)
        self._thread.start()

    async def submit(self, work: Work) -> Any:
        """Run `work` in the next transaction; its result, once that is on disk."""
        if self._closing:
            raise Unavailable("the database is closing")
        future: asyncio.Future[Any] = self._loop.create_future()
        self._queue.put(_Handed(work, future))
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
        await asyncio.to_thread(self._thread.join)

    def _serve(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = self._commit(first)
            try:
                self._loop.call_soon_threadsafe(_resolve, batch)
            except RuntimeError:  # the loop is closed: nobody waits any more
                break
            del first, batch
        self._connection.close()
        self._turnstile.close()

    def _commit(self, first: _Handed) -> list[_Handed]:
        batch: list[_Handed] = []
        try:
            with self._turnstile:
                self._connection.execute("BEGIN IMMEDIATE")
                for handed in self._waiting(first):
                    batch.append(handed)
                    self._run(handed)
                self._connection.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            self._abandon(batch or [first], error)
        return batch or [first]

    def _waiting(self, first: _Handed) -> Iterator[_Handed]:
        """Yield `first` and whoever came meanwhile, without those who have given up."""
        handed: _Handed | None = first
        for _ in range(BATCH):
            if handed is None:
                self._queue.put(None)  # the end, kept for `_serve`
                return
            if not handed.future.done():
                yield handed
            try:
                handed = self._queue.get_nowait()
            except Empty:
                return
        self._queue.put(handed)

    def _run(self, handed: _Handed) -> None:
        """Drive one work to its end; its failure undoes its own statements only."""
        execute = self._connection.execute
        execute("SAVEPOINT work")
        try:
            handed.result = _drive(handed.work(self._transaction))
        except BaseException as error:  # noqa: BLE001 - whatever it is belongs to the caller
            if not self._connection.in_transaction:
                raise  # SQLite itself gave the whole transaction up (disk full, I/O error)
            handed.error = translated(error) if isinstance(error, sqlite3.Error) else error
            execute("ROLLBACK TO work")
        execute("RELEASE work")

    def _abandon(self, batch: list[_Handed], error: Exception) -> None:
        """Nothing of this transaction is kept: everybody hears so, whatever their own result was."""
        if self._connection.in_transaction:
            self._connection.rollback()
        for handed in batch:
            failure = translated(error) if isinstance(error, sqlite3.Error) else Unavailable(str(error))
            failure.__cause__ = error
            handed.error = failure


def _drive(coroutine: Awaitable[Any]) -> Any:
    steps = coroutine.__await__()
    try:
        next(steps)
    except StopIteration as stop:
        return stop.value
    raise RuntimeError("the work of a transaction may wait for nothing but its transaction")


def _resolve(batch: list[_Handed]) -> None:
    for handed in batch:
        handed.resolve()
