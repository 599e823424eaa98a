"""Who takes part: a database enrols with a few lines that make an empty one and return its URL."""

import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from kho.server.database.drivers.sqlite_connection import create_file, open_file
from kho.server.database.engine import Database
from kho.server.database.open import open_database
from kho.server.database.schema import metadata
from tests.postgres import PostgresServer

# Children first. Quicker than a new database for each test, and than TRUNCATE.
EMPTY = ";".join(f"DELETE FROM {table.name}" for table in reversed(metadata.sorted_tables))
ENROLLED = ("sqlite", "postgresql")
_numbers = count()


@pytest.fixture(params=ENROLLED)
def dialect(request: pytest.FixtureRequest) -> str:
    """Every test that asks for a database runs once for each dialect."""
    name: str = request.param
    return name


@pytest.fixture
def empty_url(dialect: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without a schema."""
    if dialect == "sqlite":
        yield f"sqlite:///{tmp_path}/kho.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    name = f"empty{next(_numbers)}"
    yield server.create(name)
    server.drop(name)


@pytest.fixture
def url(dialect: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database with the newest schema and no rows."""
    if dialect == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_file"), tmp_path / "kho.db")
        yield f"sqlite:///{tmp_path}/kho.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    server.sql(EMPTY, database="kho")
    yield server.url("kho")


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    """One worker's database."""
    opened = await open_database(url)
    yield opened
    await opened.close()


@pytest.fixture
async def other(url: str) -> AsyncIterator[Database]:
    """The same database, opened once more as another worker would."""
    opened = await open_database(url)
    yield opened
    await opened.close()


@pytest.fixture
def run_sql(url: str, request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Run a statement behind the program's back; its rows as text, columns joined by `|`."""
    return _runner(url, request)


@pytest.fixture
def sql(empty_url: str, request: pytest.FixtureRequest) -> Callable[[str], str]:
    """The same on the database that starts without a schema."""
    return _runner(empty_url, request)


def _runner(url: str, request: pytest.FixtureRequest) -> Callable[[str], str]:
    if url.startswith("sqlite"):
        return lambda statement: _run_sqlite(url.removeprefix("sqlite:///"), statement)
    server: PostgresServer = request.getfixturevalue("postgres")
    name = url.partition("@/")[2].partition("?")[0]
    return lambda statement: server.sql(statement, database=name)


def _run_sqlite(path: str, statement: str) -> str:
    create_file(path)
    connection = open_file(path, mode="rw")
    try:
        rows = connection.execute(statement).fetchall()
    finally:
        connection.close()
    return "\n".join("|".join(map(str, row)) for row in rows)
