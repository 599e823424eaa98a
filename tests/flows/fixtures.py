"""A fresh registry for each test: SQLite and files, or PostgreSQL and files."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from kho.server import telemetry
from kho.server.database.open import migrate
from kho.server.database.schema import metadata
from tests.flows.registry import Registry
from tests.postgres import PostgresServer

EMPTY = ";".join(f"DELETE FROM {table.name}" for table in reversed(metadata.sorted_tables))


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with the newest schema, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "kho.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def shared_database(postgres: PostgresServer) -> str:
    """A PostgreSQL database that each test leaves empty: quicker than one for each."""
    return postgres.create("flows", template="migrated")


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """SQLite, unless the test asks for another dialect by `on_both_databases`."""
    if getattr(request, "param", "sqlite") == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        yield request.getfixturevalue("shared_database")
        server.sql(EMPTY, database="flows")
        return
    template: Path = request.getfixturevalue("migrated_file")
    shutil.copy(template, tmp_path / "kho.db")
    yield f"sqlite:///{tmp_path}/kho.db"


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What `pytest.mark.settings(...)` says, `http__idle_seconds=1` for http.idle_seconds."""
    marker = request.node.get_closest_marker("settings")
    given = {} if marker is None else marker.kwargs
    return {key.replace("__", "."): value for key, value in given.items()}


@pytest.fixture
async def registry(
    tmp_path: Path, database_url: str, settings: dict[str, Any]
) -> AsyncIterator[Registry]:
    """One worker on an empty folder."""
    folder = tmp_path / "data"
    folder.mkdir()
    registry = Registry(folder, database_url, settings)
    telemetry.configure("info", "json", access=True)  # whatever a test before has left
    await registry.start()
    yield registry
    await registry.stop()
