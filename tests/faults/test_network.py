"""F8: whatever a connection does, and wherever: the same digest, and no wrong offset accepted."""

import asyncio
import hashlib
import os
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.faults.proxy import KINDS, Fault, Line
from tests.faults.scale import report, rounds, seed
from tests.faults.victim import Victim
from tests.faults.wire import Broken, Reply, ask
from tests.server.serving import wait_until

CLIENTS = 12
LARGEST = 400_000
# So quick that the tests need not wait: who stalls is dropped within 3 s.
DEADLINES = ("env", "KHO_HTTP_IDLE_SECONDS=2", "KHO_HTTP_GRACE_SECONDS=2")


@dataclass
class Client:
    """Pushes and pulls blobs over lines that break."""

    port: int
    random: random.Random
    left: list[int]
    done: Counter[str] = field(default_factory=Counter)
    sessions: list[str] = field(default_factory=list)

    async def work(self) -> None:
        """Until as many lines have broken as were asked for."""
        while self.left[0] > 0:
            content = self.random.randbytes(self.random.randint(1, LARGEST))
            await self._push(content)
            await self._pull(content)

    def _fault(self, size: int, *, up: bool) -> Fault:
        kind = self.random.choices(KINDS, weights=[6, 6, 1, 1, 3])[0]
        self.left[0] -= 1
        self.done[kind] += 1
        # Within the body, within the heads, or within the answer.
        where = self.random.random()
        if not up or where < 0.1:
            return Fault(kind, False, self.random.randrange(size + 400))
        return Fault(kind, True, self.random.randrange(200 if where < 0.2 else size + 200))

    async def _over(
        self, fault: Fault, method: str, path: str, body: bytes = b"", **headers: str
    ) -> Reply:
        async with Line(self.port, fault) as line:
            return await ask(line.port, method, path, body, **headers)

    async def _push(self, content: bytes) -> None:
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        location = (await ask(self.port, "POST", "/v2/a/blobs/uploads/")).headers["location"]
        self.sessions.append(location)
        known = sent = 0
        while known < len(content):
            stop = min(len(content), known + self.random.randint(1, LARGEST))
            sent = max(sent, stop)
            offset = await self._append(location, content, known, stop)
            assert known <= offset <= sent, (known, offset, sent)
            known = offset
        await self._finish(location, digest)

    async def _append(self, location: str, content: bytes, start: int, stop: int) -> int:
        """Send one chunk over a line that breaks; the offset that the server tells then."""
        chunk = content[start:stop]
        fault = self._fault(len(chunk), up=True)
        try:
            reply = await self._over(
                fault, "PATCH", location, chunk, Content_Range=f"{start}-{stop - 1}"
            )
        except Broken:
            reply = await ask(self.port, "GET", location)
            assert reply.status == 204, reply
            return reply.offset
        if reply.status == 202:
            assert reply.offset == stop
            return stop
        # What was delivered before may still be on its way: then the offset is another one by now.
        assert reply.status in {400, 408, 416, 503}, reply
        self.done[f"answered {reply.status}"] += 1
        reply = await ask(self.port, "GET", location)
        assert reply.status == 204, reply
        return reply.offset

    async def _finish(self, location: str, digest: str) -> None:
        """The closing PUT; when its answer is lost, the blob is there or the session is."""
        for _ in range(10):
            with suppress(Broken):
                fault = self._fault(0, up=self.random.random() < 0.5)
                reply = await self._over(fault, "PUT", f"{location}?digest={digest}")
                if reply.status == 201:
                    return
                assert reply.status in {400, 404, 408, 503}, reply
            head = await ask(self.port, "HEAD", f"/v2/a/blobs/{digest}")
            if head.status == 200:
                return
            assert (await ask(self.port, "GET", location)).status in {204, 404}
        raise AssertionError("it never ended")

    async def _pull(self, content: bytes) -> None:
        """Take up where it broke, by Range."""
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        got = b""
        while len(got) < len(content):
            fault = self._fault(len(content) - len(got), up=False)
            rest = len(content) - len(got)
            try:
                reply = await self._over(
                    fault, "GET", f"/v2/a/blobs/{digest}", Range=f"bytes={len(got)}-"
                )
            except Broken as broken:
                got += broken.got
                continue
            assert reply.status in {200, 206}
            assert int(reply.headers["content-length"]) == rest
            got += reply.body
        assert got == content


@pytest.fixture
async def khod(tmp_path: Path) -> AsyncIterator[Victim]:
    """Two workers with short deadlines."""
    victim = Victim(tmp_path)
    victim.start(*DEADLINES)
    try:
        await victim.ready()
        yield victim
    finally:
        victim.destroy()


def descriptors(victim: Victim) -> int:
    """Those of both workers."""
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in victim.children())


@pytest.mark.timeout(0)
async def test_F8_lines_that_break_at_any_byte(khod: Victim) -> None:
    drawn, cuts = seed(), rounds(short=60, long=2000)
    before, left = descriptors(khod), [cuts]
    clients = [Client(khod.port, random.Random(f"{drawn}/{n}"), left) for n in range(CLIENTS)]
    try:
        await asyncio.gather(*(client.work() for client in clients))
    except BaseException:
        print(f"KHO_FAULTS_SEED={drawn}\n{khod.tail()}")
        raise
    done = sum((client.done for client in clients), Counter[str]())
    for client in clients:
        for location in client.sessions:
            assert (await ask(khod.port, "GET", location)).status == 404
    assert list((khod.data / "uploads").iterdir()) == []
    await asyncio.to_thread(wait_until, lambda: descriptors(khod) <= before + 4)
    assert khod.fsck() == ""
    report("F8", seed=drawn, **done)
