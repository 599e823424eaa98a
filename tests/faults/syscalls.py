"""F2: one push, its worker killed on entering a system call: every call of its path in turn.

A push is traced first, to know how many calls there are; then it is killed at the first of them,
at the second, and so on (tests/faults/cutter.py).
"""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from typing import Final, NamedTuple

import aiohttp

from tests.faults.kills import LIMIT, Run
from tests.faults.pushing import Broken, Client
from tests.faults.victim import Victim

ACTS: Final = ("post", "patch", "manifest")
LARGE: Final = 300_000
SMALL: Final = 200
# The path is not quite the same each time: so many points more than were counted.
MORE: Final = 2
# A worker is quickly replaced; this often the supervisor is killed, too.
ALL_OF_IT: Final = 10


class Point(NamedTuple):
    """The `number`-th call in that part of a push."""

    act: str
    number: int


class Tracing:
    """tests.faults.cutter at work on a process."""

    def __init__(self, pid: int, number: int | None = None) -> None:
        wanted = [] if number is None else [str(number)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.cutter", str(pid), *wanted],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "attached\n"

    def seen(self) -> list[str]:
        """End it; the calls since it began."""
        self._process.terminate()
        text, _ = self._process.communicate()
        found: list[str] = json.loads(text)
        return found


class Surgery(Run):
    """One worker, one client, one push at a time."""

    def __init__(self, victim: Victim, seed: int) -> None:
        super().__init__(victim, seed)
        self.clients = self.clients[:1]
        self.killed: Counter[str] = Counter()
        self.missed: Counter[str] = Counter()
        self._starts = 0
        self._layer = ""

    async def start(self) -> int:
        """Start, or let the supervisor do it; look, push once; the worker."""
        if self.victim.alive and self._starts % ALL_OF_IT == 0:
            self.victim.kill_all()
        if not self.victim.alive:
            self.victim.start()
        self._starts += 1
        await self.victim.ready()
        await self.look(everything=len(self.memory.registers) < SMALL)
        assert await self._push(*ACTS, resume=True)
        (worker, *_) = self.victim.children()
        return worker

    async def _push(self, *acts: str, resume: bool = False) -> bool:
        """A blob in one request, one in chunks, a manifest of it; False when the worker died."""
        client: Client = self.clients[0]
        connector = aiohttp.TCPConnector(limit=1)
        async with aiohttp.ClientSession(
            self.victim.url, connector=connector, timeout=LIMIT
        ) as session:
            stop = asyncio.Event()
            stop.set()
            client.begin(session, stop)
            with suppress(Broken):
                if resume and client.cut is not None:
                    await client.resume(client.cut)
                for act in acts:
                    await self._act(client, act)
                return True
        return False

    async def _act(self, client: Client, act: str) -> None:
        if act == "manifest":
            content = client.document((self._layer, LARGE))
            await client.push_manifest(client.repository, content, "latest")
        else:
            self._layer = await client.push_blob(client.repository, LARGE, act)

    async def points(self) -> list[Point]:
        """Every call of each act, and some more."""
        found = []
        for act in ACTS:
            tracing = Tracing(await self.start())
            assert await self._push(act)
            found += [Point(act, one + 1) for one in range(len(tracing.seen()) + MORE)]
        return found

    async def cut(self, point: Point) -> None:
        """Push, and be killed there; whoever starts it again looks what is left."""
        tracing = Tracing(await self.start(), point.number)
        await self._push(point.act)
        seen = tracing.seen()
        if len(seen) == point.number:
            self.killed[seen[-1]] += 1
        else:
            self.missed[point.act] += 1
