"""F7: the database stands still, dies or restarts: 503 in time, over as soon as it is back."""

import asyncio
import base64
import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from kho.server.database.drivers.postgres import CONNECTIONS
from kho.server.database.open import migrate
from tests.faults.scale import LONG, report
from tests.faults.victim import PROGRAM, Victim, environ
from tests.oci.samples import encode, image
from tests.postgres import PostgresServer, wanted_server

PATIENCE = 30
ANSWERED = 6.0
UNREADY = 10.0
BACK = 5.0
PAUSED = 60.0 if LONG else 8.0
PASSWORD = "correct horse battery"
REMEMBERED = 2.5  # seconds that a login is remembered without asking
CALLERS = 27
THREADS_MORE = 20  # the threads of password hashing and storage come when they are needed


@pytest.fixture(scope="module")
def database() -> Iterator[PostgresServer]:
    """A server of its own: it is stopped and killed."""
    with wanted_server() as server:
        migrate(server.create("kho"))
        yield server


class Site:
    """The registry with one user, and requests of every kind to it."""

    def __init__(self, victim: Victim, database: PostgresServer) -> None:
        self.victim = victim
        self.database = database
        self.headers: dict[str, str] = {}
        self.basic = {
            "Authorization": "Basic " + base64.b64encode(f"ann:{PASSWORD}".encode()).decode()
        }

    async def prepare(self) -> None:
        """Start; add a user; push an image; fetch a token."""
        flags = ["--data", str(self.victim.data), "--database", self.database.url("kho")]
        await asyncio.to_thread(self._khod, ["users", "add", "ann", "--admin", *flags])
        self.victim.start()
        await self.victim.ready()
        scope = "repository:a:pull,push,delete"
        path = f"/token?service=kho&scope={scope}&scope=registry:catalog:*"
        async with self.session(self.basic) as session, session.get(path) as answer:
            assert answer.status == 200, await answer.text()
            token = (await answer.json())["token"]
        self.headers = {"Authorization": f"Bearer {token}"}
        async with self.session() as session:
            await self.push(session, b"{}", "t")

    def _khod(self, arguments: list[str]) -> None:
        command = [*PROGRAM, *arguments, "--password-stdin"]
        done = subprocess.run(
            command,
            env=environ(),
            input=PASSWORD,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr

    def session(self, headers: dict[str, str] | None = None) -> aiohttp.ClientSession:
        """Connections of their own, so that all workers are met."""
        return aiohttp.ClientSession(
            self.victim.url,
            headers=self.headers if headers is None else headers,
            timeout=aiohttp.ClientTimeout(total=PATIENCE),
            connector=aiohttp.TCPConnector(limit=0, force_close=True),
        )

    async def push(self, session: aiohttp.ClientSession, config: bytes, tag: str) -> None:
        """An image without layers."""
        manifest = encode(image(config))
        digest = image(config)["config"]["digest"]
        path = f"/v2/a/blobs/uploads/?digest={digest}"
        async with session.post(path, data=config) as answer:
            assert answer.status == 201, await answer.text()
        async with session.put(f"/v2/a/manifests/{tag}", data=manifest) as answer:
            assert answer.status == 201, await answer.text()

    async def ask(self, method: str, path: str, **more: Any) -> tuple[int, float, str | None]:
        """Status, seconds, Retry-After."""
        began = time.monotonic()
        headers = self.basic if path.startswith("/token") else None
        async with (
            self.session(headers) as session,
            session.request(method, path, **more) as answer,
        ):
            if answer.status == 503:
                assert (await answer.json())["errors"][0]["code"] == "UNAVAILABLE"
            await answer.read()
            return answer.status, time.monotonic() - began, answer.headers.get("Retry-After")

    async def ask_everything(self) -> list[tuple[int, float, str | None]]:
        """Pulls, pushes and logins at once, more than the pools have connections."""
        config = encode(image(b"{}"))
        scope = "scope=repository:a:pull"
        form = {"grant_type": "password", "service": "kho", "username": "ann", "password": PASSWORD}
        calls: list[tuple[str, str, dict[str, Any]]] = [
            ("GET", "/v2/a/manifests/t", {}),
            ("GET", "/v2/a/tags/list", {}),
            ("POST", "/v2/a/blobs/uploads/", {}),
            ("PUT", "/v2/a/manifests/u", {"data": config}),
            ("DELETE", "/v2/a/manifests/none", {}),
            ("GET", "/v2/a/blobs/" + image(b"{}")["config"]["digest"], {}),
            ("GET", "/v2/_catalog", {}),
            ("GET", f"/token?service=kho&{scope}", {}),
            ("POST", "/token", {"data": form}),
        ]
        return await asyncio.gather(
            *(self.ask(*call[:2], **call[2]) for call in calls * (CALLERS // len(calls)))
        )

    async def unready_after(self) -> float:
        """Seconds until /readyz says so."""
        began = time.monotonic()
        while (await self.ask("GET", "/readyz"))[0] == 200:
            assert time.monotonic() - began < PATIENCE
            await asyncio.sleep(0.1)
        return time.monotonic() - began

    async def back_after(self) -> float:
        """Seconds until every kind of request is answered as ever."""
        began = time.monotonic()
        await self.victim.ready()
        while True:
            answers = await self.ask_everything()
            if not any(status == 503 for status, _, _ in answers):
                return time.monotonic() - began
            assert time.monotonic() - began < PATIENCE, Counter(one[0] for one in answers)

    def connections(self) -> int:
        """Those of khod that the database knows."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'khod'"
        return int(self.database.sql(query))

    def costs(self) -> tuple[int, int]:
        """Threads and descriptors of the workers."""
        pids = self.victim.children()
        threads = sum(len(os.listdir(f"/proc/{pid}/task")) for pid in pids)
        return threads, sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, database: PostgresServer) -> Iterator[Site]:
    """Two workers on that database, with authentication; they live through all the tests."""
    victim = Victim(tmp_path_factory.mktemp("gone"), database.url("kho"))
    site = Site(victim, database)
    try:
        asyncio.run(site.prepare())
        yield site
    finally:
        victim.destroy()


async def suffer(site: Site, seconds: float) -> dict[str, object]:
    """Ask as long as the database is gone: 503 in time, each with Retry-After."""
    until = time.monotonic() + seconds
    unready = asyncio.create_task(site.unready_after())
    statuses: Counter[int] = Counter()
    slowest = 0.0
    while (begun := time.monotonic() - until + seconds) < seconds:
        for status, took, retry in await site.ask_everything():
            statuses[status] += 1
            slowest = max(slowest, took)
            if begun < REMEMBERED and status == 200:
                continue  # a login that is remembered
            assert status == 503, statuses
            assert retry is not None
            assert int(retry) >= 1
        await asyncio.sleep(0.1)
    assert slowest < ANSWERED
    after = await unready
    assert after < UNREADY
    return {"answers": statuses[503], "slowest": round(slowest, 2), "unready": round(after, 2)}


async def recover(site: Site, before: tuple[int, int]) -> dict[str, object]:
    """Back in time, all of it, and nothing is left open."""
    back = await site.back_after()
    assert back < BACK
    async with site.session() as session:
        await site.push(session, os.urandom(100), "after")
    connections = await asyncio.to_thread(site.connections)
    assert connections <= 2 * CONNECTIONS
    for _ in range(50):  # sockets of answered requests close when they are done
        threads, descriptors = site.costs()
        if descriptors <= before[1] + 2 * CONNECTIONS:
            break
        await asyncio.sleep(0.1)
    assert threads <= before[0] + THREADS_MORE
    assert descriptors <= before[1] + 2 * CONNECTIONS
    assert site.victim.fsck() == ""
    return {"back": round(back, 2), "connections": connections}


@pytest.mark.timeout(300)
async def test_F7_a_database_that_stands_still(site: Site) -> None:
    await site.ask_everything()
    before = site.costs()
    await asyncio.to_thread(site.database.pause)
    told = await suffer(site, PAUSED)
    await asyncio.to_thread(site.database.resume)
    told |= await recover(site, before)
    report("F7", how="SIGSTOP", seconds=PAUSED, **told)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", ["immediate", "fast"] if LONG else ["immediate"])
async def test_F7_a_database_that_dies_and_comes_back(site: Site, mode: str) -> None:
    await site.ask_everything()
    before = site.costs()
    await asyncio.to_thread(lambda: site.database.stop(mode=mode))
    told = await suffer(site, PAUSED / 2)
    await asyncio.to_thread(site.database.start)
    told |= await recover(site, before)
    report("F7", how=mode, **told)


@pytest.mark.timeout(300)
async def test_F7_a_restart_between_two_requests_is_not_noticed(site: Site) -> None:
    await site.ask_everything()
    await asyncio.to_thread(lambda: site.database.stop(mode="immediate"))
    await asyncio.to_thread(site.database.start)
    statuses = Counter(status for status, _, _ in await site.ask_everything())
    assert 503 not in statuses, statuses
    assert site.victim.fsck() == ""
