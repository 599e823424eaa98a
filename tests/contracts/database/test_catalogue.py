"""Repositories by what they hold: a platform that few have is found by its word, not by a walk."""

import time
from collections.abc import Callable

import asyncpg
import pytest

from kho.server.database import catalogue
from kho.server.database.catalogue import FEW, Order, Wanted
from kho.server.database.drivers.sqlite_connection import connect
from kho.server.database.engine import Database, Statement, Transaction, Value
from kho.server.database.searching.search_document import Field, kind_facet, platform_facet
from kho.server.policy.access import ANYONE
from kho.server.policy.sight import sight_of

from .test_plans import SERIES

MANY = 20_000
COMMON, RARE, NONE = map(platform_facet, ("linux/amd64", "plan9/386", "linux/s390x"))
ARTIFACT = kind_facet("artifact")
EVERYTHING = sight_of(ANYONE)
ORDERS: tuple[Order, ...] = ("name", "pushed", "pulls", "size")


@pytest.fixture
def many(dialect: str, run_sql: Callable[[str], str]) -> None:
    """Repositories r1 and up; each thousandth is for plan 9, each hundredth has an artifact."""
    series = SERIES[dialect].format(MANY)
    facet = f"SELECT n, '{{}}', {int(Field.FACET)} FROM {series} WHERE n % {{}} = 0"
    for insert in (
        (
            "repositories (id, name, sort_key, created_at, pushed_at, pulls, size)"
            f" SELECT n, 'r' || n, 'r' || n, 0, n % 977, n % 13, n % 1009 FROM {series}"
        ),
        *(
            f"search_words (repository_id, word, field) {facet.format(word, step)}"
            for word, step in ((COMMON, 1), (RARE, 1000), (ARTIFACT, 100))
        ),
    ):
        run_sql(f"INSERT INTO {insert}")
    if dialect == "postgresql":
        run_sql("ANALYZE")


async def _plan(url: str, wanted: Wanted) -> str:
    shape, values = catalogue.bound(EVERYTHING, wanted, None, wanted.platform)
    statement = catalogue._keys_statement(shape)
    values["limit"] = 51
    if url.startswith("sqlite"):
        connection = connect(url.removeprefix("sqlite:///"), read_only=True)
        one = statement.sqlite
        found = connection.execute(f"EXPLAIN QUERY PLAN {one.text}", one.bind(values)).fetchall()
        connection.close()
        return "\n".join(row[3] for row in found)
    server = await asyncpg.connect(url)
    other = statement.postgresql
    rows = await server.fetch(f"EXPLAIN {other.text}", *other.bind(values))
    await server.close()
    return "\n".join(row[0] for row in rows)


@pytest.mark.usefixtures("many")
async def test_a_rare_platform_is_found_by_its_word(url: str) -> None:
    for order in ORDERS:
        plan = await _plan(url, Wanted(order=order, platform=RARE))
        assert "search_words_field_word_repository_id_idx" in plan, plan
        assert "SCAN repositories" not in plan, plan
        assert "Seq Scan" not in plan, plan
        if url.startswith("sqlite"):
            assert "SEARCH repositories USING INTEGER PRIMARY KEY" in plan, plan


@pytest.mark.usefixtures("many")
async def test_both_ways_find_the_same(database: Database) -> None:
    for order in ORDERS:
        for wanted in (Wanted(order, platform=RARE), Wanted(order, True, kind=ARTIFACT)):
            shape, values = catalogue.bound(EVERYTHING, wanted, None)
            walked = await database.read(_walk, catalogue._keys_statement(shape), values)
            found = await database.read(catalogue.keys, EVERYTHING, wanted, 30)
            assert [key for _, key in found] == walked
            assert len(found) == (30 if wanted.kind else MANY // 1000)
        first = await database.read(catalogue.keys, EVERYTHING, Wanted(order, platform=RARE), 7)
        rest = Wanted(order, platform=RARE, after=first[-1])
        assert len(await database.read(catalogue.keys, EVERYTHING, rest, 50)) == MANY // 1000 - 7


async def _walk(tx: Transaction, statement: Statement, values: dict[str, Value]) -> list[str]:
    return [row[1] for row in await tx.all(statement, **values, limit=30)]


@pytest.mark.usefixtures("many")
async def test_rare_ones_are_counted_and_cost_little(database: Database) -> None:
    assert await database.read(catalogue.count, EVERYTHING, Wanted(platform=RARE)) == MANY // 1000
    assert await database.read(catalogue.count, EVERYTHING, Wanted(platform=COMMON)) is None
    assert FEW < MANY
    for wanted in (Wanted(platform=NONE), Wanted(platform=RARE), Wanted(platform=COMMON)):
        times = []
        for _ in range(5):
            start = time.perf_counter()
            await database.read(catalogue.keys, EVERYTHING, wanted, 51)
            times.append(time.perf_counter() - start)
        assert min(times) < 0.02, wanted
    both = Wanted(platform=COMMON, kind=ARTIFACT)
    assert len(await database.read(catalogue.keys, EVERYTHING, both, 51)) == 51
