"""A URL becomes a database; its schema is looked at, made and kept up to date."""

import asyncio
from typing import Final

from kho.server.database.drivers import sqlite_schema
from kho.server.database.drivers.local_disk import require_local
from kho.server.database.drivers.revision import SchemaState, refuse_unready
from kho.server.database.drivers.sqlite import SqliteDatabase
from kho.server.database.drivers.sqlite_connection import require_sound_version, sqlite3
from kho.server.database.engine import Database
from kho.server.database.errors import UnreachableDatabase, UnusableDatabase

__all__ = ["SchemaState", "check", "is_file", "migrate", "open_database"]

# Only who uses PostgreSQL imports its driver: 15 ms and 2 MB.
_SQLITE: Final = "sqlite:///"
_POSTGRESQL: Final = ("postgresql://", "postgres://")


async def open_database(url: str, *, connections: int | None = None) -> Database:
    """Open for one worker, on its running loop; the schema must be current.

    `sqlite:////absolute/path/kho.db`, or `postgresql://user:password@host:port/name?host=/socket/folder`
    with at most so many `connections`, else as many as a worker wants. Raises UnusableDatabase. A
    PostgreSQL server that is down is no obstacle: what is asked of it raises Unavailable until it
    is back.
    """
    path = _file(url)
    if path is not None:
        _require_safe(path)
        state, stored = sqlite_schema.stored_state(path)
        if state is not SchemaState.CURRENT:
            raise refuse_unready(state, stored)
        return SqliteDatabase(path)
    return await _open_server(url, connections)


async def _open_server(url: str, connections: int | None) -> Database:
    from kho.server.database.drivers import postgres_schema  # noqa: PLC0415
    from kho.server.database.drivers.postgres import CONNECTIONS, PostgresDatabase  # noqa: PLC0415

    connections = connections or CONNECTIONS
    try:
        state, stored = await asyncio.to_thread(postgres_schema.stored_state, url)
    except UnreachableDatabase:
        return await PostgresDatabase.open(url, connections=connections)
    if state is not SchemaState.CURRENT:
        raise refuse_unready(state, stored)
    return await PostgresDatabase.open(url, connections=connections)


def check(url: str) -> SchemaState:
    """Compare the stored revision with the program's, touching nothing; or UnusableDatabase."""
    path = _file(url)
    if path is None:
        from kho.server.database.drivers import postgres_schema  # noqa: PLC0415

        return postgres_schema.stored_state(url)[0]
    _require_safe(path)
    return sqlite_schema.stored_state(path)[0]


def migrate(url: str) -> None:
    """Create the schema or bring it up to date, one process at a time.

    UnusableDatabase for one that is newer than the program, which stays untouched.
    """
    path = _file(url)
    if path is None:
        from kho.server.database.drivers import postgres_schema  # noqa: PLC0415

        postgres_schema.migrate_server(url)
    else:
        _require_safe(path)
        sqlite_schema.migrate_file(path)


def is_file(url: str) -> bool:
    """Whether it is SQLite; raise UnusableDatabase when it is neither."""
    return _file(url) is not None


def _require_safe(path: str) -> None:
    require_sound_version(sqlite3.sqlite_version_info)
    require_local(path)


def _file(url: str) -> str | None:
    """The path of an SQLite URL, None for PostgreSQL."""
    if url.startswith(_SQLITE) and len(url) > len(_SQLITE):
        return url.removeprefix(_SQLITE)
    if url.startswith(_POSTGRESQL):
        return None
    scheme = url.partition(":")[0]
    raise UnusableDatabase(
        f"{scheme}: not a database this server knows; use sqlite:////folder/kho.db or "
        "postgresql://user:password@host/name"
    )
