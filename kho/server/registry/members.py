"""Files inside layers, as bytes: taken out by a process of its own while they are sent.

blobs.read ─► pieces of the layer ─► process ─► pieces of the file ─► the client
                                                   └── a slow client slows all of it
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from kho.oci.digest import Digest
from kho.oci.errors import TooManyRequests
from kho.server.inspection import process
from kho.server.inspection.process import Content, Failed, Refused
from kho.server.policy.access import Caller
from kho.server.policy.throttle import place_of
from kho.server.registry import blobs
from kho.server.resources import Resources

__all__ = ["TEXT_BYTES", "Content", "Failed", "Refused", "Slots", "is_text", "member", "text"]

# Of one worker. Each has a process, which may use a lot of memory.
AT_ONCE: Final = 4
OF_ONE: Final = 2  # of a caller, who waits for none: a download may take hours
RETRY_SECONDS: Final = 10
# A client that reads slowly holds a download for hours; a look depends on no client.
LOOKS: Final = 2
PATIENCE_SECONDS: Final = 10.0
TEXT_BYTES: Final = 1024 * 1024


class Slots:
    """How many may run at once, and how long others wait, in seconds."""

    def __init__(self) -> None:
        self.free = asyncio.Semaphore(AT_ONCE)
        self.held: Counter[str] = Counter()  # of `free`, by caller
        self.looks = asyncio.Semaphore(LOOKS)
        self.patience = PATIENCE_SECONDS


@asynccontextmanager
async def member(
    resources: Resources, repository: str, layer: Digest, number: int, caller: Caller
) -> AsyncIterator[Content | None]:
    """The file that is member `number` of a layer; None when there is none.

    Raises BlobUnknown when the repository does not have the layer, TooManyRequests, and while it is
    read Refused and Failed.
    """
    slots = resources.memory.keep(Slots)
    with _share(slots.held, caller):
        async with _taken(resources, slots.free, repository, layer, number) as content:
            yield content


@contextmanager
def _share(held: Counter[str], caller: Caller) -> Iterator[None]:
    """No caller has all places; who has not signed in is known by the address."""
    whose = f"at {place_of(caller.address)}" if caller.anonymous else caller.name
    if held[whose] >= OF_ONE:
        raise TooManyRequests(
            "you are taking %(count)s files out of layers already: wait for one to end",
            count=OF_ONE,
            retry_after=RETRY_SECONDS,
        )
    held[whose] += 1
    try:
        yield
    finally:
        held[whose] -= 1
        if not held[whose]:
            del held[whose]


@asynccontextmanager
async def _taken(
    resources: Resources, free: asyncio.Semaphore, repository: str, layer: Digest, number: int
) -> AsyncIterator[Content | None]:
    try:
        async with asyncio.timeout(resources.memory.keep(Slots).patience):
            await free.acquire()
    except TimeoutError:
        raise TooManyRequests(
            "too many files are taken out of layers just now", retry_after=RETRY_SECONDS
        ) from None
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
