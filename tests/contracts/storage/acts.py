"""What the tests of the contract do again and again."""

from itertools import count

from kho.oci.digest import Digest
from kho.server.storage.interface import BlobReader, BlobStorage, BlobWriter, Checkpoint

# More than two batches and many pieces, and no multiple of any of them.
LARGE = bytes(range(256)) * 10_000 + b"the end"

_numbers = count(1)


def new_id() -> str:
    """An upload id that no other test uses."""
    return f"00000000-0000-4000-8000-{next(_numbers):012d}"


async def push(storage: BlobStorage, content: bytes, algorithm: str = "sha256") -> Digest:
    """Store a blob in one go."""
    digest = Digest.of(content, algorithm)
    writer = await storage.create(new_id(), algorithm)
    await write(writer, content)
    assert await writer.finish(digest) == len(content)
    return digest


async def write(writer: BlobWriter, content: bytes, piece: int = 100_000) -> None:
    """Write in pieces, as a request's body comes."""
    for start in range(0, len(content), piece):
        await writer.write(content[start : start + piece])


async def pause(writer: BlobWriter) -> Checkpoint:
    """Flush and let go, as the end of a request does."""
    checkpoint = await writer.checkpoint()
    await writer.abort()
    return checkpoint


async def opened(storage: BlobStorage, digest: Digest, size: int) -> BlobReader:
    """Open a blob that must be there."""
    reader = await storage.open(digest, size)
    assert reader is not None
    return reader


async def read(reader: BlobReader, start: int = 0, stop: int | None = None) -> bytes:
    """Read all pieces of a range."""
    stop = reader.size if stop is None else stop
    return b"".join([piece async for piece in reader.chunks(start, stop)])


async def fetch(storage: BlobStorage, digest: Digest, size: int) -> bytes | None:
    """The whole blob, None when it is absent."""
    reader = await storage.open(digest, size)
    if reader is None:
        return None
    try:
        return await read(reader)
    finally:
        reader.close()
