"""C2: the largest manifests, many at once, fill no memory; those beyond the budget wait."""

import asyncio
from pathlib import Path

import pytest

from kho.oci.errors import Unavailable
from kho.server.web import holding
from tests.faults.scale import LONG, report
from tests.faults.test_limits import Crowd
from tests.faults.victim import Victim

MIB = 2**20
MANIFESTS = 200 if LONG else 12
# The budget twice (pieces, and the whole they make), a parsed one, SQLite's caches.
GROWTH = 256 * MIB


def peak(pid: int) -> int:
    """The most bytes that were resident."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


@pytest.mark.timeout(0 if LONG else 120)
async def test_C2_many_large_manifests_at_once(khod: Victim) -> None:
    workers = khod.children()
    before = max(map(peak, workers))
    crowd = Crowd(khod.port)
    await asyncio.gather(*(crowd.manifest() for _ in range(MANIFESTS)))
    growth = max(map(peak, workers)) - before
    report("C2", manifests=MANIFESTS, growth_mib=growth // MIB, **crowd.statuses)
    assert khod.children() == workers
    # Who is told 503 while it still sends may find the connection closed before it reads that.
    assert crowd.statuses["cut"] <= crowd.statuses["503"]
    assert crowd.statuses["201"] >= MANIFESTS // 4
    assert growth < GROWTH


async def test_C2_bodies_beyond_the_budget_wait_in_their_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(holding, "WAIT_SECONDS", 0.2)
    assert await holding.hold(holding.SMALL) == 0
    whole = await holding.hold(holding.BUDGET * 2)
    assert whole == holding.BUDGET
    with pytest.raises(Unavailable):
        await holding.hold(4 * MIB)
    first, second = (asyncio.create_task(holding.hold(20 * MIB)) for _ in range(2))
    gone = asyncio.create_task(holding.hold(20 * MIB))
    await asyncio.sleep(0)
    gone.cancel()
    holding.release(whole)
    assert await first == 20 * MIB
    assert not second.done()
    holding.release(20 * MIB)
    assert await second == 20 * MIB
    holding.release(20 * MIB)
    assert await holding.hold(holding.BUDGET) == holding.BUDGET
    holding.release(holding.BUDGET)
