"""A layer on its way from its source through a function in a thread; nothing of it is kept.

    source ─► steady: size, digest ─► 16 pieces at most ─► work, in a thread: decompress, read tar

What the function found is handed out only after size and digest of the layer were right, so it
may be believed. It need not read the layer to its end.
"""

import asyncio
import queue
from collections.abc import Callable
from contextlib import aclosing
from typing import Final, TypeVar

from kho.client.errors import ClientError, Misused
from kho.client.progress import SILENT, Progress
from kho.client.stores.steady import steady
from kho.client.stores.store import Source
from kho.layers.compression import Readable
from kho.layers.errors import LayerRefused
from kho.oci.hashing import new_hasher
from kho.oci.manifest import Descriptor

_PIECES: Final = 16

Result = TypeVar("Result")


async def through(
    source: Source,
    content: Descriptor,
    work: Callable[[Readable], Result],
    told: Progress = SILENT,
) -> Result:
    """Let `work` read the layer as it is stored; what it returns.

    Raises LayerRefused of `work`, ContentMismatch, Unreachable, Misused for a foreign layer.
    """
    if not content.required:
        text = f"{content.digest} is a layer that registries do not hand out"
        raise Misused(f"{source.name}: {text} ({content.media_type})")
    pipe = _Pipe()
    working = asyncio.ensure_future(asyncio.to_thread(work, pipe))
    working.add_done_callback(pipe.let_go)
    try:
        hasher = new_hasher(content.digest.algorithm)
        async with aclosing(steady(source, content, hasher, 0, told)) as pieces:
            async for piece in pieces:
                await pipe.put(piece)
        await pipe.put(b"")
        return await working
    except LayerRefused as error:
        raise LayerRefused(f"{source.name}: layer {content.digest}: {error}") from error
    finally:
        pipe.stop()
        await asyncio.gather(working, return_exceptions=True)


class _Stopped(ClientError):
    """Nobody wants the layer any more."""


class _Pipe:
    """Pieces from the event loop to one thread, a few at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Semaphore(_PIECES)
        self._pieces: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._rest = b""
        self._ended = False
        self._wanted = True

    async def put(self, piece: bytes) -> None:
        """Hand on a piece, none is the end; dropped once the thread is done."""
        if self._wanted:
            await self._room.acquire()
            self._pieces.put(piece)

    def let_go(self, _: object) -> None:
        """The thread takes nothing more: what comes is only verified."""
        self._wanted = False
        self._room.release()

    def stop(self) -> None:
        """End the thread's next read."""
        self._pieces.put(None)

    def read(self, count: int, /) -> bytes:
        """As Readable; in the thread."""
        piece = self._rest or self._next()
        self._rest = piece[count:]
        return piece[:count]

    def _next(self) -> bytes:
        if self._ended:
            return b""
        piece = self._pieces.get()
        if piece is None:
            raise _Stopped("interrupted")
        self._loop.call_soon_threadsafe(self._room.release)
        self._ended = not piece
        return piece
