"""F9: 200 clients push the same blob, manifest and tag over several workers."""

import pytest

from tests.faults.conftest import VictimMaker
from tests.faults.crowd import CLIENTS, WAYS, Crowd
from tests.faults.scale import LONG, report, rounds, seed


@pytest.mark.timeout(0 if LONG else 300)
async def test_F9_all_are_told_201_and_one_object_is_there(
    new_victim: VictimMaker, database: str
) -> None:
    drawn, times = seed(), rounds(short=3, long=100)
    print(f"FAULTS_SEED={drawn}")
    victim = new_victim(3)
    victim.start()
    await victim.ready()
    async with Crowd(victim, drawn) as crowd:
        for _ in range(times):
            await crowd.round(crowd.random.randint(100, 50_000))
    told = crowd.answers
    report(
        "F9",
        database=database,
        seed=drawn,
        rounds=times,
        clients=CLIENTS,
        answers={f"{what} {status}": count for (what, status), count in sorted(told.items())},
    )
    each = {way: len(range(at, CLIENTS, len(WAYS))) * times for at, way in enumerate(WAYS)}
    assert told == {
        ("post", 201): each["post"],
        ("open", 202): each["put"] + each["patch"],
        ("patch", 202): 2 * each["patch"],
        ("put: put", 201): each["put"],
        ("patch: put", 201): each["patch"],
        ("manifest", 201): CLIENTS * times,
    }
    assert victim.stop() == 0
    assert victim.fsck() == ""
