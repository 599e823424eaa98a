"""A server of two workers, for the tests of this folder."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.serving import Server


@pytest.fixture
def khod(tmp_path: Path) -> Iterator[Server]:
    """Two workers on an empty folder."""
    data = tmp_path / "data"
    flags = ("--data", str(data), "--listen", "127.0.0.1:0", "--workers", "2")
    server = Server(sys.executable, "-m", "kho.server.cli", "serve", *flags, data=data)
    try:
        server.ready()
        yield server
    finally:
        server.destroy()
