"""Clients that stall, drip or leave: dropped by deadline, nothing untrue kept."""

import asyncio
import os

import pytest

from kho.oci.digest import Digest
from tests.flows.client import Exchange
from tests.flows.databases import on_both_databases
from tests.flows.registry import Registry

CONTENT = bytes(range(256)) * 8192
DIGEST = Digest.of(CONTENT)
CHUNKED = [("Transfer-Encoding", "chunked")]
PIECE = 128 * 1024
BLOB_PIECE = 256 * 1024


def status_of(exchange: Exchange) -> int | None:
    """What the log says: nobody reads the answer."""
    return exchange.messages[0]["status"] if exchange.messages else None


@on_both_databases
@pytest.mark.parametrize("headers", [CHUNKED, [("Content-Length", str(len(CONTENT)))]])
async def test_a_client_that_leaves_in_mid_body_goes_on_where_it_was(
    registry: Registry, headers: list[tuple[str, str]]
) -> None:
    location = await registry.open_upload("a")
    async with registry.client.exchange("PATCH", location, headers) as exchange:
        exchange.send(CONTENT[:700_000])
        exchange.send(CONTENT[700_000:1_500_000])
        exchange.disconnect()
        await exchange.finished()
        assert status_of(exchange) in {None, 400}
    await registry.restart()
    client = registry.client
    assert (await client.get(location))["Range"] == "0-1499999"
    assert (await client.patch(location, CONTENT[1_500_000:])).status == 202
    assert (await client.put(f"{location}?digest={DIGEST}")).status == 201
    assert (await client.get(f"/v2/a/blobs/{DIGEST}")).body == CONTENT


@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_a_cut_body_never_becomes_a_blob(registry: Registry, method: str) -> None:
    # What came hashes to a digest of its own: only the announced length tells that it was cut.
    part = CONTENT[:100_000]
    location = await registry.open_upload("a") if method == "PUT" else "/v2/a/blobs/uploads/"
    target, length = f"{location}?digest={Digest.of(part)}", [("Content-Length", "200000")]
    for clean_end in (False, True):
        async with registry.client.exchange(method, target, length) as exchange:
            exchange.send(part, more=not clean_end)
            exchange.disconnect()
            await exchange.finished()
            assert status_of(exchange) != 201
    assert (await registry.client.head(f"/v2/a/blobs/{Digest.of(part)}")).status == 404
    if method == "POST":
        assert list((registry.folder / "uploads").iterdir()) == []


async def test_a_cut_manifest_is_not_stored(registry: Registry) -> None:
    async with registry.client.exchange("PUT", "/v2/a/manifests/1", CHUNKED) as exchange:
        exchange.send(b'{"schemaVersion": 2')
        exchange.disconnect()
        await exchange.finished()
        assert status_of(exchange) != 201
    assert (await registry.client.get("/v2/a/tags/list")).status == 404


async def test_a_cut_chunk_does_not_hide_how_far_it_came(registry: Registry) -> None:
    location = await registry.open_upload("a")
    span = [("Content-Range", "0-999999"), ("Content-Length", "1000000")]
    async with registry.client.exchange("PATCH", location, span) as exchange:
        exchange.send(CONTENT[:300_000])
        exchange.disconnect()
        await exchange.finished()
    assert (await registry.client.get(location))["Range"] == "0-299999"


@pytest.mark.settings(http__idle_seconds=0.1)
@pytest.mark.parametrize("target", ["upload", "/v2/a/manifests/1"])
async def test_a_stalled_writer_is_dropped(registry: Registry, target: str) -> None:
    location = await registry.open_upload("a")
    method = "PATCH" if target == "upload" else "PUT"
    target = location if target == "upload" else target
    async with registry.client.exchange(method, target, CHUNKED) as exchange:
        exchange.send(CONTENT[:5000])
        await exchange.finished()
        assert exchange.answer is not None
        assert exchange.answer.status == 408
        assert exchange.answer["Connection"] == "close"
    if method == "PATCH":
        assert (await registry.client.get(location))["Range"] == "0-4999"


@pytest.mark.settings(http__grace_seconds=0, http__minimum_rate="1GiB")
async def test_a_dripping_writer_is_dropped(registry: Registry) -> None:
    location = await registry.open_upload("a")
    async with registry.client.exchange("PATCH", location, CHUNKED) as exchange:
        while exchange.answer is None:
            exchange.send(b"x")
            await asyncio.sleep(0.001)
        assert exchange.answer.status == 408


@pytest.mark.settings(http__idle_seconds=0.1)
async def test_a_stalled_reader_costs_one_piece_and_is_dropped(registry: Registry) -> None:
    await registry.push_blob("a", CONTENT)
    target = f"/v2/a/blobs/{DIGEST}"
    async with registry.client.exchange("GET", target, gated=True) as exchange:
        exchange.allow(2)
        await exchange.finished()
        assert exchange.error is not None
        assert exchange.answer is None
        assert len(exchange.body) <= 3 * BLOB_PIECE


@pytest.mark.settings(http__idle_seconds=0.1)
async def test_a_stalled_reader_of_a_long_manifest_is_dropped(registry: Registry) -> None:
    await registry.push_image("a", "1", annotations={"x": "y" * 1_000_000})
    async with registry.client.exchange("GET", "/v2/a/manifests/1", gated=True) as exchange:
        exchange.allow(2)
        await exchange.finished()
        assert exchange.error is not None
        assert len(exchange.body) <= 3 * PIECE


@pytest.mark.settings(http__grace_seconds=0, http__minimum_rate="1MiB")
async def test_a_dripping_reader_is_dropped(registry: Registry) -> None:
    await registry.push_blob("a", CONTENT)
    async with registry.client.exchange("GET", f"/v2/a/blobs/{DIGEST}", gated=True) as exchange:
        while exchange.error is None:
            await asyncio.sleep(0.3)
            exchange.allow(1)
        assert len(exchange.body) < len(CONTENT)


async def test_a_reader_that_leaves_ends_the_reading(registry: Registry) -> None:
    await registry.push_blob("a", CONTENT)
    async with registry.client.exchange("GET", f"/v2/a/blobs/{DIGEST}", gated=True) as exchange:
        exchange.send(b"", more=False)
        exchange.allow(2)
        await asyncio.sleep(0)
        exchange.disconnect()
        await asyncio.sleep(0.01)
        exchange.allow(100)
        await exchange.finished()
        assert exchange.answer is None
        assert len(exchange.body) < len(CONTENT)


async def test_a_slow_reader_gets_everything(registry: Registry) -> None:
    await registry.push_blob("a", CONTENT)
    async with registry.client.exchange("GET", f"/v2/a/blobs/{DIGEST}", gated=True) as exchange:
        while exchange.answer is None:
            exchange.allow(1)
            await asyncio.sleep(0)
        assert exchange.answer.body == CONTENT


async def test_a_file_cut_while_it_is_read_cuts_the_connection(registry: Registry) -> None:
    await registry.push_blob("a", CONTENT)
    async with registry.client.exchange("GET", f"/v2/a/blobs/{DIGEST}", gated=True) as exchange:
        exchange.allow(1)
        await exchange.answering()
        with registry.blob_file(DIGEST).open("r+b") as file:
            file.truncate(PIECE + 5)
        exchange.allow(100)
        await exchange.finished()
        assert exchange.error is not None
        assert exchange.answer is None
        assert CONTENT.startswith(exchange.body)
    assert (await registry.client.head(f"/v2/a/blobs/{DIGEST}")).status == 404


@on_both_databases
async def test_two_writers_of_one_session_take_turns(registry: Registry) -> None:
    location = await registry.open_upload("a")
    other = await registry.start()
    async with registry.client.exchange("PATCH", location, CHUNKED) as exchange:
        exchange.send(CONTENT[:1000])
        await exchange.taken()
        late = asyncio.create_task(other.patch(location, CONTENT[1000:]))
        await asyncio.sleep(0.05)
        assert not late.done()
        exchange.send(b"", more=False)
        await exchange.finished()
        assert exchange.answer is not None
        assert exchange.answer["Range"] == "0-999"
        assert (await late)["Range"] == f"0-{len(CONTENT) - 1}"
    assert (await other.put(f"{location}?digest={DIGEST}")).status == 201


@on_both_databases
async def test_a_session_cancelled_while_it_is_written(registry: Registry) -> None:
    location = await registry.open_upload("a")
    async with registry.client.exchange("PATCH", location, CHUNKED) as exchange:
        exchange.send(CONTENT)
        await exchange.taken()
        assert (await registry.client.delete(location)).status == 204
        exchange.send(b"", more=False)
        await exchange.finished()
        assert status_of(exchange) == 404
    assert list((registry.folder / "uploads").iterdir()) == []


async def test_readers_give_their_files_back(registry: Registry) -> None:
    await registry.push_blob("a", CONTENT)
    target = f"/v2/a/blobs/{DIGEST}"
    await registry.client.get(target)
    before = len(os.listdir("/proc/self/fd"))
    for headers in (
        [],
        [("Range", "bytes=0-5")],
        [("Range", "bytes=9-1")],
        [("If-None-Match", "*")],
    ):
        await registry.client.get(target, *headers)
        await registry.client.request("HEAD", target, headers=headers)
    async with registry.client.exchange("GET", target, gated=True) as exchange:
        exchange.allow(1)
        await asyncio.sleep(0.01)
    assert len(os.listdir("/proc/self/fd")) == before
