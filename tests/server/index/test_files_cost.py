"""A file of a layer takes at most 100 bytes of either database."""

import os
import re
from contextlib import closing
from pathlib import Path

import pytest

from kho.server.database.drivers.sqlite_connection import sqlite3
from tests.client.layers import Member, file, layer
from tests.flows.databases import on_both_databases
from tests.flows.registry import Registry
from tests.postgres import PostgresServer
from tests.server.index.layered import listed

MOST = 100


def library() -> list[Member]:
    """The files of Python's library by name, in some hundred folders, each of its own content."""
    top = Path(os.__file__).parent
    paths = sorted(str(one.relative_to(top)) for one in top.rglob("*.py"))
    chosen = [
        one for one in paths if not re.search("site-packages|/tests?/|encodings|idlelib", one)
    ]
    return [
        file(f"usr/lib/{one}", os.urandom(8), mtime=number) for number, one in enumerate(chosen)
    ]


def size_of(database_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> int:
    """Bytes, without the room of what is gone."""
    if database_url.startswith("sqlite"):
        copy = tmp_path / "copy.db"
        copy.unlink(missing_ok=True)
        with closing(sqlite3.connect(tmp_path / "kho.db")) as connection:
            connection.execute("VACUUM INTO ?", (str(copy),))
        return copy.stat().st_size
    server: PostgresServer = request.getfixturevalue("postgres")
    server.sql("VACUUM FULL layer_files", database="flows")
    return int(server.sql("SELECT pg_total_relation_size('layer_files')", database="flows"))


@on_both_databases
async def test_a_file_costs_little(
    registry: Registry, database_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    members = library()
    assert len(members) > 500
    before = size_of(database_url, tmp_path, request)
    stack = await listed(registry, layer(*members))
    each = (size_of(database_url, tmp_path, request) - before) / stack.layers[0].files
    print(f"{stack.layers[0].files} files, {each:.1f} bytes each")
    assert 32 < each <= MOST
