"""A real registry for each database, which a test may kill."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.victim import Victim
from tests.postgres import PostgresServer

VictimMaker = Callable[[int], Victim]


def victim_name() -> str:
    """The PostgreSQL database of this process's victims."""
    return f"victim_{os.getpid()}"


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> str:
    """Its name."""
    return str(request.param)


@pytest.fixture
def new_victim(
    database: str, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[VictimMaker]:
    """Make the registry with so many workers; what it wrote last is shown when the test fails."""
    made: list[Victim] = []
    url, server, name = None, None, victim_name()
    if database == "postgres":
        server = request.getfixturevalue("postgres")
        assert isinstance(server, PostgresServer)
        url = server.create(name, template="migrated")

    def make(workers: int) -> Victim:
        made.append(Victim(tmp_path, url, workers=workers))
        return made[-1]

    yield make
    for victim in made:
        victim.destroy()
        print(victim.tail())
    if server is not None:
        server.drop(name)


@pytest.fixture
async def khod(tmp_path: Path) -> AsyncIterator[Victim]:
    """Two workers."""
    victim = Victim(tmp_path)
    victim.start()
    try:
        await victim.ready()
        yield victim
    finally:
        victim.destroy()
