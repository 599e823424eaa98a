"""Checks that administrators ask for: `khod fsck` as a job, whose state is a row.

a row that waits ─► a worker leases it ─► fsck, one thing at a time, resting as long as it works
                            └─ every 2 s: how far it is ─► the row ─► stopped meanwhile? it ends
"""

import asyncio
import json
from collections import Counter
from typing import Final

from kho.oci.errors import RegistryError
from kho.server import telemetry
from kho.server.database import checks as rows
from kho.server.database.checks import Leased, Report
from kho.server.registry import fsck
from kho.server.registry.finding import Check, Finding
from kho.server.resources import Resources

LEASE_MS: Final = 60_000
STEP_SECONDS: Final = 2.0
SHOWN: Final = 200  # findings that the row keeps; the others are counted


async def work(resources: Resources, step: float = STEP_SECONDS) -> int:
    """Do what was asked for; how many checks came to their end."""
    if not resources.config.index.enabled or not await resources.database.read(rows.is_waiting):
        return 0
    held = await resources.database.write(rows.lease, LEASE_MS)
    if held is None:
        return 0
    run = _Run(resources, held)
    looking = asyncio.create_task(run.look())
    try:
        while True:
            await asyncio.wait({looking}, timeout=step)
            if looking.done():
                break
            if not await resources.database.write_lazily(
                rows.renew, held.id, run.report(), LEASE_MS
            ):
                return 0  # somebody has stopped it
        await resources.database.write(rows.end, held.id, run.report(), _outcome(looking, held))
    except asyncio.CancelledError:
        await resources.database.write(rows.end, held.id, run.report(), "failed")
        raise
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
    return 1


def _outcome(looking: asyncio.Task[None], held: Leased) -> str:
    error = looking.exception()
    if error is None:
        return "done"
    if not isinstance(error, RegistryError):
        raise error
    telemetry.log_failure("check of what is stored failed", error, check=held.id)
    return "failed"


class _Run:
    """One check, and what it has found so far."""

    def __init__(self, resources: Resources, held: Leased) -> None:
        self._held = held
        self._check = Check(
            resources, quick=held.quick, min_age=held.min_age_ms / 1000, gentle=True
        )
        self._counts: Counter[str] = Counter()
        self._shown: list[Finding] = []

    async def look(self) -> None:
        """Look at everything."""
        async for finding in fsck.findings(self._check):
            told = finding
            if self._held.repair:
                told = await fsck.repaired(self._check, finding, self._held.asked_by)
            self._counts["found"] += 1
            self._counts["repaired"] += told.repaired
            if len(self._shown) < SHOWN:
                self._shown.append(told)

    def report(self) -> Report:
        """What came of it so far."""
        findings = [
            {
                "kind": one.kind,
                "where": _readable(one.where),
                "what": _readable(one.what),
                "repair": one.repair,
                "repaired": one.repaired,
            }
            for one in self._shown
        ]
        counts = self._counts
        checked = json.dumps(self._check.counted)
        return Report(counts["found"], counts["repaired"], checked, json.dumps(findings))


def _readable(text: str) -> str:
    """Names of files need not be UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()
