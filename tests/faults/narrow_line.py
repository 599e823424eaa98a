"""A slow line between client and server that counts what passes, and calls when enough has.

client ─► its kernel ─► line: counts ─► khod        `passed["up"]`
client ◄─ its kernel ◄─ line: counts ◄─ khod        `passed["down"]`, of which the client's
          `unread`                                  kernel has `unread` bytes in its hands
"""

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

PIECE: Final = 16 * 1024
# A line is no store: what it has taken is soon through, also after the client's end.
_BUFFER: Final = 2 * PIECE
_SOCKETS: Final = Path("/proc/net/tcp")


class NarrowLine:
    """`async with NarrowLine(port, rate) as line`: any number of connections to `line.port`.

    All of them together carry `rate` bytes a second in each direction.
    """

    def __init__(self, target: int, rate: float) -> None:
        self._target = target
        self._rate = rate
        self._free = {"up": 0.0, "down": 0.0}
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0
        # Bytes that were taken from the client, and that were handed to it.
        self.passed = {"up": 0, "down": 0}
        self._mark: tuple[str, int, Callable[[], None]] | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=PIECE)
        listening = self._server.sockets[0]
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)  # whoever comes has it
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        self.port = listening.getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()

    def call_after(self, way: str, count: int, act: Callable[[], None]) -> None:
        """Call once, when so many more bytes have passed up or down."""
        self._mark = way, self.passed[way] + count, act

    @property
    def unread(self) -> int:
        """Bytes that passed down, and that no client has read from its kernel so far."""
        rows = (row.split() for row in _SOCKETS.read_text().splitlines()[1:])
        # The peer's address, then what waits to be sent and to be read: all hexadecimal.
        return sum(
            int(waiting.partition(":")[2], 16)
            for _, _, peer, _, waiting, *_ in rows
            if int(peer.partition(":")[2], 16) == self.port
        )

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upper, up = await asyncio.open_connection("127.0.0.1", self._target, limit=PIECE)
        line = up.get_extra_info("socket")
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        for one in (writer, up):
            one.transport.set_write_buffer_limits(0)  # what has passed is with the kernel
            self._writers.add(one)
        both = [
            asyncio.create_task(self._pump(reader, up, "up")),
            asyncio.create_task(self._pump(upper, writer, "down")),
        ]
        self._tasks |= set(both)
        # Whoever ends first ends both: a killed client is gone at once also for the server.
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for task in both:
            task.cancel()
        await asyncio.gather(*both, return_exceptions=True)
        for one in (writer, up):
            one.close()
        self._tasks -= set(both)
        self._writers -= {writer, up}

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(PIECE):
                await self._turn(way, len(data))
                writer.write(data)
                await writer.drain()
                self.passed[way] += len(data)
                if self._mark is not None and self._mark[0] == way:
                    _, count, act = self._mark
                    if self.passed[way] >= count:
                        self._mark = None
                        act()

    async def _turn(self, way: str, count: int) -> None:
        now = time.monotonic()
        self._free[way] = max(self._free[way], now) + count / self._rate
        await asyncio.sleep(self._free[way] - now)
