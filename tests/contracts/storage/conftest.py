"""Each test of the contract runs over each place."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from kho.oci.digest import Digest
from kho.server.storage.interface import BlobStorage
from tests.contracts.storage.places import PLACES, Place

Push = Callable[[bytes], Awaitable[Digest]]


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty place."""
    return PLACES[request.param](tmp_path / "store")


@pytest.fixture
async def storage(place: Place) -> AsyncIterator[BlobStorage]:
    """One worker's storage."""
    storage = place.open()
    yield storage
    await storage.close()


@pytest.fixture
async def other(place: Place) -> AsyncIterator[BlobStorage]:
    """Another worker's storage on the same bytes."""
    storage = place.open()
    yield storage
    await storage.close()
