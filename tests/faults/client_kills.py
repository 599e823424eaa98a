"""F18: `kho copy` is killed at drawn moments and started again, until the image is through.

    layout ─► kho copy ─► line of 20 MB/s, which counts ─► khod        and back

Each image is new to the target. What has passed the line in the end is the image and, for each
kill, what was on its way; the next run goes on from there. What kho had not yet read from its
kernel when it was killed, it could not keep: that is not counted, for it grows with the machine's
load.
"""

import asyncio
import os
import random
import shutil
import signal
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from kho.client.stores.copy import Copier
from kho.client.stores.layout import Layout
from kho.client.stores.registry_store import RegistryStore
from kho.remote.registry import Registry
from tests.client.images import content_of, image
from tests.faults.narrow_line import NarrowLine
from tests.interop.servers import KHOD

KHO: Final = KHOD.with_name("kho")
MIB: Final = 2**20
RATE: Final = 20e6
LAYERS: Final = (5 * MIB, 4 * MIB, 3 * MIB, 300_000)
# A kill comes after so many bytes at most, or so many seconds after the first one.
MOST_BYTES: Final = 4 * MIB
MOST_SECONDS: Final = 1.0
RUN_SECONDS: Final = 60.0


@dataclass
class Figures:
    """What a run came to."""

    images: int = 0
    kills: int = 0
    # Runs that were through before their kill.
    escaped: int = 0
    size: int = 0
    passed: int = 0
    # Of pulls: passed as well, but not to kho, which was killed before it read them.
    unread: int = 0
    excess: list[int] = field(default_factory=list)

    @property
    def each_kill(self) -> int:
        """Bytes that a kill has cost, on average."""
        return max(0, self.passed - self.size) // max(1, self.kills)


class Run:
    """One khod, behind the line; images go up to it, or come down."""

    def __init__(self, port: int, folder: Path, seed: int) -> None:
        self._port = port
        self._folder = folder
        self._random = random.Random(seed)
        self.figures = Figures()

    async def go(self, way: str, kills: int) -> None:
        """Images, one after the other, until there were so many kills."""
        async with NarrowLine(self._port, RATE) as line:
            while self.figures.kills < kills:
                await self._image(line, way)

    async def _image(self, line: NarrowLine, way: str) -> None:
        """One image, killed on its way until it is through; then it is looked at."""
        number = self.figures.images
        home = self._folder / f"{way}-{number}"
        made = Layout(home / "made")
        manifest = await image(made, "v1", *map(self._random.randbytes, LAYERS))
        size = sum(map(len, content_of(made.folder).values()))
        repository = f"kills/{way}{number}"
        here, there = f"oci:{made.folder}:v1", f"127.0.0.1:{line.port}/{repository}:v1"
        async with Registry(f"127.0.0.1:{self._port}") as registry:
            store = RegistryStore(registry, repository)
            if way == "up":
                words = here, there
            else:
                await Copier(made, store).copy("v1", ["v1"])
                words = there, f"oci:{home}/back:v1"
            before, kills, unread = line.passed[way], self.figures.kills, self.figures.unread
            while not await self._one(line, way, words, home):
                self.figures.kills += 1
            passed = line.passed[way] - before - (self.figures.unread - unread)
            if way == "up":
                await Copier(store, Layout(home / "back")).copy("v1", ["v1"])
        back = Layout(home / "back")
        assert (await back.manifest("v1")).digest == manifest.digest
        assert content_of(back.folder) == content_of(made.folder)
        assert list((back.folder / "ingest").iterdir()) == []
        assert not list(home.glob("cache/kho/uploads/*.json"))
        self._count(size, passed, self.figures.kills - kills)
        shutil.rmtree(home)

    def _count(self, size: int, passed: int, kills: int) -> None:
        figures = self.figures
        figures.images += 1
        figures.size += size
        figures.passed += passed
        figures.excess.append((passed - size) // max(1, kills))

    async def _one(self, line: NarrowLine, way: str, words: tuple[str, str], home: Path) -> bool:
        """Start it, kill it; True where it was through before."""
        clean = {name: value for name, value in os.environ.items() if name.isupper()}
        env = {**clean, "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
        process = await asyncio.create_subprocess_exec(
            KHO, "copy", "--quiet", *words, env=env, stdout=DEVNULL, stderr=PIPE
        )
        loop = asyncio.get_running_loop()
        read = 0
        # Not `process.send_signal`, which may take its exit status away before asyncio has it.
        handle = os.pidfd_open(process.pid)

        def kill() -> None:
            nonlocal read
            with suppress(ProcessLookupError):
                if process.returncode is None:
                    signal.pidfd_send_signal(handle, signal.SIGSTOP)  # it reads no more meanwhile
                    read = line.passed["down"] - line.unread
                    signal.pidfd_send_signal(handle, signal.SIGKILL)

        if self._random.random() < 0.8:
            line.call_after(way, self._random.randrange(MOST_BYTES), kill)
        else:
            seconds = self._random.uniform(0, MOST_SECONDS)
            line.call_after(way, 1, lambda: (loop.call_later(seconds, kill), None)[1])
        async with asyncio.timeout(RUN_SECONDS):
            _, said = await process.communicate()
        os.close(handle)
        if process.returncode == 0:
            self.figures.escaped += 1
            return True
        assert process.returncode == -signal.SIGKILL, said.decode()
        if way == "down":
            self.figures.unread += line.passed[way] - read
        return False
