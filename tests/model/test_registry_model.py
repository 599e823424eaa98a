"""The registry and a model of dictionaries take the same steps, and must agree after each.

`make test` takes some hundred steps, `make faults` (KHO_FAULTS=long) tens of thousands;
FAULTS_SEED repeats a run, MODEL_EXAMPLES sets the number of stories.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from kho.server import telemetry
from tests.flows.fixtures import EMPTY
from tests.flows.registry import Registry
from tests.model.blobs import Blobs
from tests.model.manifests import Manifests
from tests.postgres import PostgresServer

LONG = os.environ.get("KHO_FAULTS") == "long"
STEPS = 50


class Everything(Blobs, Manifests):
    """All rules in one story."""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Thousands of requests need no line each."""
    telemetry.configure("error", "json", access=False)
    yield
    telemetry.configure("info", "json", access=True)


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory where there is such a place: what a disk loses is the matter of other tests."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with TemporaryDirectory(prefix="kho-model-", dir=memory) as path:
        yield Path(path)


def profile(short: int, long: int) -> settings:
    """How many stories, and how long they are."""
    told = os.environ.get("MODEL_EXAMPLES")
    return settings(
        max_examples=int(told) if told else long if LONG else short,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def tell(open_registry: Callable[[], Registry], chosen: settings, *, guarded: bool) -> None:
    """Run the stories; a failure prints the shortest one as a program."""

    machine: Any = partial(Everything, open_registry, guarded=guarded)
    told = os.environ.get("FAULTS_SEED")
    if told:
        machine = seed(int(told))(machine)
    run_state_machine_as_test(machine, settings=chosen)


@pytest.mark.timeout(0 if LONG else 300)
@pytest.mark.parametrize("guarded", [False, True], ids=["open", "guarded"])
def test_sqlite_agrees_with_the_model(folder: Path, migrated_file: Path, *, guarded: bool) -> None:
    numbers = count()

    def open_registry() -> Registry:
        data = folder / str(next(numbers))
        data.mkdir()
        shutil.copy(migrated_file, data / "kho.db")
        return Registry(data, f"sqlite:///{data}/kho.db", {})

    tell(open_registry, profile(10, 1000), guarded=guarded)


@pytest.mark.timeout(0 if LONG else 300)
@pytest.mark.parametrize("guarded", [False, True], ids=["open", "guarded"])
def test_postgres_agrees_with_the_model(
    folder: Path, shared_database: str, postgres: PostgresServer, *, guarded: bool
) -> None:
    numbers = count()

    def open_registry() -> Registry:
        postgres.sql(EMPTY, database="flows")
        data = folder / str(next(numbers))
        data.mkdir()
        return Registry(data, shared_database, {})

    try:
        tell(open_registry, profile(2, 100), guarded=guarded)
    finally:
        postgres.sql(EMPTY, database="flows")
