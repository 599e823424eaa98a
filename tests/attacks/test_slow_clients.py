"""C3, C9: clients that take their time cost the others nothing; a cap decides nothing but size."""

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from kho.oci.digest import Digest
from tests.faults.scale import LONG, report
from tests.faults.victim import Victim
from tests.faults.wire import ask
from tests.flows.people import People, basic, bearer
from tests.flows.registry import Registry
from tests.oci.samples import encode, image
from tests.server.serving import wait_until

SLOW = 2000 if LONG else 90
DEADLINES = (
    () if LONG else tuple(f"KHO_HTTP_{name}_SECONDS=1" for name in ("HEADER", "IDLE", "GRACE"))
)
SETTLED = 7.0 if LONG else 0.0
DROPPED = 45.0 if LONG else 8.0
BLOB = os.urandom(6 * 2**20)
ROUNDS, ROUND_SECONDS, HEALTHY = 5, 2.5 if LONG else 0.5, 8
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
async def khod(tmp_path: Path) -> AsyncIterator[Victim]:
    """Two workers; in the long run with the deadlines as shipped."""
    victim = Victim(tmp_path)
    victim.start("env", *DEADLINES)
    try:
        await victim.ready()
        yield victim
    finally:
        victim.destroy()


def descriptors(victim: Victim) -> int:
    """Those of both workers."""
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in victim.children())


def dripping(victim: Victim, digest: Digest) -> subprocess.Popen[bytes]:
    """The slow clients, in a process of their own."""
    command = [sys.executable, "-m", "tests.attacks.drip", str(victim.port), str(SLOW), str(digest)]
    return subprocess.Popen(command, cwd=REPOSITORY)


async def healthy(victim: Victim) -> float:
    """The p99 in seconds of a round of pulls by tag."""
    took: list[float] = []
    until = time.monotonic() + ROUND_SECONDS

    async def pull(session: aiohttp.ClientSession) -> None:
        while (began := time.monotonic()) < until:
            async with session.get("/v2/a/manifests/t") as answer:
                assert answer.status == 200
                await answer.read()
            took.append(time.monotonic() - began)

    async with aiohttp.ClientSession(victim.url) as session:
        await asyncio.gather(*(pull(session) for _ in range(HEALTHY)))
    return statistics.quantiles(took, n=100)[98]


@pytest.mark.timeout(300)
async def test_C3_slow_clients_are_dropped_and_hinder_nobody(khod: Victim) -> None:
    digest = Digest.of(BLOB)
    for content in (b"{}", BLOB):
        path = f"/v2/a/blobs/uploads/?digest={Digest.of(content)}"
        assert (await ask(khod.port, "POST", path, content)).status == 201
    assert (await ask(khod.port, "PUT", "/v2/a/manifests/t", encode(image()))).status == 201
    rounds = ROUNDS if LONG else 1
    quiet = [await healthy(khod) for _ in range(rounds)]
    before = descriptors(khod)
    began = time.monotonic()
    with dripping(khod, digest) as attacker:
        try:
            await asyncio.to_thread(
                wait_until, lambda: descriptors(khod) >= before + SLOW * 9 // 10
            )
            opened, under = time.monotonic(), descriptors(khod)
            await asyncio.sleep(SETTLED)  # what they read at first is ordinary load
            loud = [await healthy(khod) for _ in range(rounds)]
            still = descriptors(khod)
            left = DROPPED - (time.monotonic() - opened)
            await asyncio.to_thread(
                wait_until, lambda: descriptors(khod) <= before + HEALTHY + 4, left
            )
            dropped = time.monotonic() - opened
        finally:
            attacker.kill()
    assert under >= before + SLOW * 9 // 10
    ratio = statistics.median(loud) / statistics.median(quiet)
    if LONG:
        assert still >= before + SLOW // 2, "the rounds were not beside the slow ones"
        assert ratio < 2, (quiet, loud)
    report(
        "C3",
        slow=SLOW,
        opened_after=round(opened - began, 1),
        dropped=round(dropped, 1),
        ratio=round(ratio, 2),
        quiet_p99_ms=[round(one * 1000, 2) for one in quiet],
        p99_ms=[round(one * 1000, 2) for one in loud],
    )


CAP = 4096


@pytest.mark.settings(limits__manifest_bytes=CAP)
@pytest.mark.parametrize("who", ["nobody", "reader", "writer", "wrong"])
async def test_C9_a_cap_is_no_way_around_the_rights(registry: Registry, who: str) -> None:
    people = People(registry)
    await people.user("root", admin=True)
    secret = await people.user("ann")
    await registry.client.get("/v2/")
    token = {"nobody": [], "wrong": [bearer("x")], "reader": [basic("ann", secret)]}
    headers = [basic("root", await people.token("user:root", name="more"))]
    headers = token.get(who, headers)
    statuses = {}
    for size in (CAP, CAP + 1):
        for announced in (True, False):
            target = "/v2/a/manifests/t"
            body = bytes(size)
            async with registry.client.exchange(
                "PUT",
                target,
                [
                    *headers,
                    ("Content-Length", str(size))
                    if announced
                    else ("Transfer-Encoding", "chunked"),
                ],
            ) as exchange:
                exchange.send(body, more=False)
                await exchange.finished()
                assert exchange.answer is not None
                statuses[size, announced] = exchange.answer.status
    if who == "writer":
        assert {statuses[CAP, True], statuses[CAP, False]} == {400}
        assert {statuses[CAP + 1, True], statuses[CAP + 1, False]} == {413}
    else:
        assert set(statuses.values()) == {403 if who == "reader" else 401}
