"""A blob's bytes from a source that may break: the stream goes on where it broke, and is verified.

    source.blob(start) ─► pieces ─► broke? again from where it was ─► pieces ─► size and digest

The last piece is held back until all bytes are known to be right: whoever gets the end of a
stream has the content of the digest.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Final

from kho.client.progress import Progress
from kho.client.rate import Rate
from kho.client.stores.store import Source
from kho.oci.hashing import Hasher
from kho.oci.manifest import Descriptor
from kho.remote.errors import ContentMismatch, Unreachable

# Attempts in a row that bring nothing.
ATTEMPTS: Final = 6
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0


async def steady(
    source: Source, content: Descriptor, hasher: Hasher | None, start: int, told: Progress
) -> AsyncGenerator[bytes, None]:
    """Yield the bytes from `start`, of which `hasher` has taken those before.

    Without a hasher only the length is checked: the receiver must know the digest.

    Raises ContentMismatch; Unreachable when the source stays away.
    """
    position, held, rest = start, b"", _Rest(told)
    # An earlier run may have had all of it, and not come to naming it.
    while position < content.size or not content.size:
        try:
            async with aclosing(_pieces(source, content, position, told.rate)) as pieces:
                async for piece in pieces:
                    position += len(piece)
                    _take(source, content, hasher, position, piece)
                    told.advance(content, len(piece))
                    if held:
                        yield held
                    held = piece
                    rest.forget()
        except Unreachable as error:
            problem = str(error)
        else:
            if position >= content.size:
                break
            problem = f"{source.name}: {content.digest} broke off after {position} bytes"
        await rest.take(problem)
    if hasher is not None:
        verify(source, content, hasher)
    if held:
        yield held


def check_size(source: Source, content: Descriptor, size: int) -> None:
    """The source has as much as its manifest tells; raise ContentMismatch."""
    if size != content.size:
        text = f"has {size} bytes, not the {content.size} that its manifest tells"
        raise ContentMismatch(_wrong(source, content, text))


def verify(source: Source, content: Descriptor, hasher: Hasher) -> None:
    """All bytes were those of the digest; raise ContentMismatch."""
    found = hasher.digest()
    if found != content.digest:
        raise ContentMismatch(_wrong(source, content, f"has the digest {found}"))


class _Rest:
    """Longer pauses between attempts that bring nothing, until it is enough."""

    def __init__(self, told: Progress) -> None:
        self._told = told
        self.forget()

    def forget(self) -> None:
        self._barren, self._pause = 0, FIRST_PAUSE

    async def take(self, problem: str) -> None:
        self._barren += 1
        if self._barren >= ATTEMPTS:
            raise Unreachable(problem)
        self._told.note(f"{problem}; again in {self._pause:.1f} s")
        await asyncio.sleep(self._pause * random.uniform(0.5, 1.0))  # noqa: S311
        self._pause = min(self._pause * 2, LONGEST_PAUSE)


def _take(
    source: Source, content: Descriptor, hasher: Hasher | None, position: int, piece: bytes
) -> None:
    if position > content.size:
        raise ContentMismatch(_wrong(source, content, "is longer than told"))
    if hasher is not None:
        hasher.update(piece)


async def _pieces(
    source: Source, content: Descriptor, position: int, rate: Rate | None
) -> AsyncGenerator[bytes, None]:
    """From `position` on; what a source without ranges sends before that is dropped."""
    async with source.blob(content, position) as stream:
        if stream.size is not None:
            check_size(source, content, stream.size)
        skip = position - stream.start
        async for piece in stream.pieces:
            parts: Iterable[bytes] = (piece,) if rate is None else rate.parts(piece)
            for part in parts:
                if rate is not None:
                    await rate.take(len(part))
                if skip >= len(part):
                    skip -= len(part)
                    continue
                yield part[skip:] if skip else part
                skip = 0


def _wrong(source: Source, content: Descriptor, text: str) -> str:
    return f"{source.name}: {content.digest} {text}"
