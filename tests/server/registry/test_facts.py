"""What a repository's row says is what its rows say, after whatever has happened to it."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress

import pytest
from sqlalchemy import literal_column, select

from kho.oci.digest import Digest
from kho.oci.errors import NameUnknown
from kho.server.database import facts, schema
from kho.server.database.engine import Transaction
from kho.server.database.statement import Statement
from kho.server.policy.access import ANYONE, Caller
from kho.server.registry import dissolution, filling
from kho.server.resources import Resources
from tests.faults.scale import rounds
from tests.flows.client import Client
from tests.flows.databases import on_both_databases
from tests.flows.registry import Registry
from tests.oci.samples import encode, image, index

NAMES = ("a", "a/b", "c")
TAGS = ("1", "2", "latest")
CONFIGS = [encode({"os": "linux", "architecture": name}) for name in ("amd64", "arm64")]
LAYERS = [bytes([number]) * 50 * number for number in range(1, 4)]
IMAGES = [encode(image(config, *LAYERS[number:])) for config in CONFIGS for number in (0, 1, 2)]
INDEX = encode(index(*IMAGES[:2]))
MANIFESTS = [*IMAGES, INDEX]
CALLER = Caller(ANYONE)
pytestmark = pytest.mark.settings(index__files=False)


def resources_of(registry: Registry) -> Resources:
    found = registry.workers[-1].app.resources
    assert found is not None
    return found


async def act(client: Client, chosen: random.Random) -> None:
    """One request, which may be refused."""
    name, tag = chosen.choice(NAMES), chosen.choice(TAGS)
    blob = chosen.choice([*CONFIGS, *LAYERS])
    body = chosen.choice(MANIFESTS)
    at = f"/v2/{name}"
    kind = chosen.choice(("blob", "blob", "mount", "manifest", "manifest", "tags", "untag", "gone"))
    if kind == "blob":
        await client.post(f"{at}/blobs/uploads/?digest={Digest.of(blob)}", blob)
    elif kind == "mount":
        await client.post(
            f"{at}/blobs/uploads/?mount={Digest.of(blob)}&from={chosen.choice(NAMES)}"
        )
    elif kind == "manifest":
        await client.put(f"{at}/manifests/{chosen.choice((tag, str(Digest.of(body))))}", body)
    elif kind == "tags":
        await client.put(f"{at}/manifests/{Digest.of(body)}?tag={tag}&tag=more", body)
    elif kind == "untag":
        await client.request("DELETE", f"{at}/manifests/{tag}")
    else:
        path = chosen.choice((f"manifests/{Digest.of(body)}", f"blobs/{Digest.of(blob)}"))
        await client.request("DELETE", f"{at}/{path}")


async def wrong(resources: Resources) -> list[object]:
    """What rows say that a recount does not."""
    row, image_row, tag = schema.repositories.c, schema.images.c, schema.tags.c
    said = Statement(select(row.id, row.size, row.tag_count).where(row.indexed == 1))
    known = select(image_row.manifest_id)
    unknown = Statement(select(schema.manifests.c.id).where(schema.manifests.c.id.not_in(known)))
    sizes = Statement(
        select(tag.name, tag.size, image_row.total_size)
        .join(
            schema.manifests,
            (schema.manifests.c.repository_id == tag.repository_id)
            & (schema.manifests.c.digest == tag.digest),
        )
        .join(schema.images, image_row.manifest_id == schema.manifests.c.id)
        .where((tag.size != image_row.total_size) | (tag.natural_key == literal_column("''")))
    )

    async def look(tx: Transaction) -> list[object]:
        found: list[object] = [*await tx.all(unknown), *await tx.all(sizes)]
        for number, size, count in await tx.all(said):
            counted = await tx.one(facts._COUNT, of=number)
            assert counted is not None
            if (size, count) != counted[:2]:
                found.append((number, size, count, counted))
        return found

    return await resources.database.read(look)


@on_both_databases
@pytest.mark.parametrize("seed", range(3))
async def test_after_any_sequence_it_is_what_a_recount_finds(registry: Registry, seed: int) -> None:
    chosen = random.Random(seed)
    for _ in range(rounds(short=4, long=40)):
        for _ in range(20):
            await act(registry.client, chosen)
        assert await wrong(resources_of(registry)) == []


@on_both_databases
async def test_pushes_at_once_lose_nothing_and_never_wait_for_each_other(
    registry: Registry,
) -> None:
    await registry.start()
    clients = [worker.client for worker in registry.workers]

    async def work(number: int) -> None:
        chosen = random.Random(number)
        for _ in range(25):
            await act(clients[number % 2], chosen)

    async with asyncio.timeout(60):  # a deadlock costs PostgreSQL a second each
        await asyncio.gather(*map(work, range(8)))
    # An image that is deleted while it is pushed again is left to the job.
    await filling.fill(resources_of(registry))
    assert await wrong(resources_of(registry)) == []


async def fill(registry: Registry, names: Sequence[str]) -> None:
    for name in names:
        for blob in (*CONFIGS, *LAYERS):
            await registry.push_blob(name, blob)
        for body in MANIFESTS:
            await registry.push_manifest(name, Digest.of(body), body)
        for tag in TAGS:
            await registry.push_manifest(name, tag, INDEX)


@on_both_databases
async def test_a_repository_is_deleted_whole(registry: Registry) -> None:
    await fill(registry, ["a", "c"])
    own = b"only here" * 100
    await registry.push_blob("a", own)
    resources = resources_of(registry)
    told = await dissolution.impact(resources, "a")
    assert (told.tags, told.manifests) == (3, len(MANIFESTS))
    assert told.freed == len(own)
    blobs = sum(map(len, {*CONFIGS, *LAYERS}))
    assert told.size == blobs + len(own) + sum(map(len, MANIFESTS))
    assert (await dissolution.dissolve(resources, "a", CALLER)).tags == 3
    assert (await registry.client.get("/v2/a/tags/list")).status == 404
    assert (await registry.client.get("/v2/c/manifests/latest")).status == 200
    assert await wrong(resources) == []
    await fill(registry, ["a"])
    assert await wrong(resources) == []


@on_both_databases
async def test_also_while_it_is_pushed_to(registry: Registry) -> None:
    await fill(registry, ["a"])
    await registry.start()
    resources = resources_of(registry)

    async def push(seed: int) -> None:
        chosen = random.Random(seed)
        for _ in range(60):
            await act(registry.workers[0].client, chosen)

    async def dissolve() -> None:
        for _ in range(6):
            with suppress(NameUnknown):
                await dissolution.dissolve(resources, "a", CALLER)

    await asyncio.gather(push(1), dissolve(), push(2))
    await filling.fill(resources)
    assert await wrong(resources) == []
