"""What is written beside the event loop: all of it, in order; what goes wrong is told."""

import asyncio
import errno
import os
from pathlib import Path

import pytest

from kho.client.stores.ingest import Ingest
from kho.oci.digest import Digest
from kho.oci.hashing import new_hasher
from kho.oci.manifest import Descriptor

CONTENT = bytes(range(256)) * 20_000
PIECES = [CONTENT[start : start + 70_001] for start in range(0, len(CONTENT), 70_001)]
BLOB = Descriptor("layer", "application/octet-stream", Digest.of(CONTENT), len(CONTENT))


def part(folder: Path) -> Path:
    """Where the bytes are until they have their name."""
    return folder / f"sha256-{BLOB.digest.hex}"


async def write(folder: Path, pieces: list[bytes], error: BaseException | None = None) -> Digest:
    """Pieces, then an end or an error; the digest of what is there."""
    async with Ingest.locked(folder, BLOB.digest) as ingest:
        _, hasher = await ingest.resume(BLOB)
        async with ingest.writing(hasher) as file:
            for piece in pieces:
                await file.take(piece)
            if error is not None:
                raise error
        return hasher.digest()


async def test_all_pieces_are_written_and_hashed_in_their_order(tmp_path: Path) -> None:
    assert await write(tmp_path, PIECES) == BLOB.digest
    assert part(tmp_path).read_bytes() == CONTENT


async def test_what_came_before_an_error_is_kept_and_gone_on_with(tmp_path: Path) -> None:
    with pytest.raises(ConnectionError):
        await write(tmp_path, PIECES[:40], ConnectionError())
    assert part(tmp_path).read_bytes() == b"".join(PIECES[:40])
    assert await write(tmp_path, PIECES[40:]) == BLOB.digest


async def test_what_came_before_a_cancellation_is_kept(tmp_path: Path) -> None:
    with pytest.raises(asyncio.CancelledError):
        await write(tmp_path, PIECES[:40], asyncio.CancelledError())
    assert part(tmp_path).read_bytes() == b"".join(PIECES[:40])


async def test_from_a_slow_line_what_came_is_in_the_file_at_once(tmp_path: Path) -> None:
    async with (
        Ingest.locked(tmp_path, BLOB.digest) as ingest,
        ingest.writing(new_hasher()) as file,
    ):
        for piece in (b"slow", b"ly", b"!"):
            await file.take(piece)
            await asyncio.sleep(0.03)
        assert part(tmp_path).read_bytes().startswith(b"slowly")


@pytest.mark.parametrize("count", [1, len(PIECES)])
async def test_a_full_disk_is_told(tmp_path: Path, count: int) -> None:
    fd = os.open("/dev/full", os.O_RDWR)

    async def fill() -> None:
        async with Ingest(tmp_path / "none", fd).writing(new_hasher()) as file:
            for piece in PIECES[:count]:
                await file.take(piece)

    try:
        with pytest.raises(OSError, match="space") as told:
            await fill()
    finally:
        os.close(fd)
    assert told.value.errno == errno.ENOSPC
