"""No wake-up is lost where memory is short: a request that waits goes on, or the process ends."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextvars import Context
from pathlib import Path
from typing import NoReturn, TypeVarTuple

import pytest
import uvloop

from kho.server import waking
from kho.server.database import uploads
from kho.server.database.open import migrate, open_database
from kho.server.storage.threads import COUNT, Threads
from kho.server.supervisor.wakeful_loop import WakefulLoop

Ts = TypeVarTuple("Ts")
REPOSITORY = Path(__file__).parents[2]


class ShortLoop(uvloop.Loop):
    """Has no memory for so many wake-ups."""

    def __init__(self) -> None:
        super().__init__()
        self.lost = 0

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Fail a while."""
        if self.lost:
            self.lost -= 1
            raise MemoryError
        return super().call_soon_threadsafe(callback, *args, context=context)


class Both(WakefulLoop, ShortLoop):  # type: ignore[misc]  # as uvloop.Loop itself
    """A worker's loop, whose base has no memory."""


class Ended(Exception):
    """In place of the end of the process."""


def end() -> NoReturn:
    """Tell the test."""
    raise Ended


def run_short(work: Callable[[ShortLoop], Awaitable[None]]) -> None:
    """Run on such a loop; fail rather than hang."""
    with asyncio.Runner(loop_factory=ShortLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, ShortLoop)
        runner.run(asyncio.wait_for(work(loop), 20))


def test_a_storage_thread_wakes_its_caller_when_there_is_memory_again() -> None:
    async def work(loop: ShortLoop) -> None:
        threads = Threads()
        for ask in (threads.run, threads.submit):
            for _ in range(COUNT * 2):
                loop.lost = 3
                assert await ask(int, "7") == 7
                assert loop.lost == 0
        threads.close()

    run_short(work)


def test_the_database_writer_wakes_its_callers_when_there_is_memory_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/kho.db"
    migrate(url)

    async def work(loop: ShortLoop) -> None:
        database = await open_database(url)
        for number in range(3):
            loop.lost = 3
            await database.write(uploads.create, f"id-{number}", "a", "me", "sha256")
            assert loop.lost == 0
        await database.close()

    run_short(work)


def test_a_thread_outlives_any_allocation_that_fails() -> None:
    pytest.importorskip("_testcapi")
    done = subprocess.run(
        [sys.executable, "-m", "tests.server.short_of_memory"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "all came back\n"), done.stderr


def test_what_granian_tells_the_loop_arrives() -> None:
    loop = Both()
    loop.lost = 3
    loop.call_soon_threadsafe(loop.stop)
    loop.run_forever()
    loop.close()
    assert loop.lost == 0


def test_a_closed_loop_has_nobody_to_wake() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    assert not waking.wake(loop, print)


def test_the_process_ends_when_memory_does_not_come_back() -> None:
    def call() -> None:
        raise MemoryError

    with pytest.raises(Ended):
        waking.patiently(call, end, pause=0.0)


def test_the_process_ends_when_the_loop_itself_has_lost_a_wake_up() -> None:
    ended: list[str] = []

    def fail(error: Exception) -> None:
        raise error

    async def fail_later() -> None:
        fail(MemoryError())

    async def work() -> None:
        loop = asyncio.get_running_loop()
        waking.guard(loop, lambda: ended.append("ended"))
        loop.call_soon(fail, ValueError("told in the log"))
        task = loop.create_task(fail_later())  # told to whoever waits for it
        await asyncio.sleep(0.01)
        del task
        assert not ended
        loop.call_soon(fail, MemoryError())
        await asyncio.sleep(0.01)
        assert ended == ["ended"]

    uvloop.run(work())
