"""What the server stands on: configuration, database, storage; one `async with`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from kho.server.config import Config
from kho.server.database.engine import Database
from kho.server.database.open import open_database
from kho.server.storage.interface import BlobStorage
from kho.server.storage.open import open_storage


@dataclass(frozen=True, slots=True)
class Resources:
    """Handed as first argument to every function of the registry."""

    config: Config
    database: Database
    storage: BlobStorage


@asynccontextmanager
async def open_resources(config: Config) -> AsyncIterator[Resources]:
    """Open everything, in the order in which it is needed; close it in reverse."""
    database = await open_database(config.database_url)
    try:
        storage = open_storage(config.storage_url)
        try:
            yield Resources(config, database, storage)
        finally:
            await storage.close()
    finally:
        await database.close()
