"""The schema of a PostgreSQL database: looked at, made and changed under an advisory lock."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeAlias, TypeVar

import asyncpg

from kho.server.database.drivers.revision import (
    VERSION_QUERY,
    SchemaState,
    judge,
    refuse_newer,
    upgrade,
)
from kho.server.database.errors import UnreachableDatabase, UnusableDatabase

T = TypeVar("T")
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

CONNECT_SECONDS: Final = 5.0
LOCK: Final = 0x6B686F  # "kho": one migration at a time
_TABLES: Final = (
    "SELECT count(*) FROM pg_tables"
    " WHERE schemaname = current_schema() AND tablename <> 'alembic_version'"
)
_HAS_VERSION: Final = "SELECT to_regclass('alembic_version') IS NOT NULL"


def stored_state(url: str) -> tuple[SchemaState, str | None]:
    """State and revision; changes nothing. UnusableDatabase says what is wrong."""
    return _run(url, _state)


def migrate_server(url: str) -> None:
    """Bring the database to the newest revision; a second process waits and finds nothing to do."""
    _run(url, _bring_up)


def _run(url: str, work: Callable[[Connection], Awaitable[T]]) -> T:
    """Run `work` on a connection of its own, in a thread: the caller may or may not have a loop."""

    async def connected() -> T:
        connection = await asyncpg.connect(url, timeout=CONNECT_SECONDS)
        try:
            return await work(connection)
        finally:
            await connection.close(timeout=CONNECT_SECONDS)

    with ThreadPoolExecutor(1, thread_name_prefix="migrate") as executor:
        try:
            return executor.submit(lambda: asyncio.run(connected())).result()
        except (
            OSError,
            asyncpg.PostgresConnectionError,
            asyncpg.OperatorInterventionError,
        ) as error:
            reason = str(error) or "no answer in time"
            raise UnreachableDatabase(
                f"the PostgreSQL server cannot be reached: {reason}"
            ) from error
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise UnusableDatabase(f"the PostgreSQL database cannot be used: {error}") from error


async def _state(connection: Connection) -> tuple[SchemaState, str | None]:
    stored: str | None = None
    if await connection.fetchval(_HAS_VERSION):
        stored = await connection.fetchval(VERSION_QUERY)
    return judge(stored, tables=await connection.fetchval(_TABLES)), stored


async def _bring_up(connection: Connection) -> None:
    async with connection.transaction():
        await connection.execute(f"SELECT pg_advisory_xact_lock({LOCK})")
        state, stored = await _state(connection)
        if state is SchemaState.NEWER:
            raise refuse_newer(stored)
        if state is not SchemaState.CURRENT:
            for statement in upgrade("postgresql", stored):
                await connection.execute(statement)
