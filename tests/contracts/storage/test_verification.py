"""Which bytes were hashed, setting bad ones aside, and what is stored at all."""

from kho.oci.digest import Digest
from kho.server.storage.interface import BlobStorage, StoredReader
from tests.contracts.storage.acts import push
from tests.contracts.storage.places import Place

GOOD, BAD = b"good" * 1000, b"BAAD" * 1000


async def opened(storage: BlobStorage, digest: Digest, size: int | None = None) -> StoredReader:
    """A reader of what must be there."""
    reader = await storage.open(digest, size)
    assert reader is not None
    return reader


async def test_what_came_in_here_is_verified(storage: BlobStorage) -> None:
    reader = await opened(storage, await push(storage, GOOD))
    assert reader.verified
    assert await reader.digest("sha256") == Digest.of(GOOD)
    assert await reader.digest("sha512") == Digest.of(GOOD, "sha512")
    reader.close()


async def test_what_was_changed_is_not(storage: BlobStorage, place: Place) -> None:
    digest = await push(storage, GOOD)
    place.spoil(digest, BAD)
    reader = await opened(storage, digest)
    assert reader.verified is False
    assert await reader.digest("sha256") == Digest.of(BAD)
    reader.confirm()
    again = await opened(storage, digest)
    assert again.verified is True
    assert again.identity == reader.identity
    again.close()
    reader.close()


async def test_any_size_is_opened_when_none_is_given(storage: BlobStorage, place: Place) -> None:
    digest = await push(storage, GOOD)
    place.spoil(digest, b"")
    assert await storage.open(digest, len(GOOD)) is None
    reader = await opened(storage, digest)
    assert reader.size == 0
    assert await reader.digest("sha256") == Digest.of(b"")
    reader.close()


async def test_bad_bytes_are_set_aside(storage: BlobStorage, place: Place) -> None:
    digest = await push(storage, GOOD)
    place.spoil(digest, BAD)
    reader = await opened(storage, digest)
    twin = reader.twin()
    reader.close()
    assert await twin.set_aside()
    assert not await storage.holds(digest, len(GOOD))
    assert await twin.digest("sha256") == Digest.of(BAD)
    assert not await twin.set_aside()
    twin.close()
    await push(storage, GOOD)
    assert await storage.holds(digest, len(GOOD))


async def test_good_bytes_that_took_their_place_stay(storage: BlobStorage, place: Place) -> None:
    digest = await push(storage, GOOD)
    place.spoil(digest, BAD)
    reader = await opened(storage, digest)
    await push(storage, GOOD)
    assert not await reader.set_aside()
    reader.close()
    healed = await opened(storage, digest, len(GOOD))
    assert await healed.digest("sha256") == digest
    assert healed.verified
    healed.close()


async def test_everything_is_listed(storage: BlobStorage) -> None:
    pushed = {await push(storage, bytes([number]) * 100) for number in range(5)}
    writer = await storage.create("under-way", "sha256")
    await writer.write(b"12345")
    await writer.checkpoint()
    blobs = [blob async for batch in storage.inventory.blobs() for blob in batch]
    assert {blob.digest for blob in blobs} == pushed
    assert {blob.size for blob in blobs} == {100}
    sessions = [one async for batch in storage.inventory.sessions() for one in batch]
    assert [(one.id, one.size) for one in sessions] == [("under-way", 5)]
    assert sessions[0].age_seconds < 60
    assert not await storage.inventory.clear("under-way")
    await writer.abort()
    assert await storage.inventory.clear("under-way")
    assert await storage.inventory.session("under-way") is None
    assert not await storage.inventory.clear("under-way")
