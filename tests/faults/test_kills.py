"""F1: kill -9 of a worker or of the whole tree loses nothing that was acknowledged."""

import pytest

from tests.faults import kills
from tests.faults.conftest import VictimMaker
from tests.faults.scale import LONG, report, rounds, seed

READY_SECONDS = 5.0
# `make test` runs other tests beside this one.
BUSY_MACHINE_SECONDS = 30.0


@pytest.mark.timeout(0 if LONG else 300)
async def test_F1_kills_lose_nothing(new_victim: VictimMaker, database: str) -> None:
    drawn, victim = seed(), new_victim(2)
    print(f"FAULTS_SEED={drawn}")
    wanted, manifests = rounds(short=25, long=1000), rounds(short=25, long=1000) * 20
    done = await kills.run(victim, drawn, wanted, manifests if wanted >= 100 else 0)
    figures, memory = done.figures, done.memory
    report(
        "F1",
        database=database,
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
    assert figures.ready_at(0.99) < (READY_SECONDS if LONG else BUSY_MACHINE_SECONDS)
    assert victim.fsck() == ""
    assert victim.stop() == 0
    assert victim.fsck() == ""
