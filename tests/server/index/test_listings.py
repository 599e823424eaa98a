"""The job that lists layers: every end of it is told, and nothing is left behind."""

import asyncio
import gzip

import pytest
from sqlalchemy import func, select, update

from kho.oci.digest import Digest
from kho.server.database import layer_listings as rows
from kho.server.database.engine import Transaction
from kho.server.database.index_schema import layer_files, layer_listings
from kho.server.database.statement import Statement
from kho.server.index.files.stack import Layer, State, stack_of
from kho.server.inspection.order import Bounds
from kho.server.jobs import listings
from kho.server.resources import Resources
from tests.client.layers import file, layer
from tests.flows.databases import on_both_databases
from tests.flows.registry import Registry
from tests.oci.samples import encode, image
from tests.server.index.layered import REPOSITORY, listed, push_layers, resources_of, settled

_ATTEMPTS = Statement(select(layer_listings.c.attempts).order_by(layer_listings.c.attempts))
_PARTS = Statement(select(func.count()).select_from(layer_files))
_LATER = Statement(update(layer_listings).values(lease_until=0))
LAYER = gzip.compress(layer(file("a/b", b"content")), mtime=0)
CONFIG = b'{"os": "linux", "architecture": "amd64"}'


async def later(resources: Resources) -> None:
    async def run_out(tx: Transaction) -> None:
        await tx.run(_LATER)

    await resources.database.write(run_out)


async def only(resources: Resources, digest: Digest) -> Layer:
    return (await stack_of(resources, REPOSITORY, [digest])).layers[0]


@on_both_databases
async def test_a_push_has_its_layers_listed(registry: Registry) -> None:
    await push_layers(registry, LAYER)
    await registry.push_blob(REPOSITORY, CONFIG)
    await registry.push_manifest(REPOSITORY, "1", encode(image(CONFIG, LAYER)))
    stack = await settled(resources_of(registry), [Digest.of(LAYER)])
    assert [(one.state, one.files, one.total_size) for one in stack.layers] == [(State.DONE, 2, 7)]


@pytest.mark.settings(index__files=False)
async def test_it_can_be_switched_off(registry: Registry) -> None:
    await push_layers(registry, LAYER)
    await registry.push_blob(REPOSITORY, CONFIG)
    await registry.push_manifest(REPOSITORY, "1", encode(image(CONFIG, LAYER)))
    resources = resources_of(registry)
    assert await listings.work(resources) == 0
    assert (await only(resources, Digest.of(LAYER))).state is State.UNASKED


async def test_a_bad_layer_is_refused_with_its_reason(registry: Registry) -> None:
    stack = await listed(registry, b"not a tar" * 200, LAYER[:-9], packed=False)
    assert [one.state for one in stack.layers] == [State.REFUSED, State.REFUSED]
    assert stack.layers[0].reason.startswith("not a tar layer: ")
    assert stack.layers[1].reason == "the gzip stream is cut off"
    assert stack.ids == (None, None)


async def count_parts(resources: Resources) -> int:
    async def count(tx: Transaction) -> int:
        row = await tx.one(_PARTS)
        assert row is not None
        return int(row[0])

    return await resources.database.read(count)


async def test_a_list_is_no_more_than_a_layer_can_account_for(registry: Registry) -> None:
    # Each name stands in forty folders of its own: 7 KB that would be some 4 MB of rows.
    deep = gzip.compress(layer(*(file(f"{n}" + "/a" * 40, b"") for n in range(1000))), 9)
    assert len(deep) < 20_000
    stack = await listed(registry, deep, packed=False)
    assert stack.layers[0].state is State.REFUSED
    assert stack.layers[0].reason.startswith("the list of its files has more than 1")
    assert await count_parts(resources_of(registry)) == 0


async def attempt(resources: Resources, bounds: Bounds) -> int:
    """What the job of a worker does, here without one; then the lease has run out."""
    held = await resources.database.write(rows.lease, 60_000)
    assert held is not None
    await listings._look(resources, held, bounds)
    await later(resources)
    return held.attempt


@pytest.mark.settings(index__files=False)
async def test_what_is_surely_no_layer_gets_no_process(registry: Registry) -> None:
    """With no time at all a process would only fail."""
    resources = resources_of(registry)
    for number, content in enumerate((b"{}", bytes(range(256)) * 9, b"\xfd7zXZ\0" + bytes(600))):
        (digest,) = await push_layers(registry, content)
        await resources.database.write(rows.request, [digest])
        assert await attempt(resources, Bounds(seconds=0.001)) == 1, number
        assert (await only(resources, digest)).reason.startswith("not a tar layer: ")


@on_both_databases
async def test_many_that_are_no_layers_are_refused_together(registry: Registry) -> None:
    """Nobody leases them one by one; what may be a layer is listed all the same."""
    resources = resources_of(registry)
    bad = await push_layers(registry, *(b"no layer %d" % number for number in range(60)))
    good = await push_layers(registry, LAYER)
    await resources.database.write(rows.request, [*bad, *good])
    stack = await settled(resources, [*bad, *good])
    assert [one.state for one in stack.layers] == [State.REFUSED] * len(bad) + [State.DONE]
    assert {one.reason for one in stack.layers[:-1]} == {listings.NO_TAR}
    leased = await resources.database.read(_all_attempts)
    assert leased == [0] * len(bad) + [1]


async def _all_attempts(tx: Transaction) -> list[int]:
    return [number for (number,) in await tx.all(_ATTEMPTS)]


@on_both_databases
@pytest.mark.settings(index__files=False)
async def test_what_fails_is_tried_three_times(registry: Registry) -> None:
    (digest,) = await push_layers(registry, LAYER)
    resources = resources_of(registry)
    await resources.database.write(rows.request, [digest])
    for number in (1, 2, 3):
        assert await attempt(resources, Bounds(seconds=0.001)) == number
        found = await only(resources, digest)
        assert found.state is (State.RUNNING if number < 3 else State.REFUSED)
    assert found.reason == "the inspection took more than 0 seconds"
    assert not await resources.database.read(rows.is_waiting)


@pytest.mark.settings(index__files=False)
async def test_a_worker_that_dies_again_and_again_is_not_followed(registry: Registry) -> None:
    (digest,) = await push_layers(registry, LAYER)
    resources = resources_of(registry)
    await resources.database.write(rows.request, [digest])
    for _ in range(3):
        await resources.database.write(rows.lease, 60_000)
        await later(resources)
    assert await attempt(resources, Bounds()) == 4
    found = await only(resources, digest)
    assert found.state is State.REFUSED
    assert "begun 3 times" in found.reason


@pytest.mark.settings(index__files=False)
async def test_a_layer_without_bytes_says_so(registry: Registry) -> None:
    (digest,) = await push_layers(registry, LAYER)
    resources = resources_of(registry)
    await resources.storage.delete(digest)
    await resources.database.write(rows.request, [digest])
    for _ in range(3):
        await attempt(resources, Bounds())
    assert (await only(resources, digest)).reason == "its bytes are not stored"


@pytest.mark.settings(index__files=False)
async def test_what_is_stopped_is_given_back(registry: Registry) -> None:
    (digest,) = await push_layers(registry, gzip.compress(layer(file("a", bytes(50_000_000)))))
    resources = resources_of(registry)
    await resources.database.write(rows.request, [digest])
    held = await resources.database.write(rows.lease, 60_000)
    assert held is not None
    looking = asyncio.create_task(listings._look(resources, held, Bounds()))
    await asyncio.sleep(0.1)
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking
    assert (await only(resources, digest)).state is State.WAITING
    assert await attempt(resources, Bounds()) == 1
    assert (await only(resources, digest)).state is State.DONE


async def test_lists_of_deleted_layers_go(registry: Registry) -> None:
    stack = await listed(registry, layer(file("x")))
    resources = resources_of(registry)
    assert await listings.purge(resources) == 0
    path = f"/v2/{REPOSITORY}/blobs/{stack.layers[0].digest}"
    assert (await registry.client.request("DELETE", path)).status == 202
    assert await listings.purge(resources) == 1
