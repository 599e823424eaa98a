"""Answers out: short ones whole, blobs in pieces with back-pressure and deadlines.

No server raises in send() after the client has left, so while a blob goes out a task watches
receive(). A reader that stalls costs the one piece that waits.
"""

import asyncio
from typing import Final

from kho.server.config import Config
from kho.server.web.request import BlobResponse, Receive, Response, Send

# A short blob goes out in one piece, which needs no watching.
ONE_PIECE: Final = 128 * 1024


class ClientGone(Exception):
    """The client left, stalled or drips: stop sending and cut the connection."""


async def send_response(send: Send, response: Response, *, head: bool) -> None:
    """Send an answer that is in memory."""
    await send(
        {"type": "http.response.start", "status": response.status, "headers": response.headers}
    )
    body = b"" if head else response.body
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def send_blob(
    receive: Receive, send: Send, response: BlobResponse, config: Config, *, head: bool
) -> None:
    """Send a blob or a part of it; raise ClientGone, or the reader's error, to cut it short."""
    try:
        if head:
            await send_response(send, Response(response.status, response.headers), head=True)
        elif response.stop - response.start <= ONE_PIECE:
            parts = [part async for part in response.reader.chunks(response.start, response.stop)]
            whole = Response(response.status, response.headers, b"".join(parts))
            await send_response(send, whole, head=False)
        else:
            await _stream(receive, send, response, config)
    finally:
        response.reader.close()


async def _stream(receive: Receive, send: Send, response: BlobResponse, config: Config) -> None:
    gone = asyncio.create_task(_watch(receive))
    try:
        start = {
            "type": "http.response.start",
            "status": response.status,
            "headers": response.headers,
        }
        await send(start)
        await _pieces(send, response, config, gone)
    finally:
        gone.cancel()


async def _watch(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _pieces(
    send: Send, response: BlobResponse, config: Config, gone: asyncio.Task[None]
) -> None:
    clock = asyncio.get_running_loop().time
    started, sent = clock(), 0
    async for piece in response.reader.chunks(response.start, response.stop):
        try:
            async with asyncio.timeout(config.http.idle_seconds):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        except TimeoutError as error:
            raise ClientGone("the client stopped reading") from error
        sent += len(piece)
        if gone.done():
            raise ClientGone("the client left")
        elapsed = clock() - started
        if elapsed > config.http.grace_seconds and sent < elapsed * config.http.minimum_rate:
            raise ClientGone("the client reads too slowly")
    await send({"type": "http.response.body", "body": b"", "more_body": False})
