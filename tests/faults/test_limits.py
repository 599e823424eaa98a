"""F17: few descriptors, little memory: queued, told or cut; nothing lost, over when it is over."""

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.limits import DESCRIPTORS, LIMITS, MIB, limited
from tests.faults.scale import LONG, report, rounds
from tests.faults.test_io_errors import digest_of
from tests.faults.victim import Victim
from tests.faults.wire import Broken, ask
from tests.oci.samples import encode

INDEX = "application/vnd.oci.image.index.v1+json"
IDLE = DESCRIPTORS * 2
BLOBS, MANIFESTS = (256, 100) if LONG else (100, 8)
# Those who wait for a connection wait until silent ones have been dropped, twice or three times.
PATIENCE = 90.0
TRIES = 4


class Crowd:
    """What clients at once were told, and what was acknowledged to them."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.statuses: Counter[str] = Counter()
        self.stored: dict[str, bytes] = {}

    async def push(self, method: str, path: str, content: bytes, kept_at: str) -> None:
        """A blob or manifest; again after a while when it was cut, or was told to come later."""
        for _ in range(TRIES):
            try:
                reply = await ask(self.port, method, path, content, PATIENCE, Content_Type=INDEX)
            except Broken:
                self.statuses["cut"] += 1
            else:
                self.statuses[str(reply.status)] += 1
                assert reply.status in {201, 503}, reply
                if reply.status == 201:
                    self.stored[kept_at] = content
                    return
            await asyncio.sleep(random.uniform(0.5, 2))

    async def read(self, path: str) -> bytes:
        """What is there; memory may still be short."""
        for left in reversed(range(2 * TRIES)):
            try:
                reply = await ask(self.port, "GET", path, b"", PATIENCE, Accept=INDEX)
            except Broken:  # the worker died of it
                if not left:
                    raise
            else:
                if reply.status != 503 or not left:
                    break
            await asyncio.sleep(0.5)
        assert reply.status == 200, reply
        return reply.body

    async def blob(self, size: int) -> None:
        """A new one."""
        content = os.urandom(size)
        digest = digest_of(content)
        path = f"/v2/a/blobs/uploads/?digest={digest}"
        await self.push("POST", path, content, f"/v2/a/blobs/{digest}")

    async def manifest(self) -> None:
        """A new one, as large as one may be."""
        filling = os.urandom(2 * MIB - 200).hex()
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": []}
        content = encode({**index, "annotations": {"filling": filling}})
        path = f"/v2/a/manifests/{digest_of(content)}"
        await self.push("PUT", path, content, path)


async def idle(port: int, count: int) -> list[asyncio.StreamWriter]:
    """Connections that ask for nothing, or for nothing more."""
    writers = []
    for number in range(count):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        if number % 2:
            writer.write(b"GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n")
        writers.append(writer)
    return writers


@pytest.fixture(params=LIMITS if LONG else LIMITS[:2])
def limit(request: pytest.FixtureRequest) -> str:
    """What there is little of."""
    return str(request.param)


@pytest.fixture
async def started(tmp_path: Path, limit: str) -> AsyncIterator[tuple[Victim, tuple[str, ...]]]:
    """Two workers under a limit, and what they were started with."""
    victim = Victim(tmp_path)
    with limited(limit) as before:
        if before is None:
            pytest.skip("no control group can be made here")
        victim.start(*before)
        try:
            await victim.ready()
            yield victim, before
        finally:
            victim.destroy()


@pytest.mark.timeout(0 if LONG else 300)
async def test_F17_a_crowd_under_a_limit(
    started: tuple[Victim, tuple[str, ...]], limit: str
) -> None:
    khod, before = started
    crowd = Crowd(khod.port)
    workers, died, ended = khod.children(), 0, 0
    for _ in range(rounds(short=1, long=5)):
        silent = await idle(khod.port, IDLE if limit == "descriptors" else 0)
        large = 0 if limit == "descriptors" else MANIFESTS
        await asyncio.gather(
            *(crowd.blob(200_000) for _ in range(BLOBS)), *(crowd.manifest() for _ in range(large))
        )
        for writer in silent:
            writer.close()
        if not khod.alive and limit == "group":
            # Dirty pages count, too: the kernel ends workers first, then also their parent.
            # Whoever has started it starts it again.
            ended += 1
            khod.start(*before)
        await khod.ready()
        now = khod.children()
        died, workers = died + len({*workers} - {*now}), now
        after = Crowd(khod.port)
        await after.blob(100)
        assert after.statuses == {"201": 1}
    if limit != "descriptors":
        # A process whose memory is in pieces may say 503 to 4 MiB as long as it lives.
        assert khod.stop() == 0
        khod.start()
        await khod.ready()
    for path, content in crowd.stored.items():
        assert await crowd.read(path) == content
    assert len(crowd.stored) >= BLOBS // 2
    assert khod.fsck() == ""
    if limit == "descriptors":
        assert died == 0
        assert crowd.statuses["cut"] == 0
    elif LONG:
        assert died or crowd.statuses.keys() > {"201"}, "the limit was never felt"
    report("F17", limit=limit, died=died, ended=ended, **crowd.statuses)
