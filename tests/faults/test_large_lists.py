"""C1: lists of very many are walked page by page at the same cost, and no `n` makes them grow."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Final
from urllib.parse import quote

import aiohttp
import asyncpg
import pytest
from yarl import URL

from bench import large
from bench.medians import percentile
from bench.processes import resident
from bench.settings import ListLoad
from kho.oci.ranges import parse_next
from kho.server.database.open import migrate
from tests.faults.conftest import VictimMaker, victim_name
from tests.faults.scale import LONG, report, rounds
from tests.faults.victim import Victim
from tests.postgres import PostgresServer

LOAD: Final = ListLoad(
    repositories=rounds(short=1_200, long=1_000_000),
    tags=rounds(short=2_500, long=1_000_000),
    referrers=rounds(short=250, long=10_000),
)
SECONDS: Final = 0.2
MEMORY: Final = 5 * 1024 * 1024
REFUSED: Final = (
    *("2147483648", "-1", "1000000000", "1_000", "%D9%A1%D9%A0%D9%A0%D9%A0", "1e9", "", "x"),
    *("%2B5", "%205", "0x10", "1.0", "9" * 5000),
)
TAKEN: Final = ("999999", "1000", "1")
LISTS: Final = {
    "repositories": ("/v2/_catalog", 1000, LOAD.repositories + 1),
    "tags": (f"/v2/{large.LARGE}/tags/list", 1000, LOAD.tags),
    "manifests": (f"/v2/{large.LARGE}/referrers/{large.image_digest()}", 100, LOAD.referrers),
}


async def fill_postgres(url: str, tables: Iterable[large.Rows]) -> None:
    """What `large.fill_sqlite` does."""
    connection = await asyncpg.connect(url)
    for table, columns, values in tables:
        await connection.copy_records_to_table(table, records=values, columns=columns)
    await connection.execute("ANALYZE")
    await connection.close()


@pytest.fixture
async def filled(new_victim: VictimMaker, database: str, request: pytest.FixtureRequest) -> Victim:
    """A registry of one worker that holds all of it."""
    victim = new_victim(1)
    victim.data.mkdir(0o700)
    if database == "postgres":
        server = request.getfixturevalue("postgres")
        assert isinstance(server, PostgresServer)
        large.write_blob(victim.data)
        await fill_postgres(server.url(victim_name()), large.rows(LOAD))
    else:
        migrate(f"sqlite:///{victim.data}/kho.db")
        large.fill_sqlite(victim.data, large.rows(LOAD))
    return victim


@pytest.fixture
async def session(filled: Victim) -> AsyncIterator[aiohttp.ClientSession]:
    """Somebody who asks it."""
    filled.start()
    await filled.ready()
    async with aiohttp.ClientSession(filled.url) as session:
        yield session


async def walk(session: aiohttp.ClientSession, key: str) -> tuple[list[str], list[float]]:
    """All names of a list by its links, and the seconds of each page."""
    path, size, _ = LISTS[key]
    names: list[str] = []
    times: list[float] = []
    following: str | None = f"{path}?n={size}"
    while following is not None:
        began = time.perf_counter()
        async with session.get(URL(following, encoded=True)) as answer:
            body = await answer.read()
        times.append(time.perf_counter() - began)
        assert answer.status == 200
        page = json.loads(body)[key]
        names += [one["digest"] if isinstance(one, dict) else one for one in page]
        following = parse_next(answer.headers.get("Link"))
        assert len(page) == size or following is None
    return names, times


async def hostile(session: aiohttp.ClientSession, key: str) -> None:
    """Counts of any size, at the beginning and in the middle."""
    path, size, _ = LISTS[key]
    for count in (*REFUSED, *TAKEN):
        for last in ("", "m", "v1.0001500", "sha256:8", "\U0001f600"):
            target = f"{path}?n={count}&last={quote(last)}"
            async with session.get(URL(target, encoded=True)) as answer:
                body = await answer.read()
            if count in REFUSED:
                assert answer.status == 400, count
            else:
                assert answer.status == 200, count
                assert len(json.loads(body)[key]) <= min(size, int(count))


@pytest.mark.timeout(0 if LONG else 120)
async def test_C1_large_lists_are_flat(
    filled: Victim, session: aiohttp.ClientSession, database: str
) -> None:
    expected: dict[str, Callable[[], list[str]]] = {
        "repositories": lambda: [large.LARGE, *large.repository_names(LOAD)],
        "tags": lambda: [large.tag_name(number) for number in range(LOAD.tags)],
        "manifests": lambda: large.referrer_digests(LOAD),
    }
    figures: dict[str, object] = {}
    for key in LISTS:  # the caches of the database are as full as they get
        names, _ = await walk(session, key)
        assert names == await asyncio.to_thread(expected[key])
        await hostile(session, key)
    before = resident(tuple(filled.children()))
    for key in LISTS:
        _, times = await walk(session, key)
        await hostile(session, key)
        p99 = percentile(sorted(times), 0.99)
        assert p99 is not None
        assert not LONG or p99 < SECONDS
        figures[key] = {"pages": len(times), "p99_ms": round(p99 * 1000, 1)}
    grown = resident(tuple(filled.children())) - before
    report("C1", database=database, grown_kib=grown // 1024, **figures)
    assert grown < MEMORY
    if LONG and database == "postgres":  # four million rows, each asked for by itself: an hour
        return
    began = time.monotonic()
    assert await asyncio.to_thread(filled.fsck) == ""
    report("C1 fsck", database=database, seconds=round(time.monotonic() - began))
