"""Run under strace: lazy and durable writes, with a mark on standard error before each."""

import asyncio
import os
import sys

from kho.server.database import uploads
from kho.server.database.drivers.sqlite import SqliteDatabase
from kho.server.database.drivers.turnstile import Turnstile
from kho.server.database.open import migrate, open_database
from tests.contracts.database.samples import put_blob

ACTS = ("lazy", "durable", "behind", "durable", "behind", "lazy", "durable")


def _mark(text: str) -> None:
    os.write(2, f"MARK {text}\n".encode())


async def _behind(database: SqliteDatabase, path: str, number: int) -> None:
    """A lazy write that must go the long way, since somebody else is writing."""
    turnstile = Turnstile(path)
    with turnstile:
        task = asyncio.create_task(_lazy(database, number))
        await asyncio.sleep(0.02)
    await task
    turnstile.close()


async def _lazy(database: SqliteDatabase, number: int) -> None:
    await database.write_lazily(uploads.create, f"id-{number}", "a", "me", "sha256")


async def main(path: str) -> None:
    """Each act between two marks."""
    migrate(f"sqlite:///{path}")
    database = await open_database(f"sqlite:///{path}")
    assert isinstance(database, SqliteDatabase)
    await database.write(put_blob, "a", 0)  # the head of the log is flushed once
    for number, act in enumerate(ACTS, 1):
        _mark(act)
        if act == "durable":
            await database.write(put_blob, "a", number)
        elif act == "lazy":
            await _lazy(database, number)
        else:
            await _behind(database, path, number)
    _mark("end")
    await database.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
