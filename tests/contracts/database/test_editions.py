"""The edition: rows that were read under it are as new as any, until it changes."""

import subprocess
import sys
from pathlib import Path

from kho.server.database import manifests, repositories, tags
from kho.server.database.drivers.sqlite_connection import open_file
from kho.server.database.engine import Database, Transaction
from kho.server.database.open import open_database

from .samples import digest, manifest, put_manifest

TURNS = 30


def cannot_be_seen(database: Database, url: str) -> bool:
    """PostgreSQL would have to be asked: it never has an edition, so nothing is remembered."""
    if url.startswith("postgresql"):
        assert database.edition() is None
        return True
    assert database.edition() is not None
    return False


async def _point(tx: Transaction, turn: int) -> None:
    await put_manifest(tx, "a", manifest(turn % 2))
    repository_id = await repositories.ensure(tx, "a")
    await tags.point(tx, repository_id, "t", digest(turn % 2), "user:a")


async def test_every_commit_changes_it_for_every_connection(database: Database, url: str) -> None:
    if cannot_be_seen(database, url):
        return
    other = await open_database(url)
    try:
        seen = {database.edition()}
        for turn in range(TURNS):
            writer = other if turn % 3 else database
            await writer.write(_point, turn)
            assert database.edition() == other.edition()
            assert database.edition() not in seen
            seen.add(database.edition())
            row = await database.read(manifests.by_tag, "a", "t")
            assert row is not None
            assert row.digest == str(digest(turn % 2))
        assert database.edition() in seen, "reading is no change"
    finally:
        await other.close()
    assert database.edition() in seen, "the other's memory was its own"
    assert other.edition() is None


async def test_commits_of_other_processes_change_it(database: Database, url: str) -> None:
    if cannot_be_seen(database, url):
        return
    root = Path(__file__).parents[3]
    for actor in "ab":
        worker = [sys.executable, "-m", "tests.contracts.database.worker", url, actor, "1"]
        before = database.edition()
        with subprocess.Popen(  # noqa: ASYNC220  nothing else runs here
            worker, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root
        ) as it:
            it.communicate(b"go\n", timeout=60)
        assert it.returncode == 0
        assert database.edition() != before
        assert await database.read(manifests.by_tag, "a", "t") is not None


async def test_a_write_ahead_log_that_starts_again_changes_it(
    database: Database, url: str, tmp_path: Path
) -> None:
    if cannot_be_seen(database, url):
        return
    await database.write(_point, 0)
    before = database.edition()
    connection = open_file(str(tmp_path / "kho.db"), mode="rw")
    try:
        assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    finally:
        connection.close()
    await database.write(_point, 1)
    assert database.edition() != before
    row = await database.read(manifests.by_tag, "a", "t")
    assert row is not None
    assert row.digest == str(digest(1))
