"""F6: a disk that cannot write, flush or read: no 201, no short 200, and it goes on afterwards."""

import hashlib
import json
import os
import random
import shutil
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.scale import report, rounds, seed
from tests.faults.victim import Victim
from tests.faults.wire import Broken, Reply, ask
from tests.oci.samples import encode, image
from tests.server.serving import wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="attaches strace: root only")

FAILURES = {
    "flush": "fsync,fdatasync",
    "write": "pwrite64,pwritev,ftruncate",
    "read": "pread64,preadv,preadv2",
}
FAILED = {503}
STORED = {201, 202}
# The n-th call fails, with n up to this: a story makes about so many of each kind in a thread.
CALLS = 16
AT_ONCE = 60
LARGE = os.urandom(3 * 2**20)
SMALL = b"small"


@pytest.fixture
async def khod(tmp_path: Path) -> AsyncIterator[Victim]:
    """One worker, so that the failing one is the one that is asked."""
    victim = Victim(tmp_path, workers=1)
    victim.start()
    try:
        await victim.ready()
        yield victim
    finally:
        victim.destroy()


@contextmanager
def failing(victim: Victim, calls: str, when: str, log: Path) -> Iterator[None]:
    """While the block runs these calls of the worker end with EIO, all or the n-th one."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.fail("strace is missing (Debian: apt-get install strace)", pytrace=False)
    (worker,) = victim.children()
    inject = f"inject={calls}:error=EIO:when={when}"
    command = [strace, "-f", "-qq", "-o", str(log), "-e", f"trace={calls}", "-e", inject]
    tracer = subprocess.Popen([*command, "-p", str(worker)])
    try:
        wait_until(lambda: all(traced(worker)))
        yield
    finally:
        tracer.terminate()
        tracer.wait()


def traced(worker: int) -> list[bool]:
    """Of each thread."""
    threads = Path(f"/proc/{worker}/task").iterdir()
    return ["TracerPid:\t0\n" not in (one / "status").read_text() for one in threads]


def digest_of(content: bytes) -> str:
    """Its digest."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


class Story:
    """What a client does, and what it may believe afterwards."""

    def __init__(self, victim: Victim, drawn: random.Random) -> None:
        self.victim = victim
        self.random = drawn
        self.stored: dict[str, bytes] = {}
        self.tags: dict[str, bytes | None] = {}
        self.sessions: dict[str, tuple[bytes, int]] = {}
        self.statuses: Counter[str] = Counter()
        self._count = 0

    async def _ask(self, method: str, path: str, body: bytes = b"", **more: str) -> Reply | None:
        """None when the connection was cut."""
        try:
            reply = await ask(self.victim.port, method, path, body, **more)
        except Broken:
            self.statuses[f"{method} cut"] += 1
            return None
        self.statuses[f"{method} {reply.status}"] += 1
        assert reply.status < 500 or reply.status in FAILED, (method, path, reply)
        return reply

    async def push(self) -> None:
        """A blob at once, a session in steps, a manifest."""
        content = self.random.randbytes(self.random.choice([10, 300_000]))
        digest = digest_of(content)
        reply = await self._ask("POST", f"/v2/a/blobs/uploads/?digest={digest}", content)
        if reply is not None and reply.status in STORED:
            self.stored[f"/v2/a/blobs/{digest}"] = content
        await self._session(self.random.randbytes(400_000))
        for location in list(self.sessions):
            await self._append(location)
        self._count += 1
        manifest = encode(image(b"{}", number=self._count))
        tag = f"/v2/a/manifests/t{self._count % 3}"
        reply = await self._ask("PUT", tag, manifest)
        if reply is not None and reply.status in STORED:
            self.tags[tag] = manifest
            self.stored[f"/v2/a/manifests/{digest_of(manifest)}"] = manifest

    async def _session(self, content: bytes) -> None:
        reply = await self._ask("POST", "/v2/a/blobs/uploads/")
        if reply is not None and reply.status in STORED:
            self.sessions[reply.headers["location"]] = content, 0

    async def _append(self, location: str) -> None:
        """Half of what is left, or the end."""
        content, known = self.sessions[location]
        digest = digest_of(content)
        if known < len(content):
            stop = min(len(content), known + 200_000)
            span = f"{known}-{stop - 1}"
            reply = await self._ask("PATCH", location, content[known:stop], Content_Range=span)
            if reply is not None and reply.status in STORED:
                assert reply.offset == stop
                self.sessions[location] = content, stop
            return
        reply = await self._ask("PUT", f"{location}?digest={digest}")
        if reply is not None and reply.status in STORED:
            self.stored[f"/v2/a/blobs/{digest}"] = content
            del self.sessions[location]

    async def pull(self, most: int = AT_ONCE) -> int:
        """What was acknowledged, or so much of it: right, or an error; how much was not right."""
        wrong = 0
        stored = list({**self.stored, **self.tags}.items())
        for path, content in self.random.sample(stored, min(most, len(stored))):
            reply = await self._ask("GET", path)
            if reply is not None and reply.status == 200:
                assert reply.body == content, path
            else:
                assert reply is None or reply.status in FAILED, (path, reply)
                wrong += 1
        return wrong

    async def check(self, most: int = AT_ONCE) -> None:
        """The disk is well again: all is there, sessions go on where they said."""
        assert await self.pull(most) == 0
        for location, (_, known) in self.sessions.items():
            reply = await self._ask("GET", location)
            assert reply is not None
            assert reply.status == 204, reply
            assert reply.offset == known
        for location in list(self.sessions):
            while location in self.sessions:
                before = self.sessions[location]
                await self._append(location)
                assert self.sessions.get(location) != before
        await self.push()
        assert self.victim.fsck() == ""


async def prepared(victim: Victim, drawn: random.Random) -> Story:
    """Blobs that are there before anything fails."""
    story = Story(victim, drawn)
    for content in (LARGE, SMALL, b"{}"):
        path = f"/v2/a/blobs/uploads/?digest={digest_of(content)}"
        assert (await ask(victim.port, "POST", path, content)).status == 201
        story.stored[f"/v2/a/blobs/{digest_of(content)}"] = content
    await story.push()
    return story


@pytest.mark.timeout(0)
@pytest.mark.parametrize("kind", FAILURES)
async def test_F6_a_disk_that_fails(khod: Victim, tmp_path: Path, kind: str) -> None:
    drawn = seed()
    story = await prepared(khod, random.Random(drawn))
    log = tmp_path / "strace"
    injected = 0
    whens = ["1+"] + [str(1 + number % CALLS) for number in range(rounds(short=1, long=60))]
    for when in whens:
        before = len(story.stored)
        with failing(khod, FAILURES[kind], when, log):
            await story.push()
            await story.pull()
            if when == "1+" and kind != "read":
                assert len(story.stored) == before, "acknowledged without a flush"
        injected += log.read_text().count("(INJECTED)")
        if when == "1+":
            assert injected
        await story.check()
    await khod_again(khod)
    await story.check(len(story.stored) + len(story.tags))
    report("F6", kind=kind, seed=drawn, injected=injected, **story.statuses)


async def khod_again(victim: Victim) -> None:
    """Killed and started: what was acknowledged is in the files."""
    victim.kill_all()
    victim.start()
    await victim.ready()


async def test_F6_readiness_tells(khod: Victim, tmp_path: Path) -> None:
    with failing(khod, FAILURES["flush"], "1+", tmp_path / "strace"):
        reply = await ask(khod.port, "GET", "/readyz")
    assert reply.status == 503
    assert json.loads(reply.body)["errors"][0]["code"] == "UNAVAILABLE"
    assert (await ask(khod.port, "GET", "/readyz")).status == 200
