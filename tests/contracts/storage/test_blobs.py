"""Blobs: visible whole or not at all, read exactly, healed by another push."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kho.oci.digest import Digest, empty_digest
from kho.oci.errors import DigestInvalid, Unavailable
from kho.server.storage.interface import BlobStorage
from kho.server.storage.memory import MemoryStorage
from tests.contracts.storage.acts import LARGE, fetch, new_id, opened, push, read, write
from tests.contracts.storage.places import Place

PIECE = 256 * 1024


@pytest.mark.parametrize("content", [b"", b"x", LARGE, bytes(1024 * 1024)], ids=len)
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_what_was_pushed_is_read_by_any_worker(
    storage: BlobStorage, other: BlobStorage, content: bytes, algorithm: str
) -> None:
    digest = await push(storage, content, algorithm)
    assert await fetch(other, digest, len(content)) == content
    assert await other.holds(digest, len(content))


async def test_the_zero_byte_blob_needs_no_write(storage: BlobStorage) -> None:
    writer = await storage.create(new_id(), "sha256")
    assert await writer.finish(empty_digest()) == 0
    assert await fetch(storage, empty_digest(), 0) == b""


async def test_sha512_without_having_said_so(storage: BlobStorage) -> None:
    digest = Digest.of(LARGE, "sha512")
    writer = await storage.create(new_id(), "sha256")
    await write(writer, LARGE)
    assert await writer.finish(digest) == len(LARGE)
    assert await fetch(storage, digest, len(LARGE)) == LARGE


async def test_an_absent_blob(storage: BlobStorage) -> None:
    digest = Digest.of(b"never pushed")
    assert await storage.open(digest, 12) is None
    assert not await storage.holds(digest, 12)
    await storage.delete(digest)


async def test_a_blob_of_another_size_is_absent(storage: BlobStorage) -> None:
    digest = await push(storage, b"four")
    for size in (0, 3, 5):
        assert await storage.open(digest, size) is None
        assert not await storage.holds(digest, size)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_a_wrong_digest_leaves_nothing_visible(storage: BlobStorage, algorithm: str) -> None:
    upload, wrong = new_id(), Digest.of(b"something else", algorithm)
    writer = await storage.create(upload, "sha256")
    await write(writer, LARGE)
    with pytest.raises(DigestInvalid) as caught:
        await writer.finish(wrong)
    assert caught.value.detail == {
        "expected": str(wrong),
        "actual": str(Digest.of(LARGE, algorithm)),
        "size": len(LARGE),
    }
    for digest in (wrong, Digest.of(LARGE), Digest.of(LARGE, "sha512")):
        assert not await storage.holds(digest, len(LARGE))
    assert await storage.stale_uploads(-1) == []


async def test_nothing_is_visible_before_finish(storage: BlobStorage, other: BlobStorage) -> None:
    digest = Digest.of(LARGE)
    writer = await storage.create(new_id(), "sha256")
    await write(writer, LARGE)
    await writer.checkpoint()
    assert not await other.holds(digest, len(LARGE))
    assert await other.open(digest, len(LARGE)) is None
    await writer.finish(digest)
    assert await other.holds(digest, len(LARGE))


@pytest.mark.parametrize("damage", ["cut", "emptied", "longer", "flipped"])
async def test_a_push_heals_a_bad_blob(storage: BlobStorage, place: Place, damage: str) -> None:
    digest = await push(storage, LARGE)
    bad = {
        "cut": LARGE[:-1],
        "emptied": b"",
        "longer": LARGE + b"x",
        "flipped": b"\xff" + LARGE[1:],
    }[damage]
    place.spoil(digest, bad)
    if damage != "flipped":
        assert not await storage.holds(digest, len(LARGE))
    assert await fetch(storage, digest, len(LARGE)) != LARGE
    await push(storage, LARGE)
    assert await fetch(storage, digest, len(LARGE)) == LARGE


async def test_delete_is_at_once_and_can_be_repeated(
    storage: BlobStorage, other: BlobStorage
) -> None:
    digest = await push(storage, b"short-lived")
    await storage.delete(digest)
    await other.delete(digest)
    assert not await other.holds(digest, 11)
    await push(other, b"short-lived")
    assert await fetch(storage, digest, 11) == b"short-lived"


async def test_an_open_reader_survives_deletion(storage: BlobStorage, other: BlobStorage) -> None:
    digest = await push(storage, LARGE)
    reader = await opened(storage, digest, len(LARGE))
    await other.delete(digest)
    assert await read(reader) == LARGE
    reader.close()


async def test_an_open_reader_survives_replacement(
    storage: BlobStorage, other: BlobStorage
) -> None:
    digest = await push(storage, LARGE)
    reader = await opened(storage, digest, len(LARGE))
    pieces = reader.chunks(0, len(LARGE))
    begun = await anext(pieces)
    await push(other, LARGE)
    rest = [piece async for piece in pieces]
    assert begun + b"".join(rest) == LARGE
    reader.close()


async def test_a_reader_can_be_closed_twice(storage: BlobStorage) -> None:
    reader = await opened(storage, await push(storage, b"x"), 1)
    reader.close()
    reader.close()


async def test_a_reader_serves_several_ranges(storage: BlobStorage) -> None:
    reader = await opened(storage, await push(storage, LARGE), len(LARGE))
    assert await read(reader, 5, 10) == LARGE[5:10]
    assert await read(reader) == LARGE
    assert await read(reader, 7, 7) == b""
    reader.close()


@settings(max_examples=40)
@given(data=st.data())
async def test_every_range_is_exact_and_in_small_pieces(
    storage: BlobStorage, data: st.DataObject
) -> None:
    digest = Digest.of(LARGE)
    if not await storage.holds(digest, len(LARGE)):
        await push(storage, LARGE)
    start = data.draw(st.integers(0, len(LARGE)))
    stop = data.draw(st.integers(start, len(LARGE)))
    reader = await opened(storage, digest, len(LARGE))
    pieces = [piece async for piece in reader.chunks(start, stop)]
    reader.close()
    assert b"".join(pieces) == LARGE[start:stop]
    assert all(0 < len(piece) <= PIECE for piece in pieces)


async def test_a_read_never_ends_short(storage: BlobStorage) -> None:
    reader = await opened(storage, await push(storage, b"short"), 5)
    with pytest.raises(Unavailable):
        await read(reader, 0, 6)
    reader.close()


async def test_many_sessions_with_one_content_make_one_object(
    storage: BlobStorage, other: BlobStorage
) -> None:
    content = LARGE[:300_000]
    digest = Digest.of(content)

    async def one(worker: BlobStorage) -> Digest:
        writer = await worker.create(new_id(), "sha256")
        await write(writer, content, piece=7_001)
        await writer.finish(digest)
        assert await fetch(worker, digest, len(content)) == content
        return digest

    found = await asyncio.gather(*(one(worker) for worker in [storage, other] * 20))
    assert set(found) == {digest}
    assert await storage.stale_uploads(-1) == []
    if isinstance(storage, MemoryStorage):
        assert list(storage.blobs) == [digest]


async def test_ping_leaves_nothing_behind(storage: BlobStorage) -> None:
    await storage.ping()
    assert await storage.stale_uploads(-1) == []
