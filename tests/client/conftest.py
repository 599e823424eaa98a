"""A real khod, and the layouts and repositories that are copied between."""

from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import pytest

from kho.client.stores.layout import Layout
from kho.client.stores.registry_store import RegistryStore
from kho.remote.registry import Registry
from tests.interop.servers import Server, serving

_numbers = count()


@pytest.fixture(scope="session")
def khod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the whole run."""
    with serving(tmp_path_factory.mktemp("khod")) as server:
        yield server


@pytest.fixture
async def registry(khod: Server) -> AsyncIterator[Registry]:
    async with Registry(khod.host) as found:
        yield found


@pytest.fixture
def repository(registry: Registry) -> RegistryStore:
    """A repository that nobody else uses."""
    return RegistryStore(registry, f"client/{next(_numbers)}")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """An empty folder."""
    return Layout(tmp_path / "layout")


@pytest.fixture
def other(tmp_path: Path) -> Layout:
    """Another one."""
    return Layout(tmp_path / "other")
