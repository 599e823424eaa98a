"""F17: few descriptors, little memory: refused or told, nothing broken, over when it is over."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.scale import report, rounds
from tests.faults.test_io_errors import digest_of
from tests.faults.victim import Victim
from tests.faults.wire import Broken, ask

DESCRIPTORS = 256
MEMORY = 320 * 2**20
LIMITS = {
    "descriptors": ("--nofile=256:256",),
    "memory": (f"--data={MEMORY}:{MEMORY}",),
}


@pytest.fixture(params=LIMITS)
async def khod(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Victim]:
    """Two workers under a limit."""
    victim = Victim(tmp_path)
    victim.start("prlimit", *LIMITS[request.param])
    try:
        await victim.ready()
        yield victim
    finally:
        victim.destroy()


async def push(port: int, content: bytes, statuses: Counter[str], stored: list[bytes]) -> None:
    """One blob, or an honest no."""
    path = f"/v2/a/blobs/uploads/?digest={digest_of(content)}"
    try:
        reply = await ask(port, "POST", path, content)
    except Broken:
        statuses["refused"] += 1
        return
    statuses[str(reply.status)] += 1
    assert reply.status in {201, 503}, reply
    if reply.status == 201:
        stored.append(content)


@pytest.mark.timeout(0)
async def test_F17_a_crowd_under_a_limit(khod: Victim, request: pytest.FixtureRequest) -> None:
    statuses: Counter[str] = Counter()
    stored: list[bytes] = []
    before = khod.children()
    for _ in range(rounds(short=1, long=10)):
        idle = [
            (await asyncio.open_connection("127.0.0.1", khod.port))[1]
            for _ in range(DESCRIPTORS * 2)
        ]
        contents = [os.urandom(200_000) for _ in range(DESCRIPTORS)]
        await asyncio.gather(*(push(khod.port, one, statuses, stored) for one in contents))
        for writer in idle:
            writer.close()
        await khod.ready()
        after: Counter[str] = Counter()
        await push(khod.port, os.urandom(100), after, stored)
        assert after == {"201": 1}
    for content in stored:
        reply = await ask(khod.port, "GET", f"/v2/a/blobs/{digest_of(content)}")
        assert (reply.status, reply.body) == (200, content)
    assert khod.children() == before, "a worker died"
    assert khod.fsck() == ""
    report("F17", limit=request.node.callspec.params["khod"], **statuses)
