"""Pulls and pushes: what clients ask for, and what is counted for it."""

import asyncio

import pytest
from sqlalchemy import literal_column, select, update

from kho.oci.digest import Digest
from kho.oci.errors import Unavailable
from kho.server.database import schema
from kho.server.database import traffic as rows
from kho.server.database.engine import Database, Transaction
from kho.server.database.statement import Statement
from kho.server.index import traffic
from kho.server.resources import Resources
from tests.flows.databases import on_both_databases
from tests.flows.registry import Registry
from tests.oci.samples import encode, image, index

pytestmark = pytest.mark.settings(index__files=False)
CONFIG = b'{"os": "linux", "architecture": "%s"}'


def resources_of(registry: Registry) -> Resources:
    found = registry.workers[-1].app.resources
    assert found is not None
    return found


async def push(registry: Registry) -> tuple[str, list[str]]:
    """An index of two images with the tags `1` and `latest`: its digest, and its children's."""
    children, bodies = [], []
    for architecture in (b"amd64", b"arm64"):
        config = CONFIG % architecture
        await registry.push_blob("a", config)
        bodies.append(encode(image(config)))
        digest = Digest.of(bodies[-1])
        children.append(str(await registry.push_manifest("a", digest, bodies[-1])))
    whole = index(*bodies)
    await registry.push_manifest("a", "1", whole)
    digest = await registry.push_manifest("a", "latest", whole)
    return str(digest), children


async def get(registry: Registry, *references: str) -> None:
    """What one client asks for, `HEAD ` before what it only looks at."""
    for text in references:
        method, _, reference = text.rpartition(" ")
        answer = await registry.client.request(method or "GET", f"/v2/a/manifests/{reference}")
        assert answer.status == 200, answer


async def settled(registry: Registry) -> None:
    """Long enough after, as each worker does it."""
    for worker in registry.workers:
        assert worker.app.resources is not None
        await traffic.flush(worker.app.resources)
    for worker in registry.workers:
        assert worker.app.resources is not None
        await traffic.flush(worker.app.resources)


async def counts(registry: Registry, *, column: str = "pulls") -> dict[str, int]:
    """Of today, by tag; "" is the repository."""
    found = await resources_of(registry).database.read(_days, column)
    return {tag: count for tag, count in found if count}


async def _days(tx: Transaction, column: str) -> list[tuple[str, int]]:
    query = select(schema.traffic.c.tag, schema.traffic.c[column])
    return [(tag, count) for tag, count in await tx.all(Statement(query))]


SEQUENCES = {
    # what the client is, what it asks for: {index} and {child} are digests
    "docker": ("HEAD 1", "{index}", "{child}"),
    "containerd": ("HEAD 1", "{index}", "{child}", "{child}"),
    "podman, skopeo, crane": ("1", "{child}"),
    "buildkit": ("HEAD 1", "{index}", "HEAD {child}", "{child}", "{other}"),
    "kubernetes, by digest": ("HEAD {index}", "{index}", "{child}"),
}


@on_both_databases
@pytest.mark.parametrize("client", SEQUENCES)
async def test_a_pull_of_each_client_counts_once(registry: Registry, client: str) -> None:
    whole, (child, other) = await push(registry)
    for _ in range(3):
        names = {"index": whole, "child": child, "other": other}
        await get(registry, *(one.format(**names) for one in SEQUENCES[client]))
    await settled(registry)
    by_tag = SEQUENCES[client][0] == "1"
    tags = {"1": 3} if by_tag else {"1": 3, "latest": 3}
    assert await counts(registry) == {"": 3, **tags}


@on_both_databases
async def test_also_when_its_requests_go_to_different_workers(registry: Registry) -> None:
    whole, (child, _) = await push(registry)
    first = registry.workers[-1]
    await get(registry, "HEAD 1", whole)
    await registry.start()
    await get(registry, child)
    assert first.app.resources is not None
    await traffic.flush(resources_of(registry))  # of the child's worker, before the other
    await traffic.flush(first.app.resources)
    await settled(registry)
    assert await counts(registry) == {"": 1, "1": 1, "latest": 1}


async def test_a_child_that_is_pulled_alone_counts(registry: Registry) -> None:
    _, (child, _) = await push(registry)
    await get(registry, child, child)
    await traffic.flush(resources_of(registry))
    assert await counts(registry) == {}
    await traffic.flush(resources_of(registry))
    assert await counts(registry) == {"": 2}


async def test_looking_is_not_pulling(registry: Registry) -> None:
    whole, _ = await push(registry)
    await get(registry, "HEAD 1", f"HEAD {whole}")
    for reference, etag, status in (
        ("nothing", "", 404),
        ("1", f'"{whole}"', 304),
    ):
        answer = await registry.client.get(f"/v2/a/manifests/{reference}", ("If-None-Match", etag))
        assert answer.status == status
    await settled(registry)
    assert await counts(registry) == {}


@on_both_databases
async def test_what_rows_say(registry: Registry) -> None:
    whole, (child, _) = await push(registry)
    await get(registry, "latest", child, "latest", child)
    await settled(registry)
    database = resources_of(registry).database

    async def look(tx: Transaction) -> list[tuple[object, ...]]:
        found: list[tuple[object, ...]] = []
        for one in (schema.tags, schema.repositories):
            query = select(one.c.name, one.c.pulls, one.c.pulled_at > literal_column("0"))
            found += await tx.all(Statement(query))
        image = schema.images.c
        query = select(
            schema.manifests.c.digest, image.pulls, image.pulled_at > literal_column("0")
        )
        joined = query.join(schema.manifests, schema.manifests.c.id == image.manifest_id)
        return found + await tx.all(Statement(joined))

    found = {(row[0], row[1], bool(row[2])) for row in await database.read(look)}
    assert {("1", 0, False), ("latest", 2, True), ("a", 2, True)} <= found
    assert {(whole, 2, True), (child, 2, True)} <= found


async def test_pushes(registry: Registry) -> None:
    await push(registry)
    await settled(registry)
    assert await counts(registry, column="pushes") == {"": 4, "1": 1, "latest": 1}


async def test_the_end_of_a_worker_loses_nothing(registry: Registry) -> None:
    _, (child, _) = await push(registry)
    await get(registry, "latest", child)
    await registry.restart()
    assert await counts(registry) == {"": 1, "latest": 1}


async def test_a_day_has_so_many_tags(registry: Registry) -> None:
    await registry.push_image("a", "t0")
    body = encode(image(b"{}"))
    names = [f"t{number}" for number in range(rows.MOST_TAGS + 10)]
    for name in names:
        await registry.push_manifest("a", name, body)
    for name in names:
        await get(registry, name)
    for _ in range(2):
        await settled(registry)
    found = await counts(registry)
    assert len(found) == rows.MOST_TAGS + 1
    assert found[""] == rows.MOST_TAGS + 10


async def test_memory_is_bounded(registry: Registry) -> None:
    resources = resources_of(registry)
    mine = Resources(resources.config, resources.database, resources.storage)
    for number in range(traffic.MOST + 100):
        traffic.pulled(mine, f"r{number}", "t", "sha256:0")
        traffic.pushed(mine, f"r{number}", ("t",))
    counts = mine.memory.keep(traffic._Counts)
    assert (len(counts.pulls), len(counts.pushes)) == (traffic.MOST, traffic.MOST)


class Away:
    """A database that does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.away = True

    async def write_lazily(self, *args: object, **kwargs: object) -> object:
        if self.away:
            raise Unavailable("away")
        return await self._database.write_lazily(*args, **kwargs)  # type: ignore[arg-type]


async def test_counts_wait_for_the_database(registry: Registry) -> None:
    whole, (child, _) = await push(registry)
    resources = resources_of(registry)
    away = Away(resources.database)
    mine = Resources(resources.config, away, resources.storage)  # type: ignore[arg-type]
    for round_ in range(3):
        traffic.pulled(mine, "a", Digest.parse(whole), whole)
        traffic.pulled(mine, "a", Digest.parse(child), child)
        away.away = round_ == 1
        await traffic.flush(mine)
    await traffic.flush(mine, last=True)
    assert await counts(registry) == {"": 3, "1": 3, "latest": 3}


@pytest.mark.settings(workers=2)
@on_both_databases
async def test_workers_that_end_together_count_one_pull(registry: Registry) -> None:
    _, (child, _) = await push(registry)
    await get(registry, "1")
    await registry.start()
    await get(registry, child)  # by the other worker
    first, second = registry.workers

    async def a_moment_later() -> None:
        await asyncio.sleep(0.1)
        await first.stop()

    await asyncio.gather(second.stop(), a_moment_later())
    await registry.start()
    assert await counts(registry) == {"": 1, "1": 1}


@on_both_databases
async def test_old_days_are_forgotten(registry: Registry) -> None:
    await push(registry)
    await get(registry, "1")
    await settled(registry)
    resources = resources_of(registry)
    days = resources.config.index.statistics_days

    async def age(tx: Transaction, by: int) -> None:
        statement = f"day - {by}"
        await tx.run(Statement(update(schema.traffic).values(day=literal_column(statement))))

    await resources.database.write(age, days)
    assert await traffic.expire(resources) == 0
    await resources.database.write(age, 1)
    assert await traffic.expire(resources) == 3
    assert await counts(registry) == {}
