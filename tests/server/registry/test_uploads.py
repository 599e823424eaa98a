"""Upload sessions below HTTP: checkpoints on the way, races of workers, expiry."""

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from kho.oci.digest import Digest
from kho.oci.errors import BlobUploadUnknown, Unavailable
from kho.server.database.drivers.sqlite import SqliteDatabase
from kho.server.database.drivers.turnstile import Turnstile
from kho.server.policy.access import ANYONE, Caller
from kho.server.registry import blobs, uploads
from kho.server.registry.uploads import Body, BodyCut
from kho.server.resources import Resources
from kho.server.storage.interface import UploadBusy
from tests.flows.client import pieces
from tests.flows.databases import on_both_databases
from tests.flows.registry import Registry

CONTENT = bytes(range(256)) * 4000
DIGEST = Digest.of(CONTENT)
ME = Caller(ANYONE)


def body(content: bytes = b"", size: int = 65_536) -> Body:
    """A body that comes in pieces."""
    return Body(pieces(content, size))


async def cut(content: bytes) -> AsyncIterator[bytes]:
    """A body whose client leaves."""
    yield content
    raise BodyCut


@pytest.fixture
def resources(registry: Registry) -> Resources:
    """What one worker stands on."""
    found = registry.workers[-1].app.resources
    assert found is not None
    return found


@on_both_databases
async def test_a_long_body_is_acknowledged_on_the_way(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "CHECKPOINT", 100_000)
    row = await uploads.start(resources, "a", ME, "sha256")
    seen = []

    async def watched() -> AsyncIterator[bytes]:
        async for piece in pieces(CONTENT, 65_536):
            seen.append((await uploads.find(resources, "a", row.id, ME)).size)
            yield piece

    assert await uploads.append(resources, row, Body(watched())) == len(CONTENT)
    assert seen == sorted(seen)
    assert 0 in seen
    assert any(0 < size < len(CONTENT) for size in seen)


@on_both_databases
async def test_a_row_read_before_another_worker_moved_on_is_read_again(
    resources: Resources, registry: Registry
) -> None:
    stale = await uploads.start(resources, "a", ME, "sha256")
    await registry.start()
    other = registry.workers[-1].app.resources
    assert other is not None
    assert await uploads.append(other, stale, body(CONTENT[:1000])) == 1000
    assert await uploads.append(resources, stale, body(CONTENT[1000:])) == len(CONTENT)
    await uploads.finish(other, stale, DIGEST, body(), ME)
    assert await blobs.size(resources, "a", DIGEST) == len(CONTENT)


async def test_a_busy_session_is_unavailable_after_a_while(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "BUSY_SECONDS", 0.05)
    monkeypatch.setattr(uploads, "BUSY_STEP", 0.01)
    row = await uploads.start(resources, "a", ME, "sha256")
    writer = await resources.storage.create(row.id, "sha256")
    with pytest.raises(Unavailable, match="another request"):
        await uploads.append(resources, row, body(b"x"))
    await writer.abort()
    assert await uploads.append(resources, row, body(b"x")) == 1


@on_both_databases
async def test_one_of_two_that_finish_the_same_session_wins(resources: Resources) -> None:
    row = await uploads.start(resources, "a", ME, "sha256")
    await uploads.append(resources, row, body(CONTENT))
    row = await uploads.find(resources, "a", row.id, ME)
    results = await asyncio.gather(
        *(uploads.finish(resources, row, DIGEST, body(), ME) for _ in range(4)),
        return_exceptions=True,
    )
    assert results.count(None) >= 1
    assert all(isinstance(one, BlobUploadUnknown) for one in results if one is not None)
    assert await blobs.size(resources, "a", DIGEST) == len(CONTENT)


@on_both_databases
async def test_many_push_one_blob_into_many_repositories(
    resources: Resources, registry: Registry
) -> None:
    names = [f"r{number % 5}" for number in range(30)]
    await asyncio.gather(
        *(uploads.put_whole(resources, name, ME, DIGEST, body(CONTENT)) for name in names)
    )
    for name in set(names):
        assert await blobs.size(resources, name, DIGEST) == len(CONTENT)
    assert list((registry.folder / "uploads").iterdir()) == []


async def test_a_cut_single_post_leaves_nothing(resources: Resources, registry: Registry) -> None:
    with pytest.raises(BodyCut):
        await uploads.put_whole(resources, "a", ME, DIGEST, Body(cut(CONTENT)))
    assert list((registry.folder / "uploads").iterdir()) == []


@on_both_databases
async def test_what_came_before_a_cut_is_kept(resources: Resources) -> None:
    row = await uploads.start(resources, "a", ME, "sha256")
    with pytest.raises(BodyCut):
        await uploads.append(resources, row, Body(cut(CONTENT[:500_000])))
    row = await uploads.find(resources, "a", row.id, ME)
    assert row.size == 500_000
    await uploads.finish(resources, row, DIGEST, body(CONTENT[500_000:]), ME)


async def test_a_cancelled_request_lets_go_of_the_session(resources: Resources) -> None:
    row = await uploads.start(resources, "a", ME, "sha256")
    never = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield CONTENT
        await never.wait()

    task = asyncio.create_task(uploads.append(resources, row, Body(endless())))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await uploads.append(resources, row, body(CONTENT)) == len(CONTENT)


async def test_a_session_stays_locked_until_its_row_is_written(resources: Resources) -> None:
    database, storage = resources.database, resources.storage
    assert isinstance(database, SqliteDatabase)
    row = await uploads.start(resources, "a", ME, "sha256")
    begun, go_on = threading.Event(), threading.Event()

    def wait(text: str) -> None:
        if text == "COMMIT":
            begun.set()
            go_on.wait(5)

    database._writer._connection.set_trace_callback(wait)
    (path,) = (one[2] for one in database._connection.execute("PRAGMA database_list"))
    turnstile = Turnstile(path)
    with turnstile:  # so that the row goes the long way
        task = asyncio.create_task(uploads.append(resources, row, body(CONTENT)))
        await asyncio.sleep(0.1)
    turnstile.close()
    assert await asyncio.to_thread(begun.wait, 5)
    task.cancel()
    await asyncio.sleep(0.05)
    with pytest.raises(UploadBusy):
        await storage.create(row.id, "sha256")
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    row = await uploads.find(resources, "a", row.id, ME)
    assert row.size == len(CONTENT)
    await uploads.finish(resources, row, DIGEST, body(), ME)


def aged(resources: Resources, hours: float) -> Resources:
    """The same, with another age of expiry."""
    config = resources.config
    changed = replace(config, uploads=replace(config.uploads, expire_hours=hours))
    return replace(resources, config=changed)


@on_both_databases
async def test_abandoned_sessions_expire(resources: Resources, registry: Registry) -> None:
    old = await uploads.start(resources, "a", ME, "sha256")
    await uploads.append(resources, old, body(CONTENT))
    empty = await uploads.start(resources, "a", ME, "sha256")
    assert await uploads.expire(aged(resources, 1)) == 0
    await asyncio.sleep(0.05)
    assert await uploads.expire(aged(resources, 0.00001)) == 2
    for row in (old, empty):
        with pytest.raises(BlobUploadUnknown):
            await uploads.find(resources, "a", row.id, ME)
    assert list((registry.folder / "uploads").iterdir()) == []


async def test_leftovers_of_crashes_expire_too(resources: Resources, registry: Registry) -> None:
    (registry.folder / "uploads" / "00000000-0000-4000-8000-000000000000").write_bytes(b"x")
    assert await uploads.expire(aged(resources, 1)) == 0
    assert len(list((registry.folder / "uploads").iterdir())) == 1
    await asyncio.sleep(0.05)
    await uploads.expire(aged(resources, 0.00001))
    assert list((registry.folder / "uploads").iterdir()) == []


async def test_the_size_is_told_when_the_writer_has_ended(resources: Resources) -> None:
    row = await uploads.start(resources, "a", ME, "sha256")
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def delivered() -> AsyncIterator[bytes]:
        yield CONTENT
        begun.set()
        await go_on.wait()
        raise BodyCut  # the client that asks has left this request long ago

    for already in (0, len(CONTENT)):
        task = asyncio.create_task(uploads.append(resources, row, Body(delivered())))
        await begun.wait()
        asked = asyncio.create_task(uploads.status(resources, row))
        await asyncio.sleep(0.05)
        assert not asked.done()
        go_on.set()
        assert await asked == already + len(CONTENT)
        with pytest.raises(BodyCut):
            await task
        begun.clear()
        go_on.clear()
        row = await uploads.find(resources, "a", row.id, ME)


async def test_a_writer_that_does_not_end_is_not_waited_for(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "STATUS_SECONDS", 0.05)
    monkeypatch.setattr(uploads, "BUSY_STEP", 0.01)
    row = await uploads.start(resources, "a", ME, "sha256")
    await uploads.append(resources, row, body(CONTENT))
    writer = await resources.storage.create(row.id, "sha256")
    assert await uploads.status(resources, row) == len(CONTENT)  # and not what was read before
    await uploads.cancel(resources, row)
    with pytest.raises(BlobUploadUnknown):
        await uploads.status(resources, row)
    await writer.abort()
