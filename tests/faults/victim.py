"""A real `khod serve`, to be killed in any way and started again on the same port."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from socket import socket
from typing import Final

import aiohttp

START_SECONDS: Final = 60.0
# So many connections meet every worker, whichever way the kernel spreads them.
PROBES: Final = 8
_FORWARDED: Final = ("PATH", "HOME", "LANG", "TMPDIR")
PROGRAM: Final = (sys.executable, "-m", "kho.server.cli")


class Victim:
    """The process tree of one registry; its data outlives every kill."""

    def __init__(self, folder: Path, database: str | None = None, *, workers: int = 2) -> None:
        self.data = folder / "data"
        self.log = folder / "khod.log"
        self.workers = workers
        self._database = [] if database is None else ["--database", database]
        self._process: subprocess.Popen[bytes] | None = None
        with socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The supervisor."""
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the supervisor lives."""
        return self._process is not None and self._process.poll() is None

    def start(self, *before: str) -> None:
        """Start it, under the program `before` if there is one; do not wait."""
        serve = ["serve", "--data", str(self.data), "--listen", f"127.0.0.1:{self.port}"]
        command = [*before, *PROGRAM, *serve, "--workers", str(self.workers), *self._database]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env=environ(), start_new_session=True
            )

    def children(self, pid: int | None = None) -> list[int]:
        """The processes below the supervisor, or below another one."""
        parent = self.pid if pid is None else pid
        with suppress(FileNotFoundError, ProcessLookupError):
            text = Path(f"/proc/{parent}/task/{parent}/children").read_text()
            return [int(child) for child in text.split()]
        return []

    def kill_all(self) -> None:
        """SIGKILL the supervisor and its workers at once."""
        for pid in (*self.children(), self.pid):
            kill(pid)
        self.reap()

    def reap(self) -> None:
        """Wait for the end of the process that was started."""
        if self._process is not None:
            self._process.wait(START_SECONDS)

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(START_SECONDS)

    def destroy(self) -> None:
        """Leave nothing behind."""
        if self.alive:
            self.kill_all()

    async def ready(self) -> float:
        """Wait until all workers answer that they are ready; how many seconds that took."""
        began = time.monotonic()
        while time.monotonic() - began < START_SECONDS:
            if await self._probe() and all(
                await asyncio.gather(*(self._probe() for _ in range(PROBES)))
            ):
                return time.monotonic() - began
            await asyncio.sleep(0.02)
        raise AssertionError(f"not ready after {START_SECONDS} s:\n{self.tail()}")

    async def _probe(self) -> bool:
        connector = aiohttp.TCPConnector(force_close=True)
        limit = aiohttp.ClientTimeout(total=10)
        with suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with (
                aiohttp.ClientSession(connector=connector, timeout=limit) as session,
                session.get(f"{self.url}/readyz") as answer,
            ):
                return answer.status == 200
        return False

    def tail(self) -> str:
        """The last lines it wrote."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])

    def fsck(self) -> str:
        """What `khod fsck` finds wrong; "" when all is well."""
        command = [*PROGRAM, "fsck", "--data", str(self.data), *self._database]
        done = subprocess.run(command, env=environ(), capture_output=True, text=True, check=False)
        return "" if done.returncode == 0 else f"{done.returncode}: {done.stdout}{done.stderr}"


def environ() -> dict[str, str]:
    """For khod, which would refuse the KHO_FAULTS of the tests."""
    kept = {key: os.environ[key] for key in _FORWARDED if key in os.environ}
    return {**kept, "KHO_LOG_ACCESS": "false"}


def kill(pid: int) -> None:
    """SIGKILL; whoever is dead already stays so."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
