"""`khod fsck` beside clients that push, move and delete: it finds nothing, and repairs nothing."""

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from tests.faults.memory import Memory
from tests.faults.pushing import Client
from tests.faults.scale import rounds, seed
from tests.faults.victim import PROGRAM, Victim, environ

CLIENTS: Final = 6


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Victim]:
    """A registry of two workers."""
    victim = Victim(tmp_path)
    victim.start()
    yield victim
    victim.destroy()


def fsck(victim: Victim) -> str:
    """What it finds, looking closely even at what is some seconds old."""
    flags = ["--data", str(victim.data), "--min-age", "10", "--repair"]
    done = subprocess.run(
        [*PROGRAM, "fsck", *flags], env=environ(), capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else f"{done.returncode}: {done.stdout}{done.stderr}"


async def test_nothing_is_found_beside_a_busy_server(victim: Victim) -> None:
    await victim.ready()
    drawn, memory, stop = seed(), Memory(), asyncio.Event()
    async with aiohttp.ClientSession(victim.url) as session:
        clients = [
            asyncio.create_task(Client(number, drawn, memory).work(session, stop))
            for number in range(CLIENTS)
        ]
        try:
            for _ in range(rounds(short=3, long=20)):
                assert await asyncio.to_thread(fsck, victim) == "", f"FAULTS_SEED={drawn}"
        finally:
            stop.set()
            await asyncio.gather(*clients)
    assert memory.acknowledged["manifest"] > 0
    assert victim.fsck() == ""
