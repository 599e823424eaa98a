"""Repositories of an older version: the index finds out what it would have learnt of the pushes."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

from kho.oci.digest import Digest
from kho.server.database.drivers.revision import _MIGRATIONS
from kho.server.database.drivers.sqlite_connection import create_file, open_file
from kho.server.database.engine import Transaction
from kho.server.database.open import migrate
from kho.server.database.statement import Statement
from kho.server.registry import filling
from kho.server.resources import Resources
from tests.flows.registry import Registry
from tests.oci.samples import encode, image, index
from tests.postgres import PostgresServer

pytestmark = pytest.mark.settings(index__files=False)
BEFORE = (
    *("repositories", "blobs", "repository_blobs", "manifests", "manifest_references"),
    *("tags", "tag_history", "uploads"),
)
NEW = {"repositories": 5, "tags": 4}  # columns that the older version has
FACTS = (
    "SELECT name, size, tag_count, indexed, pushed_at > 0 FROM repositories ORDER BY 1",
    "SELECT name, natural_key, size, pushed_by FROM tags ORDER BY 1",
    (
        "SELECT digest, kind, platforms, config_digest, layers, total_size, built_at, labels"
        " FROM images JOIN manifests ON id = manifest_id ORDER BY repository_id, digest"
    ),
    "SELECT source FROM search_documents ORDER BY repository_id",
)


def config(architecture: str, **labels: str) -> bytes:
    return encode(
        {
            "os": "linux",
            "architecture": architecture,
            "created": "2026-11-20T10:11:12.123456789Z",
            "config": {"Labels": labels},
        }
    )


async def push_all(registry: Registry) -> None:
    """Images, an index, an artifact, what is not tagged, what is deleted, a damaged config."""
    bodies = []
    for architecture in ("amd64", "arm64"):
        content = config(architecture, maintainer="who", **{"org.opencontainers.image.title": "T"})
        for blob in (content, b"layer" * 100):
            await registry.push_blob("team/app", blob)
        bodies.append(encode(image(content, b"layer" * 100, annotations={"a": architecture})))
        await registry.push_manifest("team/app", Digest.of(bodies[-1]), bodies[-1])
    for tag in ("1.9", "1.10", "latest"):
        await registry.push_manifest("team/app", tag, index(*bodies))
    await registry.push_manifest("team/app", "amd64", bodies[0])
    artifact = image(b"{}", b"signature", artifactType="application/x-signature")
    for blob in (b"{}", b"signature"):
        await registry.push_blob("team/app", blob)
    await registry.push_manifest("team/app", Digest.of(encode(artifact)), encode(artifact))
    await registry.push_image("other", "gone", b"x" * 1000)
    await registry.push_image("other", "v2", b"y" * 2000)
    assert (await registry.client.request("DELETE", "/v2/other/manifests/gone")).status == 202
    await registry.push_blob("third", b"only a blob")
    broken = config("s390x")
    await registry.push_blob("other", broken)
    await registry.push_manifest("other", "broken", image(broken))


def older(dialect: str) -> list[str]:
    """The statements that made a database of revision 0002."""
    buffer = StringIO()
    settings = Config(output_buffer=buffer)
    settings.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    settings.set_main_option("dialect", dialect)
    command.upgrade(settings, "base:0002", sql=True)
    return [one for one in buffer.getvalue().split(";\n") if one.strip()]


def literal(value: object, dialect: str) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"X'{value.hex()}'" if dialect == "sqlite" else f"'\\x{value.hex()}'"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return str(value)


def rows_as_sql(path: Path, dialect: str) -> Iterator[str]:
    connection = open_file(str(path), mode="ro")
    for table in BEFORE:
        found = connection.execute(f"SELECT * FROM {table}")
        names = [column[0] for column in found.description][: NEW.get(table)]
        for row in found.fetchall():
            values = ", ".join(literal(value, dialect) for value in row[: len(names)])
            yield f"INSERT INTO {table} ({', '.join(names)}) VALUES ({values})"
        if dialect == "postgresql" and "id" in names and table != "uploads":
            biggest = f"(SELECT coalesce(max(id), 1) FROM {table})"
            yield f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), {biggest})"
    connection.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Dialect and URL of an empty database."""
    if request.param == "sqlite":
        create_file(str(tmp_path / "older.db"))
        yield "sqlite", f"sqlite:///{tmp_path}/older.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    yield "postgresql", server.create("older")
    server.drop("older")


@pytest.fixture
async def migrated(
    registry: Registry,
    target: tuple[str, str],
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> AsyncIterator[Registry]:
    """The same folder on a database that an older version made, brought up to date."""
    dialect, url = target
    await push_all(registry)
    statements = [*older(dialect), *rows_as_sql(tmp_path / "kho.db", dialect)]
    if dialect == "sqlite":
        connection = open_file(str(tmp_path / "older.db"), mode="rw")
        for statement in statements:
            connection.execute(statement)
        connection.close()
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        server.sql(";\n".join(statements), database="older")
    migrate(url)
    found = Registry(registry.folder, url, {"index.files": False})
    await found.start()
    yield found
    await found.stop()


def resources_of(registry: Registry) -> Resources:
    found = registry.workers[-1].app.resources
    assert found is not None
    return found


async def facts(registry: Registry) -> list[list[tuple[Any, ...]]]:
    """What the tables say."""

    async def look(tx: Transaction) -> list[list[tuple[Any, ...]]]:
        return [
            [tuple(map(int_of, row)) for row in await tx.all(Statement(text(query)))]
            for query in FACTS
        ]

    return await resources_of(registry).database.read(look)


def int_of(value: object) -> object:
    return int(value) if isinstance(value, bool) else value


async def test_what_was_there_is_found_out(registry: Registry, migrated: Registry) -> None:
    expected = await facts(registry)
    assert expected[0][0][0] == "other"
    assert await facts(migrated) != expected
    assert await filling.fill(resources_of(migrated)) == 3
    for found, wanted in zip(await facts(migrated), expected, strict=True):
        assert found == wanted
    assert await filling.fill(resources_of(migrated)) == 0


@pytest.mark.settings(index__enabled=False, index__files=False)
async def test_what_is_pushed_while_the_index_is_off_is_known_all_the_same(
    registry: Registry, tmp_path: Path
) -> None:
    """So that nothing is to be found out when it is switched on."""
    url = f"sqlite:///{tmp_path}/on.db"
    create_file(str(tmp_path / "on.db"))
    migrate(url)
    always_on = Registry(tmp_path / "on", url, {"index.files": False})
    (tmp_path / "on").mkdir()
    await always_on.start()
    try:
        await push_all(registry)
        await push_all(always_on)
        assert await facts(registry) == await facts(always_on)
    finally:
        await always_on.stop()
    assert await filling.fill(resources_of(registry)) == 0


async def test_workers_share_it_and_go_on_where_one_was_killed(
    registry: Registry, migrated: Registry
) -> None:
    expected = await facts(registry)
    for _ in range(2):
        await migrated.start()
    resources = [worker.app.resources for worker in migrated.workers]
    tasks = [asyncio.create_task(filling.fill(one)) for one in resources if one is not None]
    await asyncio.sleep(random.uniform(0, 0.02))
    tasks[0].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await filling.fill(resources_of(migrated))
    assert await facts(migrated) == expected


async def test_pushes_meanwhile_are_counted(registry: Registry, migrated: Registry) -> None:
    async def push(number: int) -> None:
        await migrated.push_image("other", f"new{number}", b"n" * number)

    await asyncio.gather(
        filling.fill(resources_of(migrated)), *(push(number) for number in range(1, 8))
    )
    for number in range(1, 8):
        await registry.push_image("other", f"new{number}", b"n" * number)
    found, wanted = await facts(migrated), await facts(registry)
    assert [found[0], sorted(found[1]), found[2]] == [wanted[0], sorted(wanted[1]), wanted[2]]


async def test_rebuild_mends_what_is_wrong(registry: Registry) -> None:
    await push_all(registry)
    resources = resources_of(registry)
    expected = await facts(registry)
    connection = open_file(str(registry.folder.parent / "kho.db"), mode="rw")
    for spoil in (
        "UPDATE repositories SET size = 5, tag_count = 77",
        "UPDATE images SET platforms = '[]', total_size = 1, labels = NULL",
        "UPDATE tags SET natural_key = '', size = 3",
    ):
        connection.execute(spoil)
    connection.close()
    assert await filling.rebuild(resources, "nothing", by="operator") == 0
    assert await filling.rebuild(resources, "other", by="operator") == 1
    assert await filling.fill(resources) == 1
    assert (await facts(registry))[0][1] != expected[0][1]
    assert await filling.rebuild(resources, None, by="operator") == 3
    assert await filling.fill(resources) == 3
    assert await facts(registry) == expected


async def test_one_that_cannot_be_read_does_not_hold_up_the_others(registry: Registry) -> None:
    await push_all(registry)
    resources = resources_of(registry)
    connection = open_file(str(registry.folder.parent / "kho.db"), mode="rw")
    connection.execute("UPDATE manifests SET body = X'00'")
    connection.close()
    await filling.rebuild(resources, None, by="operator")
    assert await filling.fill(resources) == 3
    assert {row[3] for row in (await facts(registry))[0]} == {1}
