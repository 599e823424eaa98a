"""The schema of an SQLite file: read without a trace, changed under the writers' lock."""

import os
from contextlib import closing
from pathlib import Path
from typing import Final

from kho.server.database.drivers.revision import (
    VERSION_QUERY,
    SchemaState,
    judge,
    refuse_newer,
    upgrade,
)
from kho.server.database.drivers.sqlite_connection import connect, create_file, open_file, sqlite3
from kho.server.database.drivers.turnstile import Turnstile
from kho.server.database.errors import UnusableDatabase

_TABLES: Final = (
    "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name <> 'alembic_version'"
)
_HAS_VERSION: Final = "SELECT count(*) FROM sqlite_schema WHERE name = 'alembic_version'"


def stored_state(path: str) -> tuple[SchemaState, str | None]:
    """State and revision; touches nothing, creates nothing. UnusableDatabase says what is wrong."""
    if not Path(path).exists():
        return SchemaState.EMPTY, None
    if not os.access(path, os.R_OK | os.W_OK):
        raise UnusableDatabase(f"{path}: not readable and writable for this user")
    try:
        with closing(open_file(path, mode="ro")) as connection:
            return _state(connection)
    except sqlite3.Error as error:
        raise UnusableDatabase(f"{path}: {error}") from error


def migrate_file(path: str) -> None:
    """Bring the file to the newest revision; a second process waits and finds nothing to do."""
    try:
        create_file(path)
        turnstile = Turnstile(path)
    except OSError as error:
        raise UnusableDatabase(f"{path}: {error.strerror}") from error
    try:
        with closing(turnstile), turnstile, closing(connect(path)) as connection:
            _bring_up(connection)
    except sqlite3.Error as error:
        raise UnusableDatabase(f"{path}: {error}") from error


def _bring_up(connection: "sqlite3.Connection") -> None:
    state, stored = _state(connection)
    if state is SchemaState.NEWER:
        raise refuse_newer(stored)
    if state is SchemaState.CURRENT:
        return
    connection.execute("BEGIN IMMEDIATE")
    for statement in upgrade("sqlite", stored):
        connection.execute(statement)
    connection.execute("COMMIT")


def _state(connection: "sqlite3.Connection") -> tuple[SchemaState, str | None]:
    stored: str | None = None
    if connection.execute(_HAS_VERSION).fetchone()[0]:
        row = connection.execute(VERSION_QUERY).fetchone()
        stored = None if row is None else row[0]
    tables: int = connection.execute(_TABLES).fetchone()[0]
    return judge(stored, tables=tables), stored
