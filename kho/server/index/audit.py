"""The audit trail as the server writes it: requests note events, a task writes them.

    note ──> buffer, alike events merged ──> flush, within a second ──> audit_events

Noting costs a request nothing and never fails. While the database is down events wait in the
buffer, which is bounded: what does not fit is counted and told by an event `audit.dropped`.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final, NamedTuple

from kho.oci.errors import RegistryError
from kho.server import metrics, telemetry
from kho.server.database import audit
from kho.server.database.audit import Event
from kho.server.database.engine import Transaction
from kho.server.resources import Resources

__all__ = ["Event", "expire", "flush", "note", "noting"]

MOST: Final = 10_000  # events that wait, alike ones counted once
BATCH: Final = 200
INTERVAL: Final = 0.5
LAST_SECONDS: Final = 5.0
EXPIRE_BATCH: Final = 1000
DAY_MS: Final = 86_400_000

_Key = tuple[str, str, str, str | None, str | None, str]


class _Held(NamedTuple):
    event: Event
    noted: float


class _Buffer:
    """What has been noted and not written yet."""

    def __init__(self) -> None:
        self.held: dict[_Key, _Held] = {}
        self.dropped = 0
        self.failing = False
        self.writing = asyncio.Lock()

    def add(self, event: Event, noted: float) -> None:
        key = (
            *(event.action, event.outcome, event.actor),
            *(event.repository, event.target, event.address),
        )
        known = self.held.get(key)
        if known is not None:
            total = replace(known.event, count=known.event.count + event.count)
            self.held[key] = _Held(total, known.noted)
        elif len(self.held) < MOST:
            self.held[key] = _Held(event, noted)
        else:
            self.drop(event.count)

    def drop(self, count: int) -> None:
        self.dropped += count
        metrics.count("kho_audit_dropped_total", count)


def note(resources: Resources, event: Event) -> None:
    """Have the event written within a second; alike events until then become one with a count."""
    resources.memory.keep(_Buffer).add(event, time.monotonic())


async def flush(resources: Resources) -> None:
    """Write what has been noted; what cannot be written now stays for later."""
    buffer = resources.memory.keep(_Buffer)
    async with buffer.writing:
        while buffer.held or buffer.dropped:
            if not await _write_some(resources, buffer):
                return


@asynccontextmanager
async def noting(resources: Resources) -> AsyncIterator[None]:
    """Write what is noted while the block runs, and what is left at its end."""
    ended = asyncio.Event()
    task = asyncio.create_task(_flush_until(resources, ended))
    try:
        yield
    finally:
        ended.set()
        await _finish(resources, task)


async def expire(resources: Resources) -> int:
    """Remove events older than audit.keep_days; how many there were."""
    keep_days = resources.config.audit.keep_days
    if not keep_days:
        return 0
    before = await resources.database.read(audit.now) - int(keep_days * DAY_MS)
    total = 0
    while True:
        gone = await resources.database.remove(audit.trim, before, EXPIRE_BATCH)
        total += gone
        if gone < EXPIRE_BATCH:
            return total


async def _flush_until(resources: Resources, ended: asyncio.Event) -> None:
    while not ended.is_set():
        try:
            async with asyncio.timeout(INTERVAL):
                await ended.wait()
        except TimeoutError:
            await flush(resources)


async def _finish(resources: Resources, task: asyncio.Task[None]) -> None:
    """Let a flush that is under way end, then do the last one."""
    try:
        async with asyncio.timeout(LAST_SECONDS):
            await task
            await flush(resources)
    except TimeoutError:
        task.cancel()
    lost = sum(one.event.count for one in resources.memory.keep(_Buffer).held.values())
    if lost:
        telemetry.log_event("audit events lost", "error", count=lost)


async def _write_some(resources: Resources, buffer: _Buffer) -> bool:
    """Write a batch; False when the database refuses and the events are kept."""
    keys = list(buffer.held)[:BATCH]
    taken = [buffer.held.pop(key) for key in keys]
    dropped, buffer.dropped = buffer.dropped, 0
    ages = [(one.event, _age(one.noted)) for one in taken]
    if dropped:
        ages.append((Event("audit.dropped", "failed", "system", count=dropped), 0))
    written = False
    try:
        await resources.database.write(_record, ages)
    except RegistryError as error:
        if not buffer.failing:
            telemetry.log_failure("audit events wait for the database", error, count=len(taken))
        buffer.failing = True
    except Exception as error:  # noqa: BLE001  one event must not hold up all that follow
        telemetry.log_failure("audit events cannot be written", error, count=len(taken))
        buffer.drop(sum(one.event.count for one in taken))
        written = True
    else:
        buffer.failing = False
        written = True
    finally:  # also when cancelled: nothing is known then, and twice is better than never
        if not written:
            _put_back(buffer, taken, dropped)
    return written


def _put_back(buffer: _Buffer, taken: Sequence[_Held], dropped: int) -> None:
    """In front of what came since, so that the newest are dropped first."""
    later, buffer.held = buffer.held, {}
    buffer.dropped += dropped
    for one in (*taken, *later.values()):
        buffer.add(one.event, one.noted)


async def _record(tx: Transaction, events: Sequence[tuple[Event, int]]) -> None:
    for event, age_ms in events:
        await audit.record(tx, event, age_ms=age_ms)


def _age(noted: float) -> int:
    return max(0, int((time.monotonic() - noted) * 1000))
