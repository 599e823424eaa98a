"""F3: nobody is told 201 or 202 before the bytes, their name and their row are on disk."""

import asyncio
import os
import shutil
from pathlib import Path
from typing import Final

import pytest

from tests.faults import flush_order
from tests.faults.conftest import VictimMaker
from tests.faults.flush_order import STRACE, Order
from tests.faults.kills import Run
from tests.faults.pushing import Client
from tests.faults.scale import LONG, report, rounds, seed
from tests.faults.victim import Victim

PUSHERS: Final = 4


async def push(client: Client, images: int) -> None:
    """Small images and larger ones: each way of a blob, then a manifest."""
    for _ in range(images):
        for way, size in (("post", 700), ("put", 5000), ("patch", 400_000)):
            digest = await client.push_blob(client.repository, size, way)
        await client.push_manifest(client.repository, client.document((digest, size)), "latest")


async def traced(victim: Victim, drawn: int, images: int, log: Path) -> None:
    """Push so many images into a registry under strace."""
    one = Run(victim, drawn)
    victim.start(*STRACE, "-o", str(log))
    await victim.ready()
    async with one.session() as session:
        pushing = one.clients[:PUSHERS]
        for client in pushing:
            client.begin(session, asyncio.Event())
        await asyncio.gather(*(push(client, images // PUSHERS) for client in pushing))
    for pid in victim.children():
        os.kill(pid, 15)
    await asyncio.to_thread(victim.reap)


@pytest.mark.timeout(0 if LONG else 300)
async def test_F3_the_answer_comes_last(
    new_victim: VictimMaker, database: str, tmp_path: Path
) -> None:
    if shutil.which("strace") is None:
        pytest.fail("strace is missing (Debian: apt-get install strace)", pytrace=False)
    drawn, images, log = seed(), rounds(short=28, long=300), tmp_path / "trace"
    victim = new_victim(2)
    await traced(victim, drawn, images, log)
    order = Order(flush_order.trace(flush_order.read(log)), database)
    order.check()
    report("F3", database=database, seed=drawn, proven=dict(order.proven))
    assert order.wrong == []
    assert order.proven["manifest"] == images
    assert order.proven["blob"] == images * 3
    assert order.proven["session"] >= images
    assert order.proven["chunk"] >= images
    assert victim.fsck() == ""
    log.unlink()
