"""Connections to SQLite: a sound version, safe settings, errors in our words."""

import os
import re
from collections.abc import Awaitable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from kho.oci.errors import InsufficientStorage, Unavailable, Words
from kho.server.database.errors import ConstraintViolated, UnusableDatabase
from kho.server.database.statement import Row, Statement, Value
from kho.server.policy.patterns import quick
from kho.server.policy.sight import sees

# The interpreter's own SQLite is older than the fix on most systems; `pysqlite3` brings its own.
if TYPE_CHECKING:
    import sqlite3
else:
    from pysqlite3 import dbapi2 as sqlite3

T = TypeVar("T")

__all__ = [
    "SqliteTransaction",
    "connect",
    "create_file",
    "drive",
    "open_file",
    "require_sound_version",
    "sqlite3",
    "translated",
]

BUSY_MILLISECONDS: Final = 5_000
READ_CACHE_KIB: Final = 16 * 1024
WRITE_CACHE_KIB: Final = 8 * 1024
STATEMENTS: Final = 256

# Fixed in 3.51.3 and in these branches: a checkpoint that races with another process's reset of the
# write-ahead log could lose committed pages.
_FIRST_SOUND: Final = (3, 51, 3)
_SOUND_BRANCHES: Final = {(3, 44): 6, (3, 50): 7}

_FULL: Final = 13
_CONSTRAINT: Final = 19
_PASSING: Final = {
    5: Words("the database is locked"),
    6: Words("the database is locked"),
    7: Words("the database is out of memory"),
    8: Words("the database is read-only"),
    9: Words("the query was interrupted"),
    10: Words("the database's disk fails"),
    11: Words("the database is damaged"),
    14: Words("the database cannot be opened"),
    15: Words("the database is locked"),
    26: Words("the database is damaged"),
}


def require_sound_version(version: tuple[int, int, int]) -> None:
    """Raise UnusableDatabase for an SQLite that can corrupt a database of several processes."""
    branch = _SOUND_BRANCHES.get(version[:2])
    if version >= _FIRST_SOUND or (branch is not None and version[2] >= branch):
        return
    found = ".".join(map(str, version))
    raise UnusableDatabase(
        f"SQLite {found} can corrupt a database that several processes write (the WAL-reset bug); "
        "3.51.3 or newer is needed: reinstall the package pysqlite3"
    )


def connect(path: str, *, read_only: bool = False) -> "sqlite3.Connection":
    """Open an existing database in autocommit mode; `read_only` refuses to change rows."""
    connection = open_file(path, mode="rw")
    cache = READ_CACHE_KIB if read_only else WRITE_CACHE_KIB
    settings = (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "trusted_schema = OFF",
        "temp_store = MEMORY",
        "mmap_size = 0",
        f"cache_size = -{cache}",
        f"query_only = {'ON' if read_only else 'OFF'}",
    )
    try:
        for setting in settings:
            connection.execute(f"PRAGMA {setting}")
        connection.create_function("regexp", 2, _matches, deterministic=True)
        connection.create_function("kho_sees", 4, sees, deterministic=True)
    except BaseException:
        connection.close()
        raise
    return connection


@lru_cache(maxsize=1024)
def _expression(text: str) -> re.Pattern[str]:
    return re.compile(quick(text), re.ASCII | re.DOTALL)


def _matches(expression: str, value: str) -> bool:
    """`value REGEXP expression`, which SQLite leaves to its host."""
    return _expression(expression).search(value) is not None


def open_file(path: str, *, mode: Literal["ro", "rw"]) -> "sqlite3.Connection":
    """A bare connection, which never creates the file."""
    return sqlite3.connect(
        f"file:{_quoted(path)}?mode={mode}",
        uri=True,
        isolation_level=None,
        cached_statements=STATEMENTS,
        timeout=BUSY_MILLISECONDS / 1000,
        check_same_thread=False,
    )


def create_file(path: str) -> None:
    """Make an empty database file that only its owner may read; leave an existing one alone.

    An existing file is not even opened: closing a descriptor of it would drop SQLite's own locks.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return
    os.close(descriptor)
    folder = os.open(Path(path).parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def translated(error: "sqlite3.Error") -> Exception:
    """The error that a caller understands; the same one when it is a mistake of ours."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == _FULL:
        return InsufficientStorage("the database's disk is full")
    if code == _CONSTRAINT:
        return ConstraintViolated(str(error))
    if code in _PASSING:
        return Unavailable("%(trouble)s", trouble=_PASSING[code])
    if isinstance(error, sqlite3.InterfaceError) and "binding parameter" in str(error):
        # What SQLite cannot copy for want of memory is told as if its type were wrong.
        return Unavailable("the database lacks memory")
    return error


class SqliteTransaction:
    """Statements on one connection, executed at once: its coroutines never suspend."""

    __slots__ = ("_execute",)
    alone: Final = True

    def __init__(self, connection: "sqlite3.Connection") -> None:
        self._execute = connection.execute

    async def one(self, statement: Statement, /, **values: Value) -> Row | None:
        """The first row."""
        compiled = statement.sqlite
        row: Row | None = self._execute(compiled.text, compiled.bind(values)).fetchone()
        return row

    async def all(self, statement: Statement, /, **values: Value) -> list[Row]:
        """Every row."""
        compiled = statement.sqlite
        return self._execute(compiled.text, compiled.bind(values)).fetchall()

    async def run(self, statement: Statement, /, **values: Value) -> int:
        """Execute, and count the rows that were affected."""
        compiled = statement.sqlite
        return self._execute(compiled.text, compiled.bind(values)).rowcount


def drive(coroutine: Awaitable[T]) -> T:
    """The result of a coroutine that waits for nothing but its transaction."""
    steps = coroutine.__await__()
    try:
        next(steps)
    except StopIteration as stop:
        result: T = stop.value
        return result
    steps.close()
    raise RuntimeError("the work of a transaction may wait for nothing but its transaction")


def _quoted(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
