"""Answers out: short ones whole, blobs in pieces with back-pressure and deadlines.

No server raises in send() after the client has left, so while a blob goes out a task watches
receive(). A reader that stalls costs the one piece that waits.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from kho.server.config import Config
from kho.server.web.request import (
    Answer,
    BlobResponse,
    Message,
    Receive,
    Response,
    Send,
    StreamResponse,
)
from kho.server.web.watchdog import Watchdog

# A short body goes out in one piece, which needs no watching.
ONE_PIECE: Final = 128 * 1024


class ClientGone(Exception):
    """The client left, stalled or drips: stop sending and cut the connection."""


async def send_answer(
    receive: Receive, send: Send, answer: Answer, config: Config, *, head: bool
) -> None:
    """Send any answer; raise ClientGone, or a reader's error, to cut it short."""
    if isinstance(answer, BlobResponse):
        await _send_blob(receive, send, answer, config, head=head)
    elif isinstance(answer, StreamResponse):
        async with aclosing(answer.pieces) as pieces:
            start = Response(answer.status, answer.headers)
            if head:
                await send_response(send, start, head=True)
            else:
                await _stream(receive, send, start, pieces, config)
    elif head or len(answer.body) <= ONE_PIECE:
        await send_response(send, answer, head=head)
    else:
        await _stream(receive, send, answer, _slices(answer.body), config)


async def send_response(send: Send, response: Response, *, head: bool) -> None:
    """Send a short answer that is in memory."""
    await send(_start(response))
    body = b"" if head else response.body
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _start(response: Response) -> Message:
    return {"type": "http.response.start", "status": response.status, "headers": response.headers}


async def _slices(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), ONE_PIECE):
        yield body[start : start + ONE_PIECE]


async def _send_blob(
    receive: Receive, send: Send, response: BlobResponse, config: Config, *, head: bool
) -> None:
    short = Response(response.status, response.headers)
    try:
        pieces = response.reader.chunks(response.start, response.stop)
        if head:
            await send_response(send, short, head=True)
        elif response.stop - response.start <= ONE_PIECE:
            body = b"".join([piece async for piece in pieces])
            await send_response(send, replace(short, body=body), head=False)
        else:
            await _stream(receive, send, short, pieces, config)
    finally:
        response.reader.close()


async def _stream(
    receive: Receive, send: Send, start: Response, pieces: AsyncIterator[bytes], config: Config
) -> None:
    gone = asyncio.create_task(_watch(receive))
    try:
        await _send_pieces(send, start, pieces, config, gone)
    finally:
        gone.cancel()


async def _watch(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_pieces(
    send: Send,
    start: Response,
    pieces: AsyncIterator[bytes],
    config: Config,
    gone: asyncio.Task[None],
) -> None:
    clock = asyncio.get_running_loop().time
    waited, sent = 0.0, 0
    watchdog = Watchdog(config.http.idle_seconds)
    try:
        async for piece in pieces:
            before = clock()
            if not sent:  # not sooner: a disk that cannot be read is told as such
                await send(_start(start))
            await watchdog.wait(
                send({"type": "http.response.body", "body": piece, "more_body": True})
            )
            sent += len(piece)
            if gone.done():
                raise ClientGone("the client left")
            waited += clock() - before  # for the client, not for our disk
            if waited > config.http.grace_seconds and sent < waited * config.http.minimum_rate:
                raise ClientGone("the client reads too slowly")
    except TimeoutError as error:
        raise ClientGone("the client stopped reading") from error
    finally:
        watchdog.close()
    if not sent:
        await send(_start(start))
    await send({"type": "http.response.body", "body": b"", "more_body": False})
