"""What a server spends while a timed part runs, and what everything else on the machine does."""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from bench import processes

SAMPLES_A_SECOND = 20
RESCAN_AFTER = 10
GROWN = 1.01


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds of the server, the load generator and everything else; memory in bytes.

    `idle_memory` is what the server held just before.
    """

    seconds: float
    server_cpu: float
    loader_cpu: float
    other_cpu: float
    peak_memory: int
    idle_memory: int = 0


class Meter:
    """Measures from `with` to its end; the usage is there afterwards."""

    def __init__(self, root: Callable[[], int | None]) -> None:
        self._root = root
        self._memory = MemoryWatch(root)
        self.usage: Usage | None = None

    def __enter__(self) -> Self:
        self._idle = self._server_memory()
        self._memory.start()
        self._server, self._loader = self._spent()
        self._busy, self._start = processes.machine_busy_seconds(), time.perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        seconds = time.perf_counter() - self._start
        busy = processes.machine_busy_seconds() - self._busy
        server, loader = self._spent()
        server, loader = server - self._server, max(0.0, loader - self._loader)
        peak = self._memory.stop()
        others = max(0.0, busy - server - loader)
        self.usage = Usage(seconds, server, loader, others, peak, self._idle)

    def _spent(self) -> tuple[float, float]:
        """CPU seconds of the server, and of all else that was started here: the load generators."""
        root = self._root()
        server = 0.0 if root is None else processes.cpu_seconds(root)
        return server, processes.cpu_seconds(os.getpid()) - server

    def _server_memory(self) -> int:
        root = self._root()
        if root is None:
            return 0
        return processes.proportional(tuple(stat.pid for stat in processes.tree(root)))


class MemoryWatch(threading.Thread):
    """Looks at the resident memory 20 times a second, takes the exact figure at each new peak.

    The exact one (PSS) costs a millisecond a process: on few cores the server would miss it.
    """

    def __init__(self, root: Callable[[], int | None]) -> None:
        super().__init__(name="memory", daemon=True)
        self._root = root
        self._ended = threading.Event()
        self._pids: tuple[int, ...] = ()
        self._highest = 0
        self._peak = 0

    def run(self) -> None:
        """Look until told to stop."""
        count = 0
        while not self._ended.wait(1 / SAMPLES_A_SECOND):
            self._look(rescan=count % RESCAN_AFTER == 0)
            count += 1

    def stop(self) -> int:
        """The highest sum seen, in bytes; at least one look is taken."""
        self._ended.set()
        self.join(timeout=5)
        self._look(rescan=True)
        return self._peak

    def _look(self, *, rescan: bool) -> None:
        root = self._root()
        if root is None:
            return
        if rescan:
            self._pids = tuple(stat.pid for stat in processes.tree(root))
        resident = processes.resident(self._pids)
        if resident > self._highest * GROWN:
            self._highest = resident
            self._peak = max(self._peak, processes.proportional(self._pids))


def wait_until_quiet(limit: float) -> None:
    """Wait until nothing keeps a quarter of a core busy, at most `limit` seconds."""
    end = time.monotonic() + limit
    window = 0.4
    while time.monotonic() < end:
        before = processes.machine_busy_seconds()
        time.sleep(window)
        if processes.machine_busy_seconds() - before < window / 4:
            return
