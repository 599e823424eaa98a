"""A TCP line between client and server that fails once, at a given byte of one direction."""

import asyncio
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Self

PIECE: Final = 4096
DRIPS: Final = 4
KINDS: Final = ("close", "reset", "half-open", "drip", "again")


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens before byte `at` of what goes up to the server, or down to the client.

    `close` and `reset` end both sides; `half-open` delivers nothing more and says nothing; `drip`
    goes on with a byte a second, then ends; `again` lets all pass, and delivers it twice.
    """

    kind: str
    up: bool
    at: int


class Line:
    """`async with Line(port, fault) as line`: one connection to `line.port` reaches the server."""

    def __init__(self, target: int, fault: Fault) -> None:
        self._target = target
        self._fault = fault
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._sent = bytearray()
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()
        if self._fault.kind == "again" and self._sent:
            await self._deliver_again()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upper, up = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers += [writer, up]
        self._tasks += [
            asyncio.create_task(self._pump(reader, up, up=True)),
            asyncio.create_task(self._pump(upper, writer, up=False)),
        ]

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, up: bool
    ) -> None:
        passed = 0
        with suppress(OSError):
            while data := await reader.read(PIECE):
                if up:
                    self._sent += data
                hit = self._fault.up == up and self._fault.kind != "again"
                if hit and passed + len(data) > self._fault.at:
                    await self._fail(writer, data, self._fault.at - passed)
                    return
                passed += len(data)
                writer.write(data)
                await writer.drain()
            writer.write_eof()

    async def _fail(self, writer: asyncio.StreamWriter, data: bytes, keep: int) -> None:
        writer.write(data[:keep])
        await writer.drain()
        if self._fault.kind == "half-open":
            await asyncio.Event().wait()
        if self._fault.kind == "drip":
            for byte in data[keep : keep + DRIPS]:
                await asyncio.sleep(1)
                writer.write(bytes((byte,)))
                await writer.drain()
        for one in self._writers:
            if one.transport.is_closing():
                continue  # of an earlier connection
            if self._fault.kind == "reset":
                found = one.get_extra_info("socket")
                found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one.transport.abort()
            else:
                one.close()

    async def _deliver_again(self) -> None:
        """The same bytes on another connection; nobody hears the answer."""
        with suppress(OSError, TimeoutError):
            reader, writer = await asyncio.open_connection("127.0.0.1", self._target)
            try:
                async with asyncio.timeout(10):
                    writer.write(self._sent)
                    await writer.drain()
                    await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                return
            finally:
                writer.close()
