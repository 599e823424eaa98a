"""The process has little, ends in time, and whatever becomes of it is told."""

import asyncio
import gzip
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kho.oci.errors import Unavailable
from kho.server.inspection.order import DEFAULT, Bounds
from kho.server.inspection.process import Failed, Refused, content, listing
from tests.client.layers import file, hardlink, layer
from tests.house.tree import REPOSITORY
from tests.layers.archives import header
from tests.server.inspection.layers import MIB, pieces, rows

LAYER = layer(file("a", b"first"), file("b", b"second" * 100_000), hardlink("c", "a"))


def children() -> set[int]:
    """Processes of this one."""
    found = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return {int(one) for one in found}


async def endless() -> AsyncIterator[bytes]:
    """A disk that hangs after the first bytes."""
    yield LAYER[:1000]
    await asyncio.sleep(60)


async def drained(blob: AsyncIterator[bytes], bounds: Bounds = DEFAULT) -> None:
    async for _ in listing(blob, "sha256:" + "0" * 64, bounds):
        pass


def limits_of(pid: int) -> dict[str, str]:
    """The soft ones."""
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    return {line[:26].strip(): line[26:].split()[0] for line in lines[1:]}


async def child_of(work: "asyncio.Task[None]", before: set[int]) -> int:
    while True:
        assert not work.done(), work.result()
        new = children() - before
        for pid in new:
            if limits_of(pid)["Max cpu time"] == "7":
                return pid
        await asyncio.sleep(0.01)


async def test_it_has_little_and_knows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KHO_DATABASE", "postgresql://user:secret@host/kho")
    before = children()
    work = asyncio.create_task(drained(endless(), Bounds(cpu_seconds=7, memory=300 * MIB)))
    pid = await child_of(work, before)
    limits = limits_of(pid)
    status = Path(f"/proc/{pid}/status").read_text()
    assert limits["Max address space"] == limits["Max data size"] == str(300 * MIB)
    assert (limits["Max file size"], limits["Max core file size"]) == ("0", "0")
    assert "NoNewPrivs:\t1" in status
    assert Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[16] == "15"
    assert b"secret" not in Path(f"/proc/{pid}/environ").read_bytes()
    assert b"KHO_" not in Path(f"/proc/{pid}/environ").read_bytes()
    targets = {os.readlink(one).partition(":")[0] for one in Path(f"/proc/{pid}/fd").iterdir()}
    assert targets <= {"socket", "/dev/null"}
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    assert pid not in children()


async def test_a_killed_one_is_told() -> None:
    before = children()
    work = asyncio.create_task(drained(endless(), Bounds(cpu_seconds=7)))
    os.kill(await child_of(work, before), signal.SIGKILL)
    with pytest.raises(Failed, match="ended by SIGKILL"):
        await work
    assert children() == before


async def test_it_ends_with_its_time() -> None:
    before = children()
    with pytest.raises(Failed, match="took more than 0 seconds"):
        await drained(endless(), Bounds(seconds=0.3))
    assert children() == before


async def test_it_ends_with_its_processor_time() -> None:
    noise = random.Random(1).randbytes(8 * MIB)
    block = b"".join(header(b"%d" % number) for number in range(20_000))
    stored = gzip.compress(header(b"x", len(noise)) + noise, 1) + gzip.compress(block, 1) * 20
    with pytest.raises(Refused, match="more than 1 seconds of a processor"):
        await rows(stored, Bounds(cpu_seconds=1))


async def test_it_ends_with_its_memory() -> None:
    block = b"".join(header(b"%d/%060d" % (number, number)) for number in range(30_000))
    with pytest.raises(Refused, match="needs more than 40 MiB of memory"):
        await rows(gzip.compress(block, 1), Bounds(memory=40 * MIB))


async def test_what_it_says_is_bounded() -> None:
    block = b"".join(header(b"%d/%d" % (number, number)) for number in range(2000))
    with pytest.raises(Refused, match="has more than 50000 bytes"):
        await rows(block, Bounds(output=50_000))


async def test_what_the_disk_says_is_passed_on() -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield LAYER[:1000]
        raise Unavailable("the disk is gone")

    before = children()
    with pytest.raises(Unavailable, match="the disk is gone"):
        await drained(failing())
    assert children() == before


async def taken(stored: bytes, number: int) -> bytes | None:
    async with content(pieces(stored), number) as found:
        if found is None:
            return None
        whole = b"".join([piece async for piece in found.pieces])
        assert len(whole) == found.size
        return whole


async def test_one_file_is_taken_out() -> None:
    for stored in (LAYER, gzip.compress(LAYER)):
        assert await taken(stored, 0) == b"first"
        assert await taken(stored, 1) == b"second" * 100_000
        assert await taken(stored, 2) is None
        assert await taken(stored, 3) is None


async def test_a_layer_that_ends_in_the_file_never_ends_well() -> None:
    noise = random.Random(2).randbytes(3 * MIB)
    whole = layer(file("a", noise))
    for stored in (whole[: 2 * MIB], gzip.compress(whole)[: 2 * MIB]):
        with pytest.raises(Refused, match="cut off"):
            await taken(stored, 0)
    with pytest.raises(Refused, match="not octal"):
        await taken(b"no tar at all" * 100, 0)


async def test_who_reads_slowly_slows_the_layer() -> None:
    given = 0

    async def counted() -> AsyncIterator[bytes]:
        nonlocal given
        yield header(b"zeros", 256 * MIB)
        for _ in range(256):
            given += 1
            yield bytes(MIB)

    before = children()
    async with content(counted(), 0) as found:
        assert found is not None
        assert len(await anext(found.pieces)) > 0
        await asyncio.sleep(0.5)
        assert given < 16
    assert children() == before


CAPTIVE = """
import os, socket
from kho.server.inspection.confinement import confine
from kho.server.inspection.order import DEFAULT, Order

confine(Order(os.getppid(), DEFAULT))
for what, arguments in (
    (open, ["/etc/hostname"]),
    (os.mkdir, ["/tmp/kho-captive"]),
    (os.kill, [os.getppid(), 0]),
    (os.fork, []),
    (os.execv, ["/bin/true", ["true"]]),
    (socket.socket, []),
    (os.pipe, []),
):
    try:
        what(*arguments)
    except PermissionError:
        continue
    print(what)
"""


def test_it_opens_nothing_and_reaches_nobody() -> None:
    if "Seccomp_filters:" not in Path("/proc/self/status").read_text():
        pytest.skip("the kernel cannot refuse calls")
    done = subprocess.run(
        [sys.executable, "-c", CAPTIVE], cwd=REPOSITORY, capture_output=True, check=True
    )
    assert (done.stdout, done.stderr) == (b"", b"")


WORKER = """
import asyncio
from kho.server.inspection.order import Bounds
from tests.server.inspection.test_process import drained, endless
asyncio.run(drained(endless(), Bounds(cpu_seconds=7)))
"""


def test_it_dies_with_its_worker() -> None:
    worker = subprocess.Popen([sys.executable, "-c", WORKER], cwd=REPOSITORY)
    try:
        pid = 0
        while not pid:
            assert worker.poll() is None
            found = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
            pid = next(
                (int(one) for one in found if limits_of(int(one)).get("Max cpu time") == "7"), 0
            )
            time.sleep(0.02)
    finally:
        worker.kill()
        worker.wait()
    for _ in range(500):
        if not Path(f"/proc/{pid}").exists() or b"Z" in Path(f"/proc/{pid}/stat").read_bytes():
            return
        time.sleep(0.01)
    raise AssertionError("it lives on")
