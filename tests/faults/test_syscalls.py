"""F2: whichever system call of a push is the last one, what was acknowledged is there."""

import os
import random
from collections import Counter

import pytest

from tests.faults.conftest import VictimMaker
from tests.faults.cutter import HERE
from tests.faults.scale import LONG, report, rounds, seed
from tests.faults.syscalls import Surgery

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="traces what it did not start: root only"),
    pytest.mark.skipif(not HERE, reason="knows the system calls of Linux on x86-64"),
]
CALLS = {"fsync", "fdatasync", "rename", "mkdir", "pwrite64", "write", "openat"}


@pytest.mark.timeout(0 if LONG else 300)
async def test_F2_a_kill_at_any_system_call_of_a_push_loses_nothing(
    new_victim: VictimMaker, database: str
) -> None:
    drawn, victim = seed(), new_victim(1)
    surgery = Surgery(victim, drawn)
    points = await surgery.points()
    chosen = points if LONG else random.Random(drawn).sample(points, rounds(short=3, long=0))
    for point in chosen:
        print(f"FAULTS_SEED={drawn} at {point}")
        await surgery.cut(point)
    await surgery.start()
    assert victim.fsck() == ""
    report(
        "F2",
        database=database,
        seed=drawn,
        points=dict(Counter(one.act for one in points)),
        tried=len(chosen),
        killed=dict(surgery.killed),
        missed=dict(surgery.missed),
        reads=surgery.figures.reads,
        in_doubt=surgery.figures.in_doubt,
    )
    if LONG:
        assert surgery.killed.keys() >= CALLS
        assert surgery.missed.total() < len(points) // 4  # chunks are as many as they come
