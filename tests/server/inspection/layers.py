"""Layers for the process: fed in pieces, listed to entries by path."""

import gzip
from collections.abc import AsyncIterator

from kho.oci.digest import Digest
from kho.server.inspection.frames import Row, Sum
from kho.server.inspection.order import DEFAULT, Bounds
from kho.server.inspection.packed import Entry, unpack
from kho.server.inspection.process import listing

MIB = 1 << 20


async def pieces(content: bytes, size: int = 256 * 1024) -> AsyncIterator[bytes]:
    """As storage gives it."""
    for at in range(0, len(content), size):
        yield content[at : at + size]


async def rows(content: bytes, bounds: Bounds = DEFAULT) -> tuple[list[Row], Sum]:
    """All that is told of a layer."""
    found: list[Row] = []
    done: Sum | None = None
    async for one in listing(pieces(content), str(Digest.of(content)), bounds):
        assert done is None
        if isinstance(one, Sum):
            done = one
        else:
            found.append(one)
    assert done is not None
    return found, done


async def entries(content: bytes, bounds: Bounds = DEFAULT) -> dict[bytes, list[Entry]]:
    """By directory."""
    found: dict[bytes, list[Entry]] = {}
    for row in (await rows(content, bounds))[0]:
        found.setdefault(row.directory, []).extend(unpack(row.entries))
    return found


def members(*contents: bytes, times: int = 1) -> bytes:
    """Members of gzip: the last is there so often."""
    packed = [gzip.compress(one, 9, mtime=0) for one in contents]
    return b"".join(packed[:-1]) + packed[-1] * times
