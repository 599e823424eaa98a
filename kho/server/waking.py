"""Wake-ups: what another thread tells the event loop arrives, however little memory there is.

A request that waits for a wake-up that was lost waits for ever. So where there is no memory for
one it is tried again, and when there is none for long, or it was lost in the loop itself, the
process ends: its parent starts another, clients try again, nothing acknowledged is lost.

    threads.Threads, database's writer ───► wake ─┐
    Granian ─► supervisor/wakeful_loop.py ────────┴─► patiently: call_soon_threadsafe
"""

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any, Final, NoReturn, TypeVar

T = TypeVar("T")

PAUSE_SECONDS: Final = 0.01
TRIES: Final = 500
_MESSAGE: Final = b'{"level":"error","event":"no memory to go on, the process ends"}\n'


def end() -> NoReturn:
    """End this process at once, without asking for memory."""
    try:
        os.write(2, _MESSAGE)
    finally:
        os.abort()


def patiently(
    call: Callable[[], T], end: Callable[[], NoReturn] = end, pause: float = PAUSE_SECONDS
) -> T:
    """The result of `call`, once there is memory for it; `end` after five seconds without."""
    for _ in range(TRIES):
        try:
            return call()
        except MemoryError:
            time.sleep(pause)
    end()


def wake(loop: asyncio.AbstractEventLoop, callback: Callable[..., object], *args: object) -> bool:
    """Have `loop` call `callback(*args)`, from any thread; False when the loop is closed."""
    try:
        patiently(lambda: loop.call_soon_threadsafe(callback, *args))
    except RuntimeError:
        return False
    return True


def guard(loop: asyncio.AbstractEventLoop, end: Callable[[], object] = end) -> None:
    """End the process when one of the loop's own calls fails for want of memory.

    Mostly it was to wake somebody. What fails inside a request is told to its client instead.
    """

    def failed(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if "handle" in context and isinstance(context.get("exception"), MemoryError):
            end()
        loop.default_exception_handler(context)

    loop.set_exception_handler(failed)
