"""Inflow: the messages of one request, in order, and asked for ahead where they come small.

`docker push` sends pieces of 32 KiB, and each costs the server two changes of thread when it is
waited for on its own. Asked for ahead they come in runs, for half of the processor time.

    receive() receive() receive() …   all under way, and answered in this order: Granian does so on
    next() ◄─┘                        a runtime of one thread, which the supervisor sets
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from kho.server.web import holding

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

AHEAD: Final = 32
# What the pieces that are asked for ahead may hold together, judged by the newest one.
AHEAD_BYTES: Final = 1024 * 1024
# A short body is over before it pays.
PATIENCE: Final = 8


class Inflow:
    """One request's receive()."""

    __slots__ = ("_ahead", "_count", "_held", "_receive", "received")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._ahead: deque[asyncio.Task[Message]] = deque()
        self._count = 0
        self._held = 0
        self.received = 0

    async def next(self) -> Message:
        """The next message."""
        message = await (self._ahead.popleft() if self._ahead else self._receive())
        body = message.get("body")
        if body:
            self.received += len(body)
        return message

    def look_ahead(self, size: int) -> None:
        """Ask for more, after a piece of `size` bytes that was not the last one."""
        self._count += 1
        if self._count < PATIENCE:
            return
        window = min(AHEAD, AHEAD_BYTES // max(size, 1))
        # By the run: in the server they wait for each other, here each would be waited for.
        if len(self._ahead) * 2 <= window:
            while len(self._ahead) < window:
                self._ahead.append(asyncio.create_task(_asked(self._receive)))

    async def hold(self, size: int) -> None:
        """Wait until so much may be kept in memory, for as long as the request lasts."""
        self._held += await holding.hold(size)

    def close(self) -> None:
        """Nobody wants what else may come."""
        while self._ahead:
            self._ahead.popleft().cancel()
        if self._held:
            holding.release(self._held)
            self._held = 0


async def _asked(receive: Receive) -> Message:
    return await receive()
