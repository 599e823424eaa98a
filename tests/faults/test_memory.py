"""Many large bodies at once, in and out: each costs pieces, never itself."""

import hashlib
import http.client
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.faults.scale import report, rounds, seed
from tests.faults.victim import Victim

MIB = 2**20
CLIENTS = rounds(short=16, long=64)
SIZE = rounds(short=16, long=100) * MIB
# What is allowed to 64 clients, with what any first body costs: modules, threads, connections.
FIRST = 32 * MIB
EACH_PUSH, EACH_PULL = 4 * MIB, MIB
STEP = 0.02


class Watch(threading.Thread):
    """The most that a process tree holds while it looks."""

    def __init__(self, victim: Victim) -> None:
        super().__init__(daemon=True)
        self._pids = [victim.pid, *victim.children()]
        self._over = threading.Event()
        self.before = self.highest = self._held()

    def _held(self) -> int:
        texts = (Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in self._pids)
        lines = (line.split() for text in texts for line in text.splitlines())
        return sum(int(words[1]) * 1024 for words in lines if words[0] == "Pss:")

    def run(self) -> None:
        """Look until told to stop."""
        while not self._over.wait(STEP):
            self.highest = max(self.highest, self._held())

    def grown(self) -> int:
        """Stop; bytes above what was held at first."""
        self._over.set()
        self.join()
        return self.highest - self.before


class Bodies:
    """As many as there are clients, alike but for their last bytes."""

    def __init__(self) -> None:
        chance = random.Random(seed())
        self._start = chance.randbytes(SIZE - 16)
        self._ends = [chance.randbytes(16) for _ in range(CLIENTS)]
        state = hashlib.sha256(self._start)
        self.digests = []
        for end in self._ends:
            whole = state.copy()
            whole.update(end)
            self.digests.append(f"sha256:{whole.hexdigest()}")

    def push(self, port: int, number: int) -> None:
        """In one request, as quickly as the server takes it."""
        parts = memoryview(self._start), self._ends[number]
        path = f"/v2/a/blobs/uploads/?digest={self.digests[number]}"
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        line.request("POST", path, iter(parts), {"Content-Length": str(SIZE)})
        assert line.getresponse().status == 201
        line.close()

    def pull(self, port: int, number: int) -> None:
        """Thrown away by pieces."""
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        line.request("GET", f"/v2/a/blobs/{self.digests[number]}")
        answer = line.getresponse()
        state = hashlib.sha256()
        while piece := answer.read(MIB):
            state.update(piece)
        assert f"sha256:{state.hexdigest()}" == self.digests[number]
        line.close()


def _at_once(khod: Victim, act: Callable[[int, int], None]) -> int:
    watch = Watch(khod)
    watch.start()
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda number: act(khod.port, number), range(CLIENTS)))
    return watch.grown()


@pytest.mark.timeout(0)
async def test_large_bodies_at_once_cost_pieces(khod: Victim) -> None:
    bodies = Bodies()
    pushed = _at_once(khod, bodies.push)
    pulled = _at_once(khod, bodies.pull)
    report("memory", clients=CLIENTS, size=SIZE, pushed=pushed // MIB, pulled=pulled // MIB)
    assert pushed < FIRST + CLIENTS * EACH_PUSH
    assert pulled < FIRST + CLIENTS * EACH_PULL
    assert khod.fsck() == ""
