"""Threads that wait for the disk in place of the event loop.

    run() ──► queue ──► 16 threads ──► call_soon_threadsafe ──► run() goes on

Not the standard library's pool: without memory that one stops the event loop itself. It starts
threads when it needs them, and waits for each to have begun, which one that finds no memory never
does; and it shares locks with the loop that a thread leaves locked when leaving finds no memory.
Here all threads are there from the start, and nothing but `close` ends them.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Final, Generic, TypeVar

from kho.server import waking
from kho.server.storage.files import as_registry_error

T = TypeVar("T")

COUNT: Final = 16
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
        """Call, in a thread."""
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
    """The threads in which files are flushed, hashed and read when not in the page cache."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[_Job[Any] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        usual = threading.stack_size(STACK)
        try:
            for number in range(COUNT):
                thread = threading.Thread(
                    target=_serve, args=(self._queue,), name=f"storage_{number}", daemon=True
                )
                thread.start()
                self._threads.append(thread)
        except RuntimeError:
            if not self._threads:
                raise
            # The system allows no more: fewer do.
        finally:
            threading.stack_size(usual)

    async def run(self, function: Callable[..., T], *args: object) -> T:
        """Run and turn the disk's errors into answers."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put(_Job(function, args, future))
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            # The caller is gone, but the thread still uses the file: wait before it is closed.
            await asyncio.wait([future])
            raise
        except OSError as error:
            raise as_registry_error(error) from error

    def close(self) -> None:
        """Wait for running work."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()


def _serve(queue: SimpleQueue[_Job[Any] | None]) -> None:
    """Work until told to end. Any call may fail for want of memory; none ends the thread."""
    job: _Job[Any] | None = None
    while True:
        try:
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
