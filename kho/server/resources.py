"""What the server stands on: configuration, database, storage, memory; one `async with`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar, cast, runtime_checkable

from kho.server.config import Config
from kho.server.database.engine import Database
from kho.server.database.open import open_database
from kho.server.storage.interface import BlobStorage
from kho.server.storage.open import open_storage

T = TypeVar("T")


@runtime_checkable
class Closed(Protocol):
    """What must be closed at the end."""

    def close(self) -> None:
        """End its threads."""


class Memory:
    """What one worker keeps in mind, a drawer for each kind of thing.

    Drawers are emptied when who-may-do-what has changed; what is kept lives as long as the worker.
    Nothing here is the only copy of anything: other workers have memories of their own.
    """

    def __init__(self) -> None:
        self._drawers: dict[type, object] = {}
        self._kept: dict[type, object] = {}

    def drawer(self, kind: type[T]) -> T:
        """The one `kind()` of this worker, until the next `forget`."""
        found = self._drawers.get(kind)
        if found is None:
            found = self._drawers[kind] = kind()
        return cast("T", found)

    def keep(self, kind: type[T]) -> T:
        """The one `kind()` of this worker."""
        found = self._kept.get(kind)
        if found is None:
            found = self._kept[kind] = kind()
        return cast("T", found)

    def forget(self) -> None:
        """Empty the drawers."""
        self._drawers.clear()

    def close(self) -> None:
        """Close what is kept and has threads."""
        for kept in self._kept.values():
            if isinstance(kept, Closed):
                kept.close()


@dataclass(frozen=True, slots=True)
class Resources:
    """Handed as first argument to every function of the registry and of the index."""

    config: Config
    database: Database
    storage: BlobStorage
    memory: Memory = field(default_factory=Memory)


@asynccontextmanager
async def open_resources(config: Config) -> AsyncIterator[Resources]:
    """Open everything, in the order in which it is needed; close it in reverse."""
    database = await open_database(config.database_url)
    try:
        storage = open_storage(config.storage_url)
        try:
            resources = Resources(config, database, storage)
            try:
                yield resources
            finally:
                resources.memory.close()
        finally:
            await storage.close()
    finally:
        await database.close()
