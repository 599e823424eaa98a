"""Several processes on one database, as several workers are."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

from kho.server.database import repositories, tags
from kho.server.database.engine import Database
from kho.server.database.open import SchemaState, check

ROOT = Path(__file__).parents[3]


def _workers(url: str, count: int, turns: int) -> list[tuple[int, str]]:
    """Start all of them, let them go at the same moment, and return how each ended."""
    command = [sys.executable, "-m", "tests.contracts.database.worker", url]
    workers = [
        subprocess.Popen(
            [*command, str(number), str(turns)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for number in range(count)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    errors = [worker.communicate(timeout=60)[1] for worker in workers]
    return [(worker.returncode, error) for worker, error in zip(workers, errors, strict=True)]


def test_processes_that_migrate_at_once(empty_url: str) -> None:
    assert _workers(empty_url, 3, 0) == [(0, "")] * 3
    assert check(empty_url) is SchemaState.CURRENT


async def test_processes_that_write_at_once(url: str, database: Database) -> None:
    assert _workers(url, 3, 40) == [(0, "")] * 3
    names = await database.read(repositories.page, None, 1000)
    assert len(names) == 1 + 3 * 40
    moves = await database.read(tags.history, "a", "t")
    for before, after in pairwise(moves):
        assert after.from_digest == before.to_digest
