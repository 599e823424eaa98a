"""The pytest plugin: a fixture `khod`, found by its entry point.

The server starts with the first test that asks for it, and is empty again for each.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from kho.testing.server import Khod


@pytest.fixture(scope="session")
def khod_server(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Khod]":
    """One registry for the whole run, which nobody empties."""
    from kho.testing.server import Khod  # noqa: PLC0415

    server = Khod(tmp_path_factory.mktemp("khod")).start()
    yield server
    server.stop()


@pytest.fixture
def khod(khod_server: "Khod") -> "Iterator[Khod]":
    """An empty registry on the loopback: `khod.host`, `khod.push_image(...)`, `khod.faults`."""
    khod_server.reset()
    yield khod_server
    khod_server.faults.clear()
