"""F2: one push, its worker killed on entering a system call: every call of every thread in turn.

strace -p THREAD -e inject=CALL:signal=KILL:when=N      delivers SIGKILL before the N-th CALL runs
"""

import asyncio
import re
import subprocess
from collections import Counter
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
    *("flock", "fcntl", "close"),
)
LARGE: Final = 300_000
SMALL: Final = 200
# A worker is quickly replaced; this often the supervisor is killed, too.
ALL_OF_IT: Final = 10
_CALL: Final = re.compile(r"(\d+) +(\w+)\(")


class Point(NamedTuple):
    """The `number`-th `call` of the `thread`-th thread."""

    thread: int
    call: str
    number: int


class Tracer:
    """strace, attached to a process that runs already."""

    def __init__(self, log: Path, *options: str) -> None:
        command = ["strace", "-o", str(log), *options]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE)

    async def attached(self) -> None:
        """Wait for the line that says so."""
        assert self._process.stderr is not None
        async with asyncio.timeout(START_SECONDS):
            line = await asyncio.to_thread(self._process.stderr.readline)
        assert b"attached" in line, line

    def detach(self) -> None:
        """Let go of the process, if it lives."""
        self._process.terminate()
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
        self.missed = 0
        self._starts = 0

    async def start(self) -> int:
        """Start, or let the supervisor do it; look, and warm it up; the worker's process id."""
        if self.victim.alive and self._starts % ALL_OF_IT == 0:
            self.victim.kill_all()
        if not self.victim.alive:
            self.victim.start()
        self._starts += 1
        await self.victim.ready()
        await self.look(everything=len(self.memory.registers) < SMALL)
        assert await self._push(resume=True)
        (worker, *_) = self.victim.children()
        return worker

    async def _push(self, *, resume: bool = False) -> bool:
        """Two blobs and a manifest; False when the worker died."""
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
                await client.push_blob(client.repository, 1000, "post")
                digest = await client.push_blob(client.repository, LARGE, "patch")
                content = client.document((digest, LARGE))
                await client.push_manifest(client.repository, content, "latest")
                return True
        return False

    async def points(self) -> list[Point]:
        """Every call of one push, by thread, each thread with one call more."""
        worker = await self.start()
        log = self.folder / "calls"
        tracer = Tracer(log, "-f", "-e", f"trace={','.join(CALLS)}", "-p", str(worker))
        await tracer.attached()
        assert await self._push()
        tracer.detach()
        threads = [str(one) for one in _threads(worker)]
        counted: Counter[tuple[int, str]] = Counter()
        for line in log.read_text(errors="replace").splitlines():
            match = _CALL.match(line)
            if match is not None and match[1] in threads:
                counted[threads.index(match[1]), match[2]] += 1
        return [
            Point(thread, call, number)
            for (thread, call), count in sorted(counted.items())
            for number in range(1, count + 2)
        ]

    async def cut(self, point: Point) -> None:
        """Push, and be killed there; whoever starts it again looks what is left."""
        worker = await self.start()
        threads = _threads(worker)
        if point.thread >= len(threads):
            self.missed += 1
            return
        kills = f"inject={point.call}:signal=KILL:when={point.number}"
        target = str(threads[point.thread])
        tracer = Tracer(self.folder / "killed", "-e", kills, "-p", target)
        await tracer.attached()
        whole = await self._push()
        tracer.detach()
        if whole:
            self.missed += 1
        else:
            self.killed[point.call] += 1


def _threads(pid: int) -> list[int]:
    """The threads of a process, the oldest first."""
    return sorted(int(one.name) for one in Path(f"/proc/{pid}/task").iterdir())
