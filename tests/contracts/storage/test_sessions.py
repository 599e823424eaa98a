"""Upload sessions: any worker goes on at a checkpoint, one writer at a time."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kho.oci.digest import Digest
from kho.server.storage.interface import BlobStorage, Checkpoint, UploadBusy, UploadMissing
from tests.contracts.storage.acts import LARGE, fetch, new_id, pause, write

NOTHING = Checkpoint(0, None)


@settings(max_examples=25)
@given(data=st.data())
async def test_workers_take_turns(
    storage: BlobStorage, other: BlobStorage, data: st.DataObject
) -> None:
    algorithm = data.draw(st.sampled_from(["sha256", "sha512"]))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(LARGE)), max_size=5)))
    upload, checkpoint = new_id(), NOTHING
    for start, stop in zip([0, *cuts], [*cuts, len(LARGE)], strict=True):
        worker = data.draw(st.sampled_from([storage, other]))
        if data.draw(st.booleans()):  # where the machine cannot save hashes, the bytes tell
            checkpoint = Checkpoint(checkpoint.size, None)
        writer = await worker.resume(upload, algorithm, checkpoint)
        await write(writer, LARGE[start:stop])
        assert writer.size == stop
        checkpoint = await pause(writer)
        assert checkpoint.size == stop
    writer = await other.resume(upload, algorithm, checkpoint)
    digest = Digest.of(LARGE, algorithm)
    assert await writer.finish(digest) == len(LARGE)
    assert await fetch(storage, digest, len(LARGE)) == LARGE


@pytest.mark.parametrize("state", [b"", b"of another machine", b"\0" * 200])
async def test_a_state_that_cannot_be_read_is_no_obstacle(
    storage: BlobStorage, other: BlobStorage, state: bytes
) -> None:
    upload = new_id()
    writer = await storage.create(upload, "sha256")
    await write(writer, LARGE)
    checkpoint = await pause(writer)
    writer = await other.resume(upload, "sha256", Checkpoint(checkpoint.size, state))
    await writer.finish(Digest.of(LARGE))


async def test_a_checkpoint_in_the_middle_and_going_on(
    storage: BlobStorage, other: BlobStorage
) -> None:
    upload = new_id()
    writer = await storage.create(upload, "sha256")
    await write(writer, LARGE[:1_500_000])
    checkpoint = await writer.checkpoint()
    assert checkpoint.size == 1_500_000
    await write(writer, b"never acknowledged" * 10_000)
    await writer.abort()
    writer = await other.resume(upload, "sha256", checkpoint)
    assert writer.size == 1_500_000
    await write(writer, LARGE[1_500_000:])
    await writer.finish(Digest.of(LARGE))
    assert await fetch(storage, Digest.of(LARGE), len(LARGE)) == LARGE


async def test_bytes_after_the_checkpoint_are_cut_also_when_nothing_follows(
    storage: BlobStorage,
) -> None:
    upload = new_id()
    writer = await storage.create(upload, "sha256")
    await write(writer, b"kept")
    checkpoint = await writer.checkpoint()
    await write(writer, LARGE)
    await writer.abort()
    writer = await storage.resume(upload, "sha256", checkpoint)
    assert await writer.finish(Digest.of(b"kept")) == 4
    assert await fetch(storage, Digest.of(b"kept"), 4) == b"kept"


async def test_a_stale_checkpoint_does_no_harm_before_the_first_write(
    storage: BlobStorage, other: BlobStorage
) -> None:
    upload = new_id()
    writer = await storage.create(upload, "sha256")
    await write(writer, LARGE[:1000])
    stale = await writer.checkpoint()
    await write(writer, LARGE[1000:])
    newest = await pause(writer)
    for checkpoint in (stale, NOTHING):
        late = await other.resume(upload, "sha256", checkpoint)
        await late.abort()
    writer = await storage.resume(upload, "sha256", newest)
    await writer.finish(Digest.of(LARGE))
    assert await fetch(storage, Digest.of(LARGE), len(LARGE)) == LARGE


async def test_one_writer_at_a_time(storage: BlobStorage, other: BlobStorage) -> None:
    upload = new_id()
    writer = await storage.create(upload, "sha256")
    await write(writer, b"one")
    checkpoint = await writer.checkpoint()
    for worker in (storage, other):
        with pytest.raises(UploadBusy):
            await worker.resume(upload, "sha256", checkpoint)
        with pytest.raises(UploadBusy):
            await worker.create(upload, "sha256")
    await writer.abort()
    await (await other.resume(upload, "sha256", checkpoint)).abort()


@pytest.mark.parametrize("ending", ["pause", "abort", "finish"])
async def test_each_ending_lets_go_and_abort_may_follow(
    storage: BlobStorage, other: BlobStorage, ending: str
) -> None:
    upload = new_id()
    writer = await storage.create(upload, "sha256")
    await write(writer, b"content")
    if ending == "finish":
        await writer.finish(Digest.of(b"content"))
    elif ending == "pause":
        await pause(writer)
    await writer.abort()
    await writer.abort()
    await (await other.create(upload, "sha256")).abort()


async def test_a_session_without_bytes_can_be_resumed(
    storage: BlobStorage, other: BlobStorage
) -> None:
    upload = new_id()
    checkpoint = await pause(await storage.create(upload, "sha256"))
    assert checkpoint.size == 0
    writer = await other.resume(upload, "sha256", checkpoint)
    await write(writer, b"late")
    await writer.finish(Digest.of(b"late"))


async def test_bytes_that_are_gone_are_missed(storage: BlobStorage, other: BlobStorage) -> None:
    upload = new_id()
    with pytest.raises(UploadMissing):
        await storage.resume(upload, "sha256", Checkpoint(1, None))
    writer = await storage.create(upload, "sha256")
    await write(writer, b"four")
    checkpoint = await pause(writer)
    with pytest.raises(UploadMissing):
        await other.resume(upload, "sha256", Checkpoint(5, checkpoint.state))
    await other.discard(upload)
    await other.discard(upload)
    with pytest.raises(UploadMissing):
        await storage.resume(upload, "sha256", checkpoint)


async def test_a_finished_session_is_gone(storage: BlobStorage, other: BlobStorage) -> None:
    upload = new_id()
    writer = await storage.create(upload, "sha256")
    await write(writer, b"four")
    checkpoint = await writer.checkpoint()
    await writer.finish(Digest.of(b"four"))
    with pytest.raises(UploadMissing):
        await other.resume(upload, "sha256", checkpoint)


async def test_cancelled_while_somebody_writes(storage: BlobStorage, other: BlobStorage) -> None:
    upload, digest = new_id(), Digest.of(LARGE)
    writer = await storage.create(upload, "sha256")
    await write(writer, LARGE)
    await other.discard(upload)
    with pytest.raises(UploadMissing):
        await writer.finish(digest)
    await writer.abort()
    assert not await other.holds(digest, len(LARGE))
    assert await other.stale_uploads(-1) == []


async def test_a_cancelled_task_leaves_a_session_that_can_be_resumed(
    storage: BlobStorage, other: BlobStorage
) -> None:
    upload = new_id()
    writer = await storage.create(upload, "sha256")
    await write(writer, LARGE[:1000])
    checkpoint = await writer.checkpoint()

    async def endless() -> None:
        try:
            while True:
                await writer.write(LARGE)
                await asyncio.sleep(0)
        finally:
            await writer.abort()

    task = asyncio.create_task(endless())
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    writer = await other.resume(upload, "sha256", checkpoint)
    await write(writer, LARGE[1000:])
    await writer.finish(Digest.of(LARGE))


async def test_leftovers_are_found_by_age(storage: BlobStorage, other: BlobStorage) -> None:
    old, new = new_id(), new_id()
    await pause(await storage.create(old, "sha256"))
    await asyncio.sleep(0.05)
    writer = await storage.create(new, "sha256")
    await write(writer, b"x")
    await pause(writer)
    assert await other.stale_uploads(3600) == []
    assert await other.stale_uploads(0.04) == [old]
    assert sorted(await other.stale_uploads(-1)) == sorted([old, new])
    await other.discard(old)
    assert await storage.stale_uploads(-1) == [new]
