"""F1: kill -9 of a worker or of the whole tree loses nothing that was acknowledged."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import kills
from tests.faults.scale import report, rounds, seed
from tests.faults.victim import Victim
from tests.postgres import PostgresServer


@pytest.fixture(params=["sqlite", "postgres"])
def victim(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Victim]:
    """A registry on each database."""
    if request.param == "sqlite":
        victim = Victim(tmp_path)
        yield victim
        victim.destroy()
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    name = f"kills_{tmp_path.parent.name}".replace("-", "_").lower()
    victim = Victim(tmp_path, server.create(name, template="kho"))
    yield victim
    victim.destroy()
    server.drop(name)


@pytest.mark.timeout(0)
async def test_F1_kills_lose_nothing(victim: Victim, request: pytest.FixtureRequest) -> None:
    drawn = seed()
    wanted, manifests = rounds(short=20, long=1000), rounds(short=20, long=1000) * 20
    try:
        done = await kills.run(victim, drawn, wanted, manifests if wanted >= 100 else 0)
    except BaseException:
        print(f"FAULTS_SEED={drawn}\n{victim.tail()}")
        raise
    figures, memory = done.figures, done.memory
    report(
        "F1",
        database=request.node.callspec.params["victim"],
        seed=drawn,
        kills=dict(figures.kills),
        acknowledged=memory.acknowledged,
        uncertain=memory.uncertain,
        in_doubt=figures.in_doubt,
        resumed=sum(one.resumed for one in done.clients),
        reads=figures.reads,
        busy=memory.busy,
        ready_p50=figures.ready_at(0.5),
        ready_p99=figures.ready_at(0.99),
        ready_max=figures.ready_at(1),
    )
    assert memory.acknowledged["manifest"] > wanted
    assert figures.ready_at(0.99) < 5
