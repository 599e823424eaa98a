"""F2: one push, its worker killed on entering a system call: every call of every thread in turn.

strace -p THREAD -e inject=CALL:signal=KILL:when=N      delivers SIGKILL before the N-th CALL runs

It counts by thread, and which thread of a pool works is chance: so a push is traced first, and the
threads are known by what they did in it.
"""

import asyncio
import re
import subprocess
from collections import Counter, defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import aiohttp

from tests.faults.kills import LIMIT, Run
from tests.faults.pushing import Broken, Client
from tests.faults.victim import START_SECONDS, Victim

CALLS: Final = (
    *("fsync", "fdatasync", "rename", "renameat", "renameat2", "mkdir", "mkdirat", "openat"),
    *("pwrite64", "write", "writev", "sendto", "sendmsg", "ftruncate", "unlink", "unlinkat"),
    "flock",
)
ACTS: Final = ("post", "patch", "manifest")
LARGE: Final = 300_000
SMALL: Final = 200
DETACH_SECONDS: Final = 2.0
# A worker is quickly replaced; this often the supervisor is killed, too.
ALL_OF_IT: Final = 10
_CALL: Final = re.compile(r"(\d+) +(\w+)\(")


Threads = dict[str, Counter[str]]
"""What each thread called, by its id."""


class Point(NamedTuple):
    """The `number`-th `call` of a thread of that role, in that part of a push."""

    act: str
    role: str
    call: str
    number: int


class Tracer:
    """strace, attached to a process that runs already."""

    def __init__(self, log: Path, *options: str) -> None:
        command = ["strace", "-o", str(log), *options]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE)

    async def attached(self, count: int = 1) -> None:
        """Wait for the lines that say so."""
        assert self._process.stderr is not None
        async with asyncio.timeout(START_SECONDS):
            for _ in range(count):
                line = await asyncio.to_thread(self._process.stderr.readline)
                assert b"attached" in line, line

    def detach(self) -> None:
        """Let go of the process, if it lives."""
        self._process.terminate()
        try:
            self._process.wait(DETACH_SECONDS)
        except subprocess.TimeoutExpired:
            # It may wait for ever for a thread that was killed while it attached to the next one.
            self._process.kill()
            self._process.wait()
        assert self._process.stderr is not None
        self._process.stderr.close()


class Surgery(Run):
    """One worker, one client, one push at a time."""

    def __init__(self, victim: Victim, seed: int, folder: Path) -> None:
        super().__init__(victim, seed)
        self.clients = self.clients[:1]
        self.folder = folder
        self.killed: Counter[str] = Counter()
        self.missed: Counter[str] = Counter()
        self._starts = 0
        self._layer = ""

    async def start(self) -> dict[str, list[str]]:
        """Start, or let the supervisor do it; look, push once, and see which threads do what."""
        if self.victim.alive and self._starts % ALL_OF_IT == 0:
            self.victim.kill_all()
        if not self.victim.alive:
            self.victim.start()
        self._starts += 1
        await self.victim.ready()
        await self.look(everything=len(self.memory.registers) < SMALL)
        assert await self._push(resume=True)
        counted = await self._traced(*ACTS)
        (worker, *_) = self.victim.children()
        roles: dict[str, list[str]] = defaultdict(list)
        for thread in _threads(worker):
            calls = counted.get(thread, Counter())
            roles["loop" if thread == str(worker) else _role(calls)].append(thread)
        return roles

    async def _traced(self, *acts: str) -> Threads:
        """What each thread calls in these acts."""
        log = self.folder / "calls"
        (worker, *_) = self.victim.children()
        tracer = Tracer(log, "-f", "-e", f"trace={','.join(CALLS)}", "-p", str(worker))
        await tracer.attached()
        assert await self._push(*acts)
        tracer.detach()
        counted: Threads = defaultdict(Counter)
        for line in log.read_text(errors="replace").splitlines():
            match = _CALL.match(line)
            if match is not None:
                counted[match[1]][match[2]] += 1
        return counted

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
                for act in acts or ACTS:
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
        """Every call of each act, by role, and one more of each."""
        found = []
        for act in ACTS:
            for role, threads in sorted((await self.start()).items()):
                counted = await self._traced(act)
                for call in CALLS:
                    most = max(counted[thread][call] for thread in threads)
                    numbers = range(1, most + 2) if most else range(0)
                    found += [Point(act, role, call, number) for number in numbers]
        return found

    async def cut(self, point: Point) -> None:
        """Push, and be killed there; whoever starts it again looks what is left."""
        threads = (await self.start())[point.role]
        kills = f"inject={point.call}:signal=KILL:when={point.number}"
        targets = [f"--attach={thread}" for thread in threads]
        if point.role == "storage":  # its pool may start one more thread for this very call
            targets = ["-f", f"--attach={self.victim.children()[0]}"]
        tracer = Tracer(self.folder / "killed", "-e", kills, *targets)
        await tracer.attached(len(targets) if point.role != "storage" else 1)
        whole = await self._push(point.act)
        tracer.detach()
        (self.missed if whole else self.killed)[point.call] += 1


def _threads(pid: int) -> list[str]:
    return [one.name for one in Path(f"/proc/{pid}/task").iterdir()]


def _role(calls: Counter[str]) -> str:
    """What a thread is for, by what it calls in a push; a pool's thread may have called nothing."""
    if calls["flock"] and calls["pwrite64"]:
        return "rows"
    of_files = calls["fsync"] + calls["fdatasync"] + calls["rename"] + calls["pwrite64"]
    return "storage" if of_files or not calls else "network"
