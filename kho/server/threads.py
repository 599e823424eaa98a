"""Threads that wait for disks, hashes and other programs in place of the event loop.

    submit() ──► queue ──► so many threads ──► call_soon_threadsafe ──► the caller goes on

Not the standard library's pool: without memory that one stops the event loop itself. It starts
threads when it needs them, and waits for each to have begun, which one that finds no memory never
does; and it shares locks with the loop that a thread leaves locked when leaving finds no memory.
Here all threads are there from the start, and nothing but `close` ends them. So whoever owns some
makes them when the worker begins, never in a request.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Final, Generic, TypeVar, TypeVarTuple

from kho.server import waking

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# Of eight megabytes each, as is usual, they would take more than all the rest of a worker does
# where the memory that a process may ask for is limited.
STACK: Final = 1024 * 1024


class _Job(Generic[T]):
    """One call, and what became of it."""

    __slots__ = ("_args", "_error", "_function", "_future", "_result", "loop")

    def __init__(
        self, function: Callable[..., T], args: tuple[object, ...], future: asyncio.Future[T]
    ) -> None:
        self._function = function
        self._args = args
        self._future = future
        self._result: T
        # Until it has run: there may not even be the memory to begin.
        self._error: BaseException | None = MemoryError()
        self.loop = future.get_loop()

    def run(self) -> None:
        """Call, in a thread; not for who has gone while the job was in the queue."""
        if self._future.cancelled():
            return
        try:
            self._result = self._function(*self._args)
            self._error = None
        except BaseException as error:  # noqa: BLE001  it is the caller's
            self._error = error

    def resolve(self) -> None:
        """Tell the caller, on the loop."""
        if self._future.done():
            return
        if self._error is None:
            self._future.set_result(self._result)
        else:
            self._future.set_exception(self._error)


class Threads:
    """So many threads, in each of which `begin` is called first. RuntimeError: none is allowed."""

    def __init__(self, name: str, count: int, begin: Callable[[], object] = lambda: None) -> None:
        self._queue: SimpleQueue[_Job[Any] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        usual = threading.stack_size(STACK)
        try:
            for number in range(count):
                thread = threading.Thread(
                    target=_serve, args=(self._queue, begin), name=f"{name}_{number}", daemon=True
                )
                thread.start()
                self._threads.append(thread)
        except RuntimeError:
            if not self._threads:
                raise
            # The system allows no more: fewer do.
        finally:
            threading.stack_size(usual)

    def submit(self, function: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """What the call will give or raise. Once begun it goes on, even if that is cancelled."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put(_Job(function, args, future))
        return future

    async def run(self, function: Callable[[*Ts], T], *args: *Ts) -> T:
        """Call and wait for the end, also when cancelled: the thread uses what the caller has."""
        future = self.submit(function, *args)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            raise

    def close(self) -> None:
        """Wait for running work."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()


class FileThreads(Threads):
    """For the small files that an operator names; kept in the worker's memory."""

    def __init__(self) -> None:
        super().__init__("files", 1)


def _serve(queue: SimpleQueue[_Job[Any] | None], begin: Callable[[], object]) -> None:
    """Work until told to end. Any call may fail for want of memory; none ends the thread."""
    begun = False
    job: _Job[Any] | None = None
    while True:
        try:
            if not begun:
                begin()
                begun = True
            if job is None:
                job = queue.get()
                if job is None:
                    return
                with suppress(MemoryError):
                    job.run()
            waking.wake(job.loop, job.resolve)
            job = None
        except MemoryError:
            time.sleep(waking.PAUSE_SECONDS)
