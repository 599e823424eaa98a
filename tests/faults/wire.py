"""Requests on sockets of their own: whole answers, or what came of them."""

import asyncio
from dataclasses import dataclass
from typing import Final

PATIENCE: Final = 6.0


class Broken(Exception):
    """The line broke; `got` is what came of the body."""

    def __init__(self, got: bytes = b"") -> None:
        super().__init__()
        self.got = got


@dataclass(frozen=True)
class Reply:
    """A whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def offset(self) -> int:
        """The length that a session tells."""
        last = int(self.headers["range"].removeprefix("0-"))
        return last + 1 if last else 0


async def ask(
    port: int,
    method: str,
    path: str,
    body: bytes = b"",
    patience: float = PATIENCE,
    /,
    **headers: str,
) -> Reply:
    """One request on a connection of its own; raise Broken unless the answer is whole."""
    fields = {"Host": "a", "Content-Length": str(len(body)), **headers}
    head = [
        f"{method} {path} HTTP/1.1",
        *(f"{k.replace('_', '-')}: {v}" for k, v in fields.items()),
    ]
    text = "\r\n".join(head).encode() + b"\r\n\r\n" + body
    try:
        async with asyncio.timeout(patience):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                sending = asyncio.create_task(send(writer, text))
                try:
                    return await read_reply(reader, method)
                finally:
                    sending.cancel()
                    await asyncio.gather(sending, return_exceptions=True)
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        raise Broken from error


async def send(writer: asyncio.StreamWriter, text: bytes) -> None:
    """In pieces, as a client does."""
    for start in range(0, len(text), 16_384):
        writer.write(text[start : start + 16_384])
        await writer.drain()


async def read_reply(reader: asyncio.StreamReader, method: str) -> Reply:
    """Raise Broken with what came of the body."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
    headers = {key.lower(): value for key, _, value in (line.partition(": ") for line in lines)}
    status = int(first.split(" ")[1])
    size = 0 if method == "HEAD" or status == 204 else int(headers.get("content-length", 0))
    body = b""
    try:
        while len(body) < size:
            piece = await reader.read(size - len(body))
            if not piece:
                raise Broken(body)
            body += piece
    except (OSError, asyncio.CancelledError) as error:
        raise Broken(body) from error
    return Reply(status, headers, body)
