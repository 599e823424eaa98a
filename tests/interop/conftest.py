"""One server and one Debian image for all clients; missing clients are named at the end."""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import clients
from .images import DebianImage, debian_image
from .processes import unmount_below
from .servers import Server, serving


def pytest_configure() -> None:
    """A run that is told to end takes its daemons along, as one that is interrupted does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test here the time that a first image build takes."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(600))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the clients that were not there."""
    for name in sorted(clients.missing):
        terminalreporter.write_line(f"missing: {name}", yellow=True)


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server under test, with two workers and an empty store."""
    with serving(tmp_path_factory.mktemp("registry")) as server:
        yield server
    shutil.rmtree(server.data)


@pytest.fixture(scope="session")
def debian() -> DebianImage:
    """A Debian root file system as an image of nine layers."""
    return debian_image()


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A client's own folder: state, sockets, pulled images. Nothing stays mounted in it."""
    folder = tmp_path_factory.mktemp("client")
    yield folder
    unmount_below(folder)
    shutil.rmtree(folder)
