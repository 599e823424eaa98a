"""Runs one case with all tools: A B C, then C B A, then A B C again; what each run cost."""

import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.clients.cases import Case, Stock
from bench.clients.tools import PULL, PUSH, Tool
from bench.rounds import order
from bench.server import Server
from bench.settings import MIB

LIMIT = 600
SEEDED = -1
# Set here and there for tests; Python then compiles itself anew in each run.
UNCOMPILED = "PYTHONDONTWRITEBYTECODE"
_PEAK = re.compile(r"^VmHWM:\s+([0-9]+) kB$", re.MULTILINE)


class ToolFailedError(RuntimeError):
    """A client ended with an error; the message has what it said."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one run: wall and processor seconds, MiB at the peak."""

    seconds: float
    processor: float
    memory: float


@dataclass(frozen=True, slots=True)
class Place:
    """The server, a scratch folder, and the programs by tool."""

    server: Server
    scratch: Path
    programs: Mapping[str, Path]
    stock: Stock


def run(case: Case, tools: Sequence[Tool], place: Place, repeats: int) -> dict[str, list[Cost]]:
    """The costs by tool, a round each."""
    able = {tool.name: tool for tool in tools if case.job in tool.commands}
    if case.alone:
        able = {name: able[name] for name in list(able)[:1]}
    costs: dict[str, list[Cost]] = {name: [] for name in able}
    if case.job == PULL:
        _do(case, tools[0], place, "seeded", SEEDED, job=PUSH)
    for number in range(repeats):
        for name in order(list(able), number):
            label = "seeded" if case.job == PULL else f"{name}-{number}"
            stamp = SEEDED if case.job == PULL else number * len(able) + list(able).index(name)
            costs[name].append(_do(case, able[name], place, label, stamp))
    return costs


def _do(
    case: Case, tool: Tool, place: Place, label: str, stamp: int, *, job: str | None = None
) -> Cost:
    target = place.scratch / "target"
    shutil.rmtree(target, ignore_errors=True)
    layout = case.image(place.stock, stamp) if case.image else None
    address = place.server.address
    words = {
        "registry": f"{address.host}:{address.port}/{case.key}/{label}:1",
        "layout": str(layout.folder) if layout else "",
        "tag": layout.tag if layout else "",
        "target": str(target),
    }
    subprocess.run(["sync", "-f", str(place.scratch)], timeout=120, check=False)
    command = [str(place.programs[tool.name])]
    command += [word.format(**words) for word in tool.commands[job or case.job]]
    runs = [_timed(command, place.scratch) for _ in range(case.times)]
    shutil.rmtree(target, ignore_errors=True)
    count = len(runs)
    return Cost(
        sum(one.seconds for one in runs) / count,
        sum(one.processor for one in runs) / count,
        max(one.memory for one in runs),
    )


def _timed(command: Sequence[str], scratch: Path) -> Cost:
    """One process to its end, children that it waits for with it."""
    home = scratch / "home"
    shutil.rmtree(home, ignore_errors=True)  # nobody remembers what another run has sent
    own = {
        "HOME": str(home),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CACHE_HOME": str(home / "cache"),
        # For root there is no other way to give skopeo a memory of blobs of its own.
        "_CONTAINERS_ROOTLESS_UID": "1",
    }
    home.mkdir()
    kept = {name: text for name, text in os.environ.items() if name != UNCOMPILED}
    said = scratch / "said"
    with said.open("wb") as out:
        begun = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env={**kept, **own}
        )
        memory = _Memory(process.pid)
        memory.start()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        memory.join()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        words = " ".join(command)
        raise ToolFailedError(f"{words}: {said.read_text(errors='replace').strip()[-600:]}")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, memory.peak / MIB)


class _Memory(threading.Thread):
    """Reads the high-water mark until the process is gone: that of its rusage is its maker's."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._status = Path(f"/proc/{pid}/status")
        self.peak = 0

    def run(self) -> None:
        """Twenty times a second."""
        with suppress(OSError):
            while match := _PEAK.search(self._status.read_text()):
                self.peak = int(match[1]) * 1024
                time.sleep(0.05)
