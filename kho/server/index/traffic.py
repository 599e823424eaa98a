"""Pulls and pushes, counted in memory: a pull writes nothing.

    pulled, pushed ──> counts of this worker ──> flush, every 10 s and at the end ──> rows

What a killed worker has counted since the last flush is lost, ten seconds at most. While the
database is away counts wait in memory, which is bounded: what does not fit is not counted.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import islice
from typing import Final, TypeVar

from kho.oci.digest import Digest
from kho.oci.errors import RegistryError
from kho.server import metrics, telemetry
from kho.server.database import traffic
from kho.server.database.traffic import Pulled, Pushed
from kho.server.resources import Resources

_Key = TypeVar("_Key", Pulled, Pushed)

INTERVAL: Final = 10.0
MOST: Final = 20_000  # different things that were pulled or pushed since the last flush
BATCH: Final = 64
LAST_SECONDS: Final = 5.0
# At the end: for the other workers, which end too, to write what they have counted.
OTHERS_SECONDS: Final = 1.0
TRIM_BATCH: Final = 1000


class _Counts:
    """What this worker has seen, and what waits for the other workers' news."""

    def __init__(self) -> None:
        self.pulls: dict[Pulled, int] = {}
        self.pushes: dict[Pushed, int] = {}
        self.later: dict[Pulled, int] = {}
        self.failing = False
        self.writing = asyncio.Lock()


def pulled(resources: Resources, repository: str, reference: Digest | str, digest: str) -> None:
    """A manifest was sent in answer to GET."""
    if not resources.config.index.enabled:
        return
    counts = resources.memory.keep(_Counts).pulls
    key = Pulled(repository, digest, reference if isinstance(reference, str) else "")
    known = counts.get(key)
    if known is not None:
        counts[key] = known + 1
    elif len(counts) < MOST:
        counts[key] = 1
    else:
        metrics.count("kho_pulls_uncounted_total")


def pushed(resources: Resources, repository: str, tags: tuple[str, ...]) -> None:
    """A manifest was stored under these tags."""
    if not resources.config.index.enabled:
        return
    counts = resources.memory.keep(_Counts).pushes
    for tag in ("", *tags):
        key = Pushed(repository, tag)
        if key in counts or len(counts) < MOST:
            counts[key] = counts.get(key, 0) + 1


@asynccontextmanager
async def counting(resources: Resources) -> AsyncIterator[None]:
    """Write what is counted while the block runs, and what is left at its end."""
    if not resources.config.index.enabled:
        yield
        return
    ended = asyncio.Event()
    task = asyncio.create_task(_flush_until(resources, ended))
    try:
        yield
    finally:
        ended.set()
        try:
            async with asyncio.timeout(LAST_SECONDS):
                await task
                await flush(resources)
                if resources.memory.keep(_Counts).later and resources.config.worker_count > 1:
                    # Whether their index was pulled, too, another worker may know.
                    await asyncio.sleep(OTHERS_SECONDS)
                await flush(resources, last=True)
        except TimeoutError:
            task.cancel()


async def flush(resources: Resources, *, last: bool = False) -> None:
    """Write what has been counted; what cannot be written now stays for later.

    Pulls by digest of what an index lists wait for one more flush, unless it is the `last`.
    """
    counts = resources.memory.keep(_Counts)
    async with counts.writing:
        waited, counts.later = counts.later, {}
        while waited:
            if not await _write_some(resources, waited, {}, undecided=False):
                counts.later = waited
                return
        for _ in range(0, len(counts.pulls) + len(counts.pushes) + 1, BATCH):
            if not (counts.pulls or counts.pushes):
                break
            if not await _write_some(resources, counts.pulls, counts.pushes, undecided=not last):
                return


async def expire(resources: Resources) -> int:
    """Remove counts of days older than index.statistics_days; how many rows there were."""
    days = resources.config.index.statistics_days
    total = 0
    while True:
        gone = await resources.database.remove(traffic.trim, days, TRIM_BATCH)
        total += gone
        if gone < TRIM_BATCH:
            return total


async def _flush_until(resources: Resources, ended: asyncio.Event) -> None:
    while not ended.is_set():
        try:
            async with asyncio.timeout(INTERVAL):
                await ended.wait()
        except TimeoutError:
            await flush(resources)


async def _write_some(
    resources: Resources, pulls: dict[Pulled, int], pushes: dict[Pushed, int], *, undecided: bool
) -> bool:
    """Write a batch, and take it out of what waits; False when the database refuses it."""
    counts = resources.memory.keep(_Counts)
    some_pulls = dict(islice(pulls.items(), BATCH))
    some_pushes = dict(islice(pushes.items(), BATCH - len(some_pulls)))
    try:
        later = await resources.database.write_lazily(
            traffic.settle, some_pulls, some_pushes, undecided=undecided
        )
    except RegistryError as error:
        if not counts.failing:
            telemetry.log_failure("counts of pulls wait for the database", error)
        counts.failing = True
        return False
    except Exception as error:  # noqa: BLE001  one count must not hold up all that follow
        telemetry.log_failure("counts of pulls cannot be written", error)
        later = {}
    counts.failing = False
    _take(pulls, some_pulls)
    _take(pushes, some_pushes)
    counts.later = dict(Counter(counts.later) + Counter(later))
    return True


def _take(counts: dict[_Key, int], written: Mapping[_Key, int]) -> None:
    """Subtract what was written: more may have been counted meanwhile."""
    for key, count in written.items():
        left = counts[key] - count
        if left:
            counts[key] = left
        else:
            del counts[key]
