"""What all tests share: how Hypothesis searches, a PostgreSQL server, marks, signals."""

import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from kho.server.database.open import migrate
from tests.postgres import PostgresServer, wanted_server

pytest_plugins = ["tests.flows.fixtures"]

# No deadline: a slow machine is not a mistake. No database: a run leaves nothing behind.
settings.register_profile(
    "kho",
    deadline=None,
    database=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("kho")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marks; and let children be interrupted.

    A shell that starts a run in the background has it ignore SIGINT, and all its children with it.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "settings(**by_key): settings of the registry under test")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for the whole run, with a database `kho`; others are copies of `migrated`."""
    with wanted_server() as server:
        migrate(server.create("migrated"))  # nobody writes to this one: it is copied
        server.create("kho", template="migrated")
        yield server
