"""F1: clients at work, a kill at a drawn moment, and a look at all that was promised."""

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from tests.faults.memory import HERE, Key, Memory
from tests.faults.pushing import MANIFEST, SHARED, Client, Violation, digest_of
from tests.faults.victim import Victim, kill

CLIENTS: Final = 8
READERS: Final = 8
OLD_ONES: Final = 100
LONGEST_WORK: Final = 0.5
# A start takes about so long.
START: Final = 1.5
WAYS: Final = {
    "a worker": 12,
    "both workers": 2,
    "the supervisor": 2,
    "all": 3,
    "all, and again while it starts": 1,
}
LIMIT: Final = aiohttp.ClientTimeout(total=30)


@dataclass
class Figures:
    """What a run came to."""

    kills: Counter[str] = field(default_factory=Counter)
    ready: list[float] = field(default_factory=list)
    reads: int = 0
    in_doubt: int = 0

    def ready_at(self, share: float) -> float:
        """A quantile of the seconds from the kill until all workers were ready."""
        ordered = sorted(self.ready)
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 3)


class Run:
    """One registry, its clients, and what they remember."""

    def __init__(self, victim: Victim, seed: int) -> None:
        self.victim = victim
        self.memory = Memory()
        self.figures = Figures()
        self.random = random.Random(seed)
        self.clients = [Client(number, seed, self.memory) for number in range(CLIENTS)]

    def session(self) -> aiohttp.ClientSession:
        """Connections for one round."""
        connector = aiohttp.TCPConnector(limit=0)
        return aiohttp.ClientSession(self.victim.url, connector=connector, timeout=LIMIT)

    async def round(self) -> None:
        """Work, kill, wait until it is ready, look."""
        stop = asyncio.Event()
        async with self.session() as session:
            working = [asyncio.create_task(one.work(session, stop)) for one in self.clients]
            await asyncio.wait(
                working,
                timeout=self.random.uniform(0.01, LONGEST_WORK),
                return_when=asyncio.FIRST_EXCEPTION,
            )
            (way,) = self.random.choices(list(WAYS), weights=list(WAYS.values()))
            stop.set()
            killed = await self._kill(way)
            await self.victim.ready()
            self.figures.ready.append(time.monotonic() - killed)
            self.figures.kills[way] += 1
            await asyncio.gather(*working)
        await self.look()

    async def _kill(self, way: str) -> float:
        """When the last kill was."""
        workers = self.victim.children()
        now = time.monotonic()
        if way == "a worker" and workers:
            kill(self.random.choice(workers))
        elif way == "both workers":
            for pid in workers:
                kill(pid)
        elif way == "the supervisor":
            kill(self.victim.pid)
            self.victim.reap()
            self.victim.start()
        else:
            self.victim.kill_all()
            self.victim.start()
            if way == "all, and again while it starts":
                await asyncio.sleep(self.random.uniform(0, START))
                now = time.monotonic()
                self.victim.kill_all()
                self.victim.start()
        return now

    async def look(self, *, everything: bool = False) -> None:
        """Read what was touched and some of what was not; settle what was in doubt."""
        all_keys = list(self.memory.registers)
        old = all_keys if everything else self.random.sample(all_keys, min(OLD_ONES, len(all_keys)))
        keys = sorted(self.memory.take_touched(old))
        async with self.session() as session:
            await asyncio.gather(
                *(self._read_each(session, keys[start::READERS]) for start in range(READERS))
            )

    async def _read_each(self, session: aiohttp.ClientSession, keys: list[Key]) -> None:
        for key in keys:
            register = self.memory.registers[key]
            allowed = register.allowed()
            found = await self._read(session, key)
            self.figures.reads += 1
            self.figures.in_doubt += len(allowed) > 1
            if found not in allowed:
                raise Violation(f"{key}: found {found}, allowed {allowed}")
            register.settle(found)

    async def _read(self, session: aiohttp.ClientSession, key: Key) -> str | None:
        repository, kind, name = key
        folder = "blobs" if kind == "blob" else "manifests"
        path = f"/v2/{repository}/{folder}/{name}"
        async with session.get(path, headers={"Accept": MANIFEST}) as answer:
            body = await answer.read()
            if answer.status == 404:
                return None
            if answer.status != 200:
                raise Violation(f"GET {path}: {answer.status} {body!r}")
        digest = digest_of(body)
        if kind == "tag":
            return digest
        if digest != name:
            raise Violation(f"GET {path}: {len(body)} bytes of {digest}")
        return HERE

    async def lists_agree(self) -> None:
        """The lists of tags say what the tags themselves say."""
        async with self.session() as session:
            for repository in [SHARED, *(one.repository for one in self.clients)]:
                async with session.get(f"/v2/{repository}/tags/list") as answer:
                    listed = (await answer.json())["tags"] if answer.status == 200 else []
                known = sorted(self.memory.known(repository, "tag"))
                if listed != known:
                    raise Violation(f"{repository} lists {listed}, its tags are {known}")


async def run(victim: Victim, seed: int, kills: int, manifests: int) -> Run:
    """At least so many kills and acknowledged manifests; raises at the first broken promise."""
    one = Run(victim, seed)
    victim.start()
    await victim.ready()
    while len(one.figures.ready) < kills or one.memory.acknowledged["manifest"] < manifests:
        await one.round()
    await one.look(everything=True)
    await one.lists_agree()
    return one
