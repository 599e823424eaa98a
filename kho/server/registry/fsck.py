"""Compare everything that is stored with everything that is recorded, beside a running server.

    page of keys ─► look at each ─► suspects? ─► wait ─► look at those again ─► findings

What is under way looks wrong for a moment, so only what is wrong twice counts. Nothing is locked
and nothing is kept in memory but one page. A look reads its rows anew, in one statement where that
matters, and so does a repair: what has become right meanwhile stays as it is.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from time import monotonic
from typing import Any, Final, TypeVar

from kho.oci.errors import RegistryError
from kho.server.database import audit, consistency, inventory
from kho.server.database.audit import Event
from kho.server.database.drivers import soundness
from kho.server.database.engine import Transaction
from kho.server.registry import fsck_bytes, fsck_rows
from kho.server.registry.finding import Check, Finding
from kho.server.threads import Threads

__all__ = ["Check", "Finding", "findings", "repaired"]

PAGE: Final = 500
SETTLE_SECONDS: Final = 1.0
AT_ONCE: Final = 2
REST_SECONDS: Final = 5.0

T = TypeVar("T")
Look = Callable[[Check, T], Awaitable[list[Finding]]]
Keys = Callable[[Transaction, T, int], Awaitable[list[T]]]

# What is counted, the keys of its rows, before the first key, the look at one.
_ROWS: Final[Sequence[tuple[str, Keys[Any], Any, Look[Any]]]] = (
    ("blobs", inventory.blob_digests, "", fsck_bytes.blob),
    ("links", consistency.link_keys, (0, ""), fsck_rows.link),
    ("manifests", consistency.manifest_ids, 0, fsck_rows.manifest),
    ("tags", consistency.tag_keys, (0, ""), fsck_rows.tag),
    ("moves of tags", consistency.move_ids, 0, fsck_rows.move),
    ("uploads", inventory.upload_ids, "", fsck_bytes.upload),
)


class _Thread(Threads):
    """For the database's own check; there from the first check on."""

    def __init__(self) -> None:
        super().__init__("soundness", 1)


async def findings(check: Check) -> AsyncIterator[Finding]:
    """All that is wrong, as it is found; `check` counts what was looked at."""
    async for finding in _database(check):
        yield finding
    for name, keys, first, look in _ROWS:
        try:
            async for page in _pages(check, keys, first):
                check.count(name, len(page))
                for finding in await _twice(check, page, look):
                    yield finding
        except RegistryError as error:
            await check.resources.database.ping()
            yield Finding("rows.unreadable", name, f"the rest cannot be read: {error.message}", "")
    async for files in check.resources.storage.inventory.blobs():
        check.count("files", len(files))
        orphans = await fsck_bytes.without_row(check, files)
        for finding in await _twice(check, orphans, fsck_bytes.file):
            yield finding
    async for sessions in check.resources.storage.inventory.sessions():
        check.count("sessions", len(sessions))
        for finding in await _twice(check, sessions, fsck_bytes.session):
            yield finding


async def repaired(check: Check, finding: Finding, actor: str) -> Finding:
    """Repair what can be, and say so in the audit trail."""
    if finding.mend is None or not await finding.mend():
        return finding
    details = {"kind": finding.kind, "what": finding.what, "done": finding.repair}
    event = Event("fsck.repair", "allowed", actor, target=finding.where, details=details)
    await check.resources.database.write(audit.record, event)
    return replace(finding, repaired=True)


async def _database(check: Check) -> AsyncIterator[Finding]:
    url = check.resources.config.database_url
    thread = check.resources.memory.keep(_Thread)
    for told in await soundness.damage(url, thread, quick=check.quick):
        yield Finding("database.damaged", "the database", told, "")


async def _pages(check: Check, keys: Keys[T], first: T) -> AsyncIterator[list[T]]:
    after = first
    while page := await check.resources.database.read(keys, after, PAGE):
        yield page
        after = page[-1]


async def _twice(check: Check, items: Sequence[T], look: Look[T]) -> list[Finding]:
    turns = asyncio.Semaphore(1 if check.gentle else AT_ONCE)

    async def looked(item: T) -> list[Finding]:
        async with turns:
            began = monotonic()
            found = await _look(check, item, look)
            if check.gentle:
                await asyncio.sleep(min(monotonic() - began, REST_SECONDS))
            return found

    first = await asyncio.gather(*map(looked, items))
    suspects = [item for item, found in zip(items, first, strict=True) if found]
    if not suspects:
        return []
    await asyncio.sleep(SETTLE_SECONDS)
    return [finding for item in suspects for finding in await _look(check, item, look)]


async def _look(check: Check, item: T, look: Look[T]) -> list[Finding]:
    """What cannot be read is a finding, unless it is the database that does not answer at all."""
    try:
        return await look(check, item)
    except RegistryError as error:
        await check.resources.database.ping()
        return [Finding("row.unreadable", str(item), error.message, "")]
