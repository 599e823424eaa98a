"""The trail as the server writes it: merged, bounded, kept while the database is down."""

import asyncio
import json
from typing import Any

import pytest

from kho.oci.errors import Unavailable
from kho.server import metrics, telemetry
from kho.server.database import audit as rows
from kho.server.database.audit import AuditRow, Filter
from kho.server.database.engine import Database
from kho.server.index import audit
from kho.server.index.audit import Event
from kho.server.jobs.schedule import JOBS
from kho.server.resources import Resources
from tests.flows.databases import on_both_databases
from tests.flows.registry import Registry

LOGIN = Event("login", "failed", "user:alice", address="192.0.2.1")


@pytest.fixture
def resources(registry: Registry) -> Resources:
    """What one worker stands on, with a memory of its own: its flushing task sees none of it."""
    found = registry.workers[-1].app.resources
    assert found is not None
    return Resources(found.config, found.database, found.storage)


@pytest.fixture(autouse=True)
def _log() -> None:
    telemetry.configure("info", "json", access=True)


async def written(resources: Resources) -> list[AuditRow]:
    return await resources.database.read(rows.find, Filter(), 0, 100_000)


async def until_written(resources: Resources) -> None:
    for _ in range(250):
        if await written(resources):
            return
        await asyncio.sleep(0.02)
    pytest.fail("nothing was written")


def dropped() -> int:
    for line in metrics.render_metrics().decode().splitlines():
        if line.startswith("kho_audit_dropped_total "):
            return int(line.split()[1])
    raise AssertionError


@on_both_databases
async def test_alike_events_of_a_moment_are_one_row(resources: Resources) -> None:
    for request in range(50):
        audit.note(resources, Event("login", "failed", "user:a", request_id=str(request)))
    audit.note(resources, Event("login", "failed", "user:b"))
    audit.note(resources, Event("login", "allowed", "user:a"))
    audit.note(resources, Event("refusal", "denied", "user:a", "x", "pull", "192.0.2.1"))
    audit.note(resources, Event("refusal", "denied", "user:a", "x", "pull", "192.0.2.2"))
    audit.note(resources, Event("refusal", "denied", "user:a", "y", "pull", "192.0.2.1"))
    await audit.flush(resources)
    found = await written(resources)
    assert [row.count for row in found] == [50, 1, 1, 1, 1, 1]
    assert found[0].request_id == "0"
    audit.note(resources, Event("login", "failed", "user:a"))
    await audit.flush(resources)
    assert [row.count for row in (await written(resources))[6:]] == [1]


async def test_noted_within_a_second_and_at_the_end(resources: Resources) -> None:
    async with audit.noting(resources):
        audit.note(resources, LOGIN)
        await until_written(resources)
        audit.note(resources, LOGIN)
    found = await written(resources)
    assert len(found) == 2
    assert found[1].at - found[0].at < 1000


@on_both_databases
async def test_more_than_a_batch(resources: Resources) -> None:
    for number in range(audit.BATCH * 2 + 1):
        audit.note(resources, Event("login", "failed", f"user:{number}"))
    await asyncio.gather(*(audit.flush(resources) for _ in range(3)))
    assert [row.actor for row in await written(resources)] == [
        f"user:{number}" for number in range(audit.BATCH * 2 + 1)
    ]


async def test_what_does_not_fit_is_counted(resources: Resources) -> None:
    before = dropped()
    for number in range(audit.MOST + 5):
        audit.note(resources, Event("login", "failed", f"user:{number}"))
    audit.note(resources, Event("login", "failed", "user:0"))
    assert dropped() - before == 5
    await audit.flush(resources)
    found = await written(resources)
    assert len(found) == audit.MOST + 1
    assert next(row.count for row in found if row.action == "audit.dropped") == 5
    assert next(row.count for row in found if row.actor == "user:0") == 2


class Interrupted:
    """A database that is away while `away` says so, before a write or after its COMMIT."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.away: Exception | None = None
        self.after = False
        self.read = database.read
        self.ping = database.ping
        self.read_settled = database.read_settled
        self.write_lazily = database.write_lazily
        self.edition = database.edition
        self.remove = database.remove
        self.close = database.close
        self.dialect = database.dialect

    async def write(self, work: Any, /, *args: Any, **kwargs: Any) -> Any:
        if self.away is not None and not self.after:
            raise self.away
        done = await self._database.write(work, *args, **kwargs)
        if self.away is not None:
            raise self.away
        return done


@pytest.fixture
def interrupted(resources: Resources) -> Interrupted:
    return Interrupted(resources.database)


@pytest.fixture
def shaky(resources: Resources, interrupted: Interrupted) -> Resources:
    return Resources(resources.config, interrupted, resources.storage)


async def test_events_wait_for_a_database_that_is_away(
    shaky: Resources, interrupted: Interrupted
) -> None:
    interrupted.away = Unavailable("away")
    audit.note(shaky, LOGIN)
    async with audit.noting(shaky):
        await asyncio.sleep(audit.INTERVAL * 2.5)
        audit.note(shaky, LOGIN)
        audit.note(shaky, Event("login", "allowed", "user:bob"))
        interrupted.away = None
        await until_written(shaky)
    first, second = await written(shaky)
    assert (first.actor, first.count) == ("user:alice", 2)
    assert second.actor == "user:bob"
    assert second.at - first.at >= audit.INTERVAL * 2000  # the time of noting, not of writing


async def test_the_oldest_events_outlive_a_long_outage(
    shaky: Resources, interrupted: Interrupted
) -> None:
    interrupted.away = Unavailable("away")
    before = dropped()
    for number in range(audit.MOST):
        audit.note(shaky, Event("login", "failed", f"user:{number}"))
    await audit.flush(shaky)
    audit.note(shaky, Event("login", "failed", "user:late"))
    assert dropped() - before == 1
    interrupted.away = None
    await audit.flush(shaky)
    found = await written(shaky)
    assert len(found) == audit.MOST + 1
    assert found[0].actor == "user:0"
    assert [row.actor for row in found if row.action == "audit.dropped"] == ["system"]
    assert all(row.actor != "user:late" for row in found)


async def test_a_commit_that_nobody_can_be_sure_of_is_repeated(
    shaky: Resources, interrupted: Interrupted
) -> None:
    interrupted.away, interrupted.after = Unavailable("the connection broke"), True
    audit.note(shaky, LOGIN)
    await audit.flush(shaky)
    interrupted.away = None
    await audit.flush(shaky)
    assert [row.actor for row in await written(shaky)] == ["user:alice"] * 2


async def test_a_batch_that_can_never_be_written_does_not_hold_up_the_next(
    shaky: Resources, interrupted: Interrupted, capfd: pytest.CaptureFixture[str]
) -> None:
    before = dropped()
    interrupted.away = ValueError("a mistake of ours")
    audit.note(shaky, LOGIN)
    await audit.flush(shaky)
    assert dropped() - before == 1
    assert "audit events cannot be written" in capfd.readouterr().err
    interrupted.away = None
    audit.note(shaky, Event("login", "allowed", "user:bob"))
    await audit.flush(shaky)
    assert (await written(shaky))[0].actor == "user:bob"


async def test_the_end_does_not_wait_for_ever(
    shaky: Resources, interrupted: Interrupted, capfd: pytest.CaptureFixture[str]
) -> None:
    interrupted.away = Unavailable("away")
    async with asyncio.timeout(audit.LAST_SECONDS + 5), audit.noting(shaky):
        for _ in range(3):
            audit.note(shaky, LOGIN)
    (line,) = [one for one in capfd.readouterr().err.splitlines() if "lost" in one]
    assert json.loads(line)["count"] == 3


@on_both_databases
@pytest.mark.settings(audit__keep_days="2d")
async def test_old_events_go(resources: Resources, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "EXPIRE_BATCH", 3)
    for days in (1, 3, 4, 5, 6, 7, 8, 9):
        event = Event("login", "allowed", f"user:{days}")
        await resources.database.write(rows.record, event, age_ms=days * audit.DAY_MS)
    assert await audit.expire(resources) == 7
    assert await audit.expire(resources) == 0
    assert [row.actor for row in await written(resources)] == ["user:1"]


@pytest.mark.settings(audit__keep_days="0")
async def test_events_are_kept_for_ever_when_asked(resources: Resources) -> None:
    await resources.database.write(rows.record, LOGIN, age_ms=10_000 * audit.DAY_MS)
    assert await audit.expire(resources) == 0
    assert len(await written(resources)) == 1


def test_the_job_is_in_the_table() -> None:
    assert any(job.run is audit.expire for job in JOBS)


async def test_what_is_noted_is_masked_too(resources: Resources) -> None:
    secret = "khop_" + "c4n4ry" * 6
    details = {"password": "c4n4ry", "given": secret}
    audit.note(resources, Event("login", "failed", f"user:{secret}", details=details))
    await audit.flush(resources)
    assert "c4n4ry" not in repr(await written(resources))
