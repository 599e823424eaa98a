"""Files inside layers, as bytes: taken out by a process of its own while they are sent.

blobs.read ─► pieces of the layer ─► process ─► pieces of the file ─► the client
                                                   └── a slow client slows all of it
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from kho.oci.digest import Digest
from kho.oci.errors import TooManyRequests
from kho.server.inspection import process
from kho.server.inspection.process import Content, Failed, Refused
from kho.server.registry import blobs
from kho.server.resources import Resources

__all__ = ["TEXT_BYTES", "Content", "Failed", "Refused", "Slots", "is_text", "member", "text"]

# Of one worker. Each has a process, which may use a lot of memory.
AT_ONCE: Final = 4
# A client that reads slowly holds a download for hours; a look depends on no client.
LOOKS: Final = 2
PATIENCE_SECONDS: Final = 10.0
TEXT_BYTES: Final = 1024 * 1024


class Slots:
    """How many may run at once, and how long others wait, in seconds."""

    def __init__(self) -> None:
        self.free = asyncio.Semaphore(AT_ONCE)
        self.looks = asyncio.Semaphore(LOOKS)
        self.patience = PATIENCE_SECONDS


@asynccontextmanager
async def member(
    resources: Resources, repository: str, layer: Digest, number: int
) -> AsyncIterator[Content | None]:
    """The file that is member `number` of a layer; None when there is none.

    Raises BlobUnknown when the repository does not have the layer, TooManyRequests, and while it is
    read Refused and Failed.
    """
    slots = resources.memory.keep(Slots)
    async with _taken(resources, slots.free, repository, layer, number) as content:
        yield content


@asynccontextmanager
async def _taken(
    resources: Resources, free: asyncio.Semaphore, repository: str, layer: Digest, number: int
) -> AsyncIterator[Content | None]:
    try:
        async with asyncio.timeout(resources.memory.keep(Slots).patience):
            await free.acquire()
    except TimeoutError:
        raise TooManyRequests("too many files are taken out of layers just now") from None
    try:
        reader = await blobs.read(resources, repository, layer)
        try:
            async with process.content(reader.chunks(0, reader.size), number) as content:
                yield content
        finally:
            reader.close()
    finally:
        free.release()


async def text(
    resources: Resources, repository: str, layer: Digest, number: int
) -> tuple[bytes, int] | None:
    """The first MiB of a file and its whole size, to be looked at; None when there is none.

    Raises like `member`.
    """
    looks = resources.memory.keep(Slots).looks
    async with _taken(resources, looks, repository, layer, number) as content:
        if content is None:
            return None
        found = bytearray()
        async for piece in content.pieces:
            found += piece
            if len(found) >= TEXT_BYTES:
                break
        return bytes(found[:TEXT_BYTES]), content.size


def is_text(found: bytes, *, cut: bool = True) -> bool:
    """Whether it is UTF-8 without NUL; of what is cut the last character may be, too."""
    if b"\0" in found:
        return False
    try:
        found.decode("utf-8")
    except UnicodeDecodeError as error:
        return cut and error.reason == "unexpected end of data" and error.end == len(found)
    return True
