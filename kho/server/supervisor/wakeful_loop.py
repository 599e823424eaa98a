"""The event loop of a worker: no wake-up is lost for want of memory."""

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import TypeVarTuple

import uvloop

from kho.server import waking

Ts = TypeVarTuple("Ts")


class WakefulLoop(uvloop.Loop):
    """Granian does not look whether its wake-ups arrive."""

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Like its base's, once there is memory."""
        plain = super().call_soon_threadsafe
        try:
            return plain(callback, *args, context=context)
        except MemoryError:
            return waking.patiently(lambda: plain(callback, *args, context=context))


def new_loop() -> asyncio.AbstractEventLoop:
    """Make the loop of this thread; the process ends when it fails for want of memory."""
    loop = WakefulLoop()
    waking.guard(loop)
    asyncio.set_event_loop(loop)
    return loop
