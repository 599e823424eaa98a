"""What the database itself finds wrong with its file."""

import asyncio
from contextlib import closing, suppress
from typing import Final

from kho.server.database.drivers.sqlite_connection import open_file, sqlite3
from kho.server.threads import Threads

_SQLITE: Final = "sqlite:///"
MOST: Final = 100


async def damage(url: str, threads: Threads, *, quick: bool) -> list[str]:
    """Everything that SQLite's own checks tell; PostgreSQL has none that a client could ask for.

    They read one snapshot of the file, in a thread and on a connection of their own: nobody waits.
    Who is cancelled ends them.
    """
    if not url.startswith(_SQLITE):
        return []
    opened: list[sqlite3.Connection] = []
    try:
        return await threads.submit(_check, url.removeprefix(_SQLITE), quick, opened)
    except asyncio.CancelledError:
        for connection in opened:
            with suppress(sqlite3.ProgrammingError):  # closed meanwhile
                connection.interrupt()
        raise


def _check(path: str, quick: bool, opened: list[sqlite3.Connection]) -> list[str]:
    pragma = "quick_check" if quick else "integrity_check"
    try:
        with closing(open_file(path, mode="rw")) as connection:
            opened.append(connection)
            connection.execute("PRAGMA query_only = ON")
            told = [text for (text,) in connection.execute(f"PRAGMA {pragma}({MOST})")]
            found = [] if told == ["ok"] else told
            for table, row, parent, _ in connection.execute("PRAGMA foreign_key_check"):
                found.append(f"row {row} of {table} refers to a row of {parent} that is not there")
                if len(found) >= MOST:
                    break
    except sqlite3.Error as error:
        return [str(error)]
    return found
