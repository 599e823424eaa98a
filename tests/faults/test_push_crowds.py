"""C8: many who push into one repository are about as quick as many who push into many."""

import asyncio
import statistics
import sys
import time
from pathlib import Path

import aiohttp
import pytest

from tests.faults.scale import LONG, report
from tests.faults.victim import Victim

PUSHERS = 200 if LONG else 20
SECONDS = 8.0 if LONG else 1.0
ROUNDS = 5 if LONG else 1
SHARE = 0.7 if LONG else 0.3
# `make test` runs other tests beside this one: what is slow once is looked at again.
TRIES = 1 if LONG else 4
TOKEN_SECONDS = 0.1
REPOSITORY = Path(__file__).parents[2]


async def pushed(victim: Victim, repositories: int) -> tuple[int, list[float]]:
    """Images of one round, and how long tokens took beside it."""
    words = map(str, (victim.port, PUSHERS, repositories, SECONDS))
    crowd = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.faults.push_crowd",
        *words,
        cwd=REPOSITORY,
        stdout=asyncio.subprocess.PIPE,
    )
    asking = asyncio.create_task(tokens(victim))
    out, _ = await crowd.communicate()
    assert crowd.returncode == 0
    asking.cancel()
    (took,) = await asyncio.gather(asking)
    return int(out), took


async def tokens(victim: Victim) -> list[float]:
    """The seconds of each token, one after the other on new connections, until cancelled."""
    took: list[float] = []
    connector = aiohttp.TCPConnector(force_close=True)
    path = "/token?scope=repository:crowd/r0:pull"
    try:
        async with aiohttp.ClientSession(victim.url, connector=connector) as session:
            while True:
                began = time.monotonic()
                async with session.get(path) as answer:
                    assert answer.status == 200, await answer.read()
                    await answer.read()
                took.append(time.monotonic() - began)
                await asyncio.sleep(0.02)
    except asyncio.CancelledError:
        return took


@pytest.mark.timeout(0 if LONG else 120)
async def test_C8_one_repository_is_no_bottleneck(khod: Victim) -> None:
    one: list[int] = []
    many: list[int] = []
    took: list[float] = []
    for _ in range(TRIES):
        for _ in range(ROUNDS):
            for counts, repositories in ((one, 1), (many, PUSHERS)):
                count, beside = await pushed(khod, repositories)
                counts.append(count)
                took += beside
        share = statistics.median(one) / statistics.median(many)
        if share >= SHARE:
            break
    quantiles = statistics.quantiles(took, n=100)
    report(
        "C8",
        pushers=PUSHERS,
        one_repository=[round(count / SECONDS, 1) for count in one],
        many=[round(count / SECONDS, 1) for count in many],
        share=round(share, 2),
        token_p50_ms=round(quantiles[49] * 1000, 1),
        token_p99_ms=round(quantiles[98] * 1000, 1),
    )
    assert share >= SHARE
    assert khod.fsck() == ""
