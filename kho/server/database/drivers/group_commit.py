"""Group commit: one thread of the process writes, and one flush to disk serves all who wait.

write() ─┐                       ┌ SAVEPOINT, work, RELEASE ┐
write() ─┼─> queue ─> turnstile, BEGIN IMMEDIATE  ...  COMMIT (one fsync), all resolved
write() ─┘                       └ SAVEPOINT, work, ROLLBACK TO: one caller's exception

A transaction of lazy works alone is not flushed: it is in the log, where a kill of the process
changes nothing, and the flush of the next other one takes it along.

On a full disk the works that make room run once more, on the room that was kept back for them.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Final, Generic, TypeVar

from kho.oci.errors import InsufficientStorage, Unavailable
from kho.server import waking
from kho.server.database.drivers.reserve import Reserve
from kho.server.database.drivers.sqlite_connection import (
    SqliteTransaction,
    connect,
    drive,
    sqlite3,
    translated,
)
from kho.server.database.drivers.turnstile import Turnstile
from kho.server.database.engine import Transaction

T = TypeVar("T")

BATCH: Final = 128
PATIENCE_SECONDS: Final = 5.0


class _Handed(Generic[T]):
    """One work that a caller waits for."""

    __slots__ = ("_mine", "error", "future", "lazy", "makes_room", "over", "result", "work")

    def __init__(
        self,
        work: Callable[[Transaction], Awaitable[T]],
        future: asyncio.Future[T],
        *,
        makes_room: bool,
        lazy: bool,
    ) -> None:
        self.work = work
        self.future = future
        self.makes_room = makes_room
        self.lazy = lazy
        self.over = asyncio.Event()
        self.result: T
        self.error: BaseException | None = None
        self._mine = threading.Lock()

    def claim(self) -> bool:
        """True for the first who asks: the thread, to run it, or the caller, to take it back."""
        return self._mine.acquire(blocking=False)

    def give_up(self) -> None:
        """Tell the caller that it took too long; of lazy work only when it will never begin."""
        if (self.claim() or not self.lazy) and not self.future.done():
            self.future.set_exception(Unavailable("the database is locked"))

    async def settled(self) -> None:
        """Return once the work is over, however often this is cancelled."""
        cancelled = None
        while not self.over.is_set():
            try:
                await self.over.wait()
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled

    def resolve(self) -> None:
        self.over.set()
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
        self._flushing = True
        self._ended = False
        self._line: deque[_Handed[Any]] = deque()  # taken from the queue, by the thread
        self._thread = threading.Thread(target=self._run_thread, name="group-commit", daemon=True)
        self._thread.start()

    async def submit(
        self,
        work: Callable[[Transaction], Awaitable[T]],
        *,
        makes_room: bool = False,
        lazy: bool = False,
    ) -> T:
        """Run `work` in the next transaction; its result, once that is on disk.

        Work that `makes_room` may use what is kept back for it on a full disk. `lazy` work is
        committed, but perhaps not flushed; it is over when this ends, also by cancellation.
        """
        if self._closing:
            raise Unavailable("the database is closing")
        future: asyncio.Future[T] = self._loop.create_future()
        handed = _Handed(work, future, makes_room=makes_room, lazy=lazy)
        self._queue.put(handed)
        patience = self._loop.call_later(PATIENCE_SECONDS, handed.give_up)
        try:
            return await future
        except asyncio.CancelledError:
            if not handed.claim() and lazy:
                await handed.settled()
            raise
        finally:
            patience.cancel()

    async def close(self) -> None:
        """Commit what was handed over, end the thread, close the connection."""
        if not self._closing:
            self._closing = True
            self._queue.put(None)
        await asyncio.to_thread(self._thread.join, PATIENCE_SECONDS)

    def _run_thread(self) -> None:
        try:
            self._serve()
        except MemoryError:  # even for telling that there is none
            waking.end()

    def _serve(self) -> None:
        while self._somebody_waits():
            batch = self._commit()
            if not waking.wake(self._loop, _resolve, batch):
                break  # the loop is closed: nobody waits any more
            del batch  # results are not kept alive until the next write
        self._connection.close()
        self._turnstile.close()
        self._reserve.close()

    def _somebody_waits(self) -> bool:
        """Wait for the next one; False at the end."""
        if not self._line and not self._ended:
            self._line_up(self._queue.get())
        return bool(self._line)

    def _line_up(self, handed: _Handed[Any] | None) -> None:
        if handed is None:
            self._ended = True
        else:
            self._line.append(handed)

    def _fill_line(self) -> None:
        with suppress(Empty):
            while not self._ended:
                self._line_up(self._queue.get_nowait())

    def _commit(self) -> list[_Handed[Any]]:
        """One transaction for all who wait; whom to tell afterwards."""
        batch: list[_Handed[Any]] = []
        try:
            with self._turnstile:
                self._fill_line()
                durable = any(not handed.lazy for handed in self._line)
                self._flush_commits(durable)
                self._transact(self._waiting(durable=durable), batch)
                self._make_room(batch)
                self._reserve.keep()
        except Exception as error:  # noqa: BLE001 - the thread must live on
            self._abandon(batch or [self._line.popleft()], error)
        return batch

    def _flush_commits(self, durable: bool) -> None:
        """Whether COMMIT flushes the log: all of it, with what lazy works left there before."""
        if durable != self._flushing:
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._flushing = durable

    def _transact(self, works: Iterable[_Handed[Any]], batch: list[_Handed[Any]]) -> None:
        """Run `works` in one transaction; they are added to `batch`, each with what became of it.

        Raises only what comes before the first of them.
        """
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for handed in works:
                batch.append(handed)
                self._run(handed, alone=len(batch) == 1)
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

    def _waiting(self, *, durable: bool) -> Iterator[_Handed[Any]]:
        """Yield who waits and whoever comes meanwhile, without those who have given up.

        What must be flushed is left for the next transaction when this one will not be.
        """
        for _ in range(BATCH):
            if not self._line:
                self._fill_line()
            if not self._line or not (durable or self._line[0].lazy):
                return
            handed = self._line.popleft()
            if handed.claim():
                yield handed

    def _run(self, handed: _Handed[Any], *, alone: bool) -> None:
        """Drive one work to its end; its failure undoes its own statements only.

        The first of a transaction is `alone` in it so far, and needs no savepoint.
        """
        execute = self._connection.execute
        if not alone:
            execute("SAVEPOINT work")
        try:
            handed.result = drive(handed.work(self._transaction))
        except BaseException as error:
            if not self._connection.in_transaction:
                raise  # SQLite itself gave the whole transaction up (disk full, I/O error)
            handed.error = translated(error) if isinstance(error, sqlite3.Error) else error
            execute("ROLLBACK TO work" if not alone else "ROLLBACK")
            if alone:
                execute("BEGIN IMMEDIATE")
        if not alone:
            execute("RELEASE work")

    def _abandon(self, batch: list[_Handed[Any]], error: Exception) -> None:
        """Nothing of this transaction is kept, so everybody hears of it, whatever he had got."""
        if self._connection.in_transaction:
            self._connection.rollback()
        for handed in batch:
            if isinstance(error, sqlite3.Error):
                handed.error = translated(error)
            else:
                handed.error = Unavailable("the transaction failed: %(error)s", error=error)
            handed.error.__cause__ = error


def _resolve(batch: list[_Handed[Any]]) -> None:
    for handed in batch:
        handed.resolve()
