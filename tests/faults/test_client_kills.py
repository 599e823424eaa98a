"""F18: a killed `kho` goes on where it was, both ways."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import client_kills
from tests.faults.client_kills import MIB
from tests.faults.scale import LONG, report, rounds, seed
from tests.interop.servers import Server, serving

# On its way when the kill came: in the client's hands, in front of the disk.
IN_FLIGHT = 1 * MIB


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path / "khod") as found:
        yield found


@pytest.mark.timeout(0 if LONG else 120)
@pytest.mark.parametrize("way", ["down", "up"])
async def test_F18_kills_of_the_client(server: Server, tmp_path: Path, way: str) -> None:
    drawn = seed()
    print(f"FAULTS_SEED={drawn}")
    run = client_kills.Run(server.port, tmp_path, drawn)
    await run.go(way, rounds(short=8, long=200))
    figures = run.figures
    report(
        "F18",
        way=way,
        seed=drawn,
        kills=figures.kills,
        images=figures.images,
        size=figures.size,
        passed=figures.passed,
        unread=figures.unread,
        each_kill=figures.each_kill,
        most_each_kill=max(figures.excess),
    )
    print(figures)
    assert figures.each_kill < IN_FLIGHT
