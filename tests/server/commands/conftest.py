"""What a command sets for its own process ends with the test."""

from collections.abc import Iterator

import pytest

from kho.server import telemetry


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """Commands log warnings only, as plain text."""
    yield
    telemetry.configure("info", "json", access=True)
