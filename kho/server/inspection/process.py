"""The worker's side: start the process, feed it the layer, hear what it says, end it.

    pieces of the blob ──► socket ──► process ──► the same socket ──► frames ──► the caller
                              └── who does not take frames stops the pieces, too

No signal of a child is waited for: the loops that serve requests have handlers of their own.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from kho.server.inspection.frames import Broken, Frame, Parser, Row, Say, Sum
from kho.server.inspection.order import DEFAULT, TAKING, Bounds, Order

T = TypeVar("T")

_READ: Final = 256 * 1024
_BUFFER: Final = 512 * 1024
_EXIT_SECONDS: Final = 2.0
_LOOK_SECONDS: Final = 0.01
# Settings of the server are not for it: among them are passwords.
_VARIABLES: Final = (
    "PATH",
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONDONTWRITEBYTECODE",
    "LD_LIBRARY_PATH",
)
_ENDED: Final = frozenset({Say.DONE, Say.REFUSED, Say.ABSENT})

_cleaning: Final[set["asyncio.Task[None]"]] = set()


class Refused(Exception):
    """The layer breaks its format or a limit; one line, for people."""


class Failed(Exception):
    """The inspection did not come to its end, which may be no fault of the layer; one line."""


@dataclass(frozen=True, slots=True)
class Content:
    """What was taken out of a layer; `pieces` raises Refused or Failed, and never ends short."""

    size: int
    pieces: AsyncIterator[bytes]


async def listing(
    blob: AsyncIterator[bytes], digest: str, bounds: Bounds = DEFAULT
) -> AsyncGenerator[Row | Sum, None]:
    """All rows of a layer, and at last their sum. Raises Refused, Failed, and what `blob` raises.

    To be closed, so that the process ends. Failed, too, when other bytes are stored than those of
    the digest.
    """
    order = Order(os.getpid(), bounds, algorithm=digest.partition(":")[0])
    said = 0
    async with _process(order, blob) as frames:
        async for frame in frames:
            said += len(frame.body)
            if frame.say is Say.ROW:
                if said > bounds.output:
                    raise Refused(f"the list of its files has more than {bounds.output} bytes")
                yield _decoded(frame.body, Row)
            elif frame.say is Say.DONE:
                done = _decoded(frame.body, Sum)
                _same(done.digest, digest)
                yield done
            elif frame.say is Say.REFUSED:
                raise _refused(frame.body, digest)
            else:
                raise Failed("the inspection said what nobody asked for")


@asynccontextmanager
async def content(
    blob: AsyncIterator[bytes], number: int, bounds: Bounds = TAKING
) -> AsyncIterator[Content | None]:
    """The content of the file that is member `number` of a layer; None when that is no file.

    Raises Refused and Failed.
    """
    order = Order(os.getpid(), bounds, take=number)
    async with _process(order, blob) as frames:
        first = await anext(frames)
        if first.say is Say.REFUSED:
            raise _refused(first.body)
        if first.say is Say.ABSENT:
            yield None
            return
        if first.say is not Say.SIZE or not first.body.isdigit():
            raise Failed("the inspection said what nobody asked for")
        size = int(first.body)
        yield Content(size, _pieces(frames, size))


async def _pieces(frames: AsyncIterator[Frame], size: int) -> AsyncIterator[bytes]:
    left = size
    async for frame in frames:
        if frame.say is Say.CONTENT:
            left -= len(frame.body)
            yield frame.body
        elif frame.say is Say.REFUSED:
            raise _refused(frame.body)
        elif left:
            raise Failed("the content has another size than was said")


def _refused(body: bytes, digest: str = "") -> Refused | Failed:
    """Why; a listing says the hash of what was read, too, if it came so far."""
    reason = body.decode("utf-8", "replace")
    if digest and reason.startswith(digest.partition(":")[0] + ":"):
        found, _, reason = reason.partition(" ")
        if found != digest:
            return _damaged(found)
    return Refused(reason)


def _same(found: str, digest: str) -> None:
    if found != digest:
        raise _damaged(found)


def _damaged(found: str) -> Failed:
    return Failed(f"the stored bytes are damaged: they are those of {found}")


def _decoded(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.msgpack.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise Failed(f"the inspection cannot be understood: {error}") from None


@asynccontextmanager
async def _process(order: Order, blob: AsyncIterator[bytes]) -> AsyncIterator[AsyncIterator[Frame]]:
    """The frames of a process, which is gone when this ends."""
    ours, process = _started(order)
    feeding = asyncio.create_task(_feed(ours, blob))
    try:
        yield _frames(ours, process, feeding, order.bounds)
    finally:
        # A task of its own: who is cancelled twice while he cleans up would leave half of it.
        cleaning = asyncio.create_task(_clean(ours, process, feeding))
        _cleaning.add(cleaning)
        cleaning.add_done_callback(_cleaning.discard)
        await asyncio.shield(cleaning)


async def _clean(
    ours: socket.socket, process: subprocess.Popen[bytes], feeding: "asyncio.Task[None]"
) -> None:
    feeding.cancel()
    process.kill()
    try:
        await asyncio.gather(feeding, return_exceptions=True)
    finally:
        ours.close()
    await _exited(process)


def _started(order: Order) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    ours, theirs = socket.socketpair()
    try:
        for one in (ours, theirs):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        ours.setblocking(False)
        said = msgspec.json.encode(order).decode()
        process = subprocess.Popen(  # noqa: S603  ourselves
            [sys.executable, "-P", "-m", "kho.server.inspection", said],
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={name: os.environ[name] for name in _VARIABLES if name in os.environ},
            start_new_session=True,
        )
    except BaseException as error:
        ours.close()
        if isinstance(error, OSError):
            raise Failed(f"no process can be started: {error.strerror}") from error
        raise
    finally:
        theirs.close()
    return ours, process


async def _feed(ours: socket.socket, blob: AsyncIterator[bytes]) -> None:
    """Write the layer as fast as it is read; the process may have heard enough before its end."""
    loop = asyncio.get_running_loop()
    with suppress(BrokenPipeError, ConnectionResetError):
        async for piece in blob:
            await loop.sock_sendall(ours, piece)
        ours.shutdown(socket.SHUT_WR)


async def _frames(
    ours: socket.socket,
    process: subprocess.Popen[bytes],
    feeding: "asyncio.Task[None]",
    bounds: Bounds,
) -> AsyncIterator[Frame]:
    """Ends with a frame that ends the talk. Raises Failed, and what reading the blob raised."""
    loop = asyncio.get_running_loop()
    until = loop.time() + bounds.seconds
    parser = Parser()
    try:
        while True:
            async with asyncio.timeout_at(until):
                piece = await _heard(ours, feeding)
            if not piece:
                break
            for frame in parser.feed(piece):
                yield frame
                if frame.say in _ENDED:
                    return
    except TimeoutError:
        raise Failed(f"the inspection took more than {bounds.seconds:.0f} seconds") from None
    except Broken as error:
        raise Failed(f"the inspection cannot be understood: {error}") from None
    raise _end_of(await _exited(process), bounds)


async def _heard(ours: socket.socket, feeding: "asyncio.Task[None]") -> bytes:
    """What it says next, nothing when it is gone; raises what reading the blob raised."""
    hearing = asyncio.ensure_future(asyncio.get_running_loop().sock_recv(ours, _READ))
    try:
        waiting = {hearing} if feeding.done() else {hearing, feeding}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if feeding.done():
            feeding.result()
        return await hearing
    except ConnectionResetError:
        return b""
    finally:
        hearing.cancel()


async def _exited(process: subprocess.Popen[bytes]) -> int:
    """Its code. It has closed its socket or was killed, so this takes no time."""
    for _ in range(int(_EXIT_SECONDS / _LOOK_SECONDS)):
        code = process.poll()
        if code is not None:
            return code
        await asyncio.sleep(_LOOK_SECONDS)
    process.kill()
    return process.wait()


def _end_of(code: int, bounds: Bounds) -> Refused | Failed:
    """Why a process ended in the middle of its work."""
    if code == -signal.SIGXCPU:
        return Refused(f"reading it takes more than {bounds.cpu_seconds} seconds of a processor")
    if code < 0:
        with suppress(ValueError):
            return Failed(f"the inspection was ended by {signal.Signals(-code).name}")
    return Failed(f"the inspection ended with code {code}")
