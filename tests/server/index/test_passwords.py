"""Hashing: right and wrong passwords, one hash at a time, a line that is bounded."""

import asyncio
import fcntl
import os
import threading
import time
from dataclasses import replace

import bcrypt
import pytest

from kho.oci.errors import TooManyRequests
from kho.server.index.errors import Invalid
from kho.server.index.sources import passwords
from kho.server.index.sources.passwords import Cost, Line
from kho.server.resources import Memory, Resources
from tests.flows.registry import Registry

CHEAP = Cost(kibibytes=64, rounds=1)


@pytest.fixture
def resources(registry: Registry) -> Resources:
    """What one worker stands on, with hashes that cost little."""
    found = registry.workers[-1].app.resources
    assert found is not None
    found.memory.keep(Line).cost = CHEAP
    return found


async def argon2(resources: Resources, hashed: str | None, password: str) -> bool:
    """As a login does it."""
    given = password.encode()
    return await passwords.hashing(
        resources, lambda: passwords.argon2_matches(hashed, given, CHEAP)
    )


async def bcrypted(resources: Resources, hashed: str | None, password: str, cost: int) -> bool:
    """The same."""
    given = password.encode()
    return await passwords.hashing(resources, lambda: passwords.bcrypt_matches(hashed, given, cost))


@pytest.mark.parametrize("password", ["secret", "päss wörd", "密码", "a" * 1024, "\0", " "])
async def test_the_password_is_right(resources: Resources, password: str) -> None:
    hashed = await passwords.hash_password(resources, password)
    assert hashed.startswith("$argon2id$v=19$m=64,t=1,p=1$")
    assert await argon2(resources, hashed, password)
    assert not await argon2(resources, hashed, password[:-1] + "x")
    assert not await argon2(resources, None, password)


async def test_the_default_is_worth_its_name(resources: Resources) -> None:
    memory = Memory()
    resources = replace(resources, memory=memory)
    hashed = await passwords.hash_password(resources, "secret")
    assert hashed.startswith("$argon2id$v=19$m=32768,t=3,p=1$")
    assert await passwords.hash_password(resources, "secret") != hashed
    memory.close()


@pytest.mark.parametrize("password", ["", "a" * 1025, "ü" * 513, "\ud800"])
async def test_what_no_password_can_be(resources: Resources, password: str) -> None:
    assert passwords.encoded(password) is None
    with pytest.raises(Invalid, match="1 to 1024 bytes"):
        await passwords.hash_password(resources, password)


@pytest.mark.parametrize("kind", ["$2y$", "$2a$", "$2b$"])
@pytest.mark.parametrize("password", ["secret", "päss wörd", "a" * 100, "ü" * 36 + "b"])
async def test_bcrypt_reads_72_bytes(resources: Resources, kind: str, password: str) -> None:
    given = password.encode()
    hashed = kind + bcrypt.hashpw(given[:72], bcrypt.gensalt(4)).decode()[4:]
    assert await bcrypted(resources, hashed, password, 6)
    assert await bcrypted(resources, hashed, password + "x", 4) == (len(given) >= 72)
    assert not await bcrypted(resources, hashed, "x" + password, 4)
    assert not await bcrypted(resources, None, password, 4)


@pytest.mark.parametrize("hashed", ["", "$argon2id$", "x" * 100, "$argon2id$v=19$m=1,t=0,p=1$a$b"])
async def test_a_broken_hash_is_a_wrong_password(resources: Resources, hashed: str) -> None:
    assert not await argon2(resources, hashed, "secret")


def test_bcrypt_of_any_cost_is_the_work_of_the_greatest() -> None:
    cheap = bcrypt.hashpw(b"secret", bcrypt.gensalt(5)).decode()

    def seconds(hashed: str | None) -> float:
        runs = []
        for _ in range(5):
            started = time.thread_time()
            passwords.bcrypt_matches(hashed, b"secret", 9)
            runs.append(time.thread_time() - started)
        return min(runs)

    assert 0.8 < seconds(cheap) / seconds(None) < 1.25


async def test_the_thread_steps_back_and_holds_the_lock(resources: Resources) -> None:
    def look() -> tuple[int, int, bool]:
        lock = os.open(resources.config.data / passwords.LOCK, os.O_RDWR)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held = True
        else:
            held = False
        finally:
            os.close(lock)
        nice = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        return nice, threading.get_native_id(), held

    before = os.getpriority(os.PRIO_PROCESS, 0)
    nice, thread, held = await passwords.hashing(resources, look)
    assert nice >= 10
    assert held
    assert thread != threading.get_native_id()
    assert os.getpriority(os.PRIO_PROCESS, 0) == before


async def test_another_worker_s_hash_is_waited_for(resources: Resources) -> None:
    other = os.open(resources.config.data / passwords.LOCK, os.O_RDWR | os.O_CREAT)
    fcntl.flock(other, fcntl.LOCK_EX)
    task = asyncio.create_task(argon2(resources, None, "secret"))
    await asyncio.wait({task}, timeout=0.2)
    assert not task.done()
    os.close(other)
    assert await task is False


async def test_a_lock_that_cannot_be_had_stops_nobody(resources: Resources) -> None:
    (resources.config.data / passwords.LOCK).mkdir()
    assert await argon2(resources, None, "secret") is False


class Gate:
    """Work that ends when it may."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.begun = threading.Event()
        self.done: list[str] = []

    def work(self, name: str) -> str:
        self.begun.set()
        assert self.open.wait(20)
        self.done.append(name)
        return name


async def test_the_line_is_bounded_and_the_familiar_go_first(resources: Resources) -> None:
    gate = Gate()

    async def hashing(name: str, *, familiar: bool) -> str:
        return await passwords.hashing(resources, lambda: gate.work(name), familiar=familiar)

    tasks = [asyncio.create_task(hashing(f"s{n}", familiar=False)) for n in range(40)]
    await asyncio.sleep(0.05)
    tasks += [asyncio.create_task(hashing(f"f{n}", familiar=True)) for n in range(20)]
    await asyncio.sleep(0.05)
    assert resources.memory.keep(Line).waiting == passwords.PLACES
    gate.open.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    refused = [one for one in found if isinstance(one, TooManyRequests)]
    assert len(refused) == 60 - 1 - passwords.PLACES
    assert all(int(dict(one.headers)["Retry-After"]) >= 1 for one in refused)
    assert gate.done[1:9] == [f"f{n}" for n in range(passwords.KEPT_PLACES)]
    strangers = passwords.PLACES - passwords.KEPT_PLACES
    assert gate.done[9:] == [f"s{n}" for n in range(1, strangers + 1)]


async def test_after_a_wrong_password_strangers_wait_and_nobody_else(
    resources: Resources,
) -> None:
    line = resources.memory.keep(Line)
    line.rest_factor = 5.0
    ended: list[str] = []

    async def hashing(name: str, *, familiar: bool) -> None:
        def wrong(_: None) -> bool:
            return name == "first"

        work = lambda: burn(0.04)  # noqa: E731
        await passwords.hashing(resources, work, familiar=familiar, wrong=wrong)
        ended.append(name)

    clock = asyncio.get_running_loop().time
    await hashing("first", familiar=False)
    began = clock()
    stranger = asyncio.create_task(hashing("stranger", familiar=False))
    another = asyncio.create_task(hashing("another", familiar=False))
    await asyncio.sleep(0.01)
    await hashing("owner", familiar=True)
    assert ended == ["first", "owner"]
    await stranger
    assert clock() - began >= 5 * 0.04
    await another  # nobody was wrong since, so it follows at once
    assert ended == ["first", "owner", "stranger", "another"]
    assert line.waiting == 0


def burn(seconds: float) -> None:
    """Work for so long a time of a core."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


async def test_those_who_leave_give_their_place_away(resources: Resources) -> None:
    gate = Gate()
    line = resources.memory.keep(Line)

    def start(name: str) -> "asyncio.Task[str]":
        return asyncio.create_task(passwords.hashing(resources, lambda: gate.work(name)))

    first, *others = (start(name) for name in "abcd")
    await asyncio.sleep(0.05)
    assert line.waiting == 3
    assert await asyncio.to_thread(gate.begun.wait, 20)
    first.cancel()
    others[1].cancel()
    await asyncio.sleep(0.05)
    assert line.waiting == 1  # b has its turn behind a, whose hash nobody can stop
    gate.open.set()
    assert [await others[0], await others[2]] == ["b", "d"]
    assert gate.done == ["a", "b", "d"]
    assert line.waiting == 0
    assert await start("e") == "e"


async def test_work_that_fails_ends_its_turn(resources: Resources) -> None:
    def broken() -> None:
        raise ArithmeticError

    for _ in range(2):
        with pytest.raises(ArithmeticError):
            await passwords.hashing(resources, broken)
    assert os.stat(resources.config.data / passwords.LOCK).st_size == 0
