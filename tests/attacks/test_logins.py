"""1B: guessing passwords tells nothing, costs one core at most, and shuts nobody else out."""

import asyncio
import random
import threading
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Coroutine
from itertools import count
from pathlib import Path
from typing import TypeVar

import bcrypt
import pytest

from kho.oci.errors import TooManyRequests, Unauthorized
from kho.server.database.engine import Transaction
from kho.server.database.identities import accounts, grants
from kho.server.index import logins
from kho.server.index.sources import passwords
from kho.server.index.sources.passwords import Cost, Line
from kho.server.policy.identity import Identity
from kho.server.policy.throttle import ACCOUNT, PAIR
from kho.server.resources import Resources
from tests.attacks.timing import told_apart
from tests.flows.client import Answer
from tests.flows.registry import Registry, Worker

PASSWORD = "päss wörd"
HOME = "192.0.2.77"
PEOPLE = 40
# What is left of a hash is still much of what a login takes, or there would be nothing to see.
CHEAP = Cost(kibibytes=4096, rounds=1)
T = TypeVar("T")


class Watched(Line):
    """A line that knows how many of all workers' hashes run at one moment."""

    running = 0
    most = 0
    counting = threading.Lock()

    async def run(
        self, lock: str, work: Callable[[], T], *, familiar: bool, wrong: Callable[[T], bool]
    ) -> T:
        def watched() -> T:
            with self.counting:
                Watched.running += 1
                Watched.most = max(Watched.most, Watched.running)
            try:
                return work()
            finally:
                with self.counting:
                    Watched.running -= 1

        return await super().run(lock, watched, familiar=familiar, wrong=wrong)


@pytest.fixture
def settings(tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, object]:
    """A file with one user beside the embedded accounts; many addresses, as a proxy tells them."""
    path = tmp_path / "htpasswd"
    hashes = [bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode() for _ in range(PEOPLE)]
    lines = (f"filed{number}:{hashed}\n" for number, hashed in enumerate(hashes))
    path.write_text("".join(lines))
    marker = request.node.get_closest_marker("settings")
    given = {} if marker is None else marker.kwargs
    given = {key.replace("__", "."): value for key, value in given.items()}
    return {"auth.htpasswd": str(path), "http.trusted_proxies": "192.0.2.1", **given}


def resources_of(worker: Worker) -> Resources:
    """What a worker stands on."""
    assert worker.app.resources is not None
    return worker.app.resources


@pytest.fixture
async def resources(registry: Registry) -> Resources:
    """One worker's, with accounts alice and user0 to user39, of which some are disabled."""
    found = resources_of(registry.workers[-1])
    line = found.memory.keep(Line)
    line.cost = CHEAP
    line.rest_factor = 0.0
    hashed = await passwords.hash_password(found, PASSWORD)
    await found.database.write(add_accounts, hashed)
    found.memory.forget()
    return found


def at_full_cost(resources: Resources) -> Watched:
    """A line for which an unknown user costs what it costs in earnest."""
    line = resources.memory._kept[Line] = Watched()
    Watched.most = 0
    return line


async def add_accounts(tx: Transaction, hashed: str) -> None:
    """Embedded accounts, and a repository for alice."""
    for name in ("alice", *(f"user{number}" for number in range(PEOPLE))):
        await accounts.add(tx, name, source="local", password_hash=hashed)
        await accounts.add(tx, f"disabled-{name}", source="local", password_hash=hashed)
        await accounts.set_disabled(tx, f"disabled-{name}", True)
    await grants.add(tx, "user:alice", "writer", "**", "operator")


class Guesser:
    """Wrong passwords, each from an address of its own."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._numbers = count()

    def of(self, kind: str, password: str = "") -> Callable[[], Coroutine[None, None, None]]:
        """A guess at one of the users of a kind."""

        async def guess() -> None:
            number = next(self._numbers)
            name, address = f"{kind}{random.randrange(PEOPLE)}", f"2001:db8:0:{number:x}::1"
            with pytest.raises(Unauthorized):
                await logins.authenticate(
                    self._resources, name, password or f"wrong{number}", address
                )

        return guess


@pytest.mark.parametrize("known, samples", [("user", 1000), ("filed", 300), ("disabled-user", 300)])
async def test_B5_time_does_not_tell_who_exists(
    resources: Resources, known: str, samples: int
) -> None:
    guesser = Guesser(resources)
    found = await told_apart(guesser.of(known), guesser.of("absent"), samples)
    if found >= 0.55:  # by chance, then not twice; what can be seen is seen again
        found = await told_apart(guesser.of(known), guesser.of("absent"), 1000)
    assert found < 0.55


async def test_B5_the_clock_would_see_a_hash_that_is_left_out(resources: Resources) -> None:
    guesser = Guesser(resources)
    refused_unread = guesser.of("absent", "x" * (passwords.MAX_BYTES + 1))
    assert await told_apart(guesser.of("absent"), refused_unread, 100) > 0.8
    hashed = await passwords.hash_password(resources, PASSWORD)
    resources.memory.keep(Line).cost = CHEAP._replace(rounds=4)  # unknown users cost more
    await resources.database.write(set_passwords, hashed)
    assert await told_apart(guesser.of("user"), guesser.of("absent"), 100) > 0.6


async def set_passwords(tx: Transaction, hashed: str) -> None:
    """Give all the same hash."""
    for number in range(PEOPLE):
        await accounts.set_password(tx, f"user{number}", hashed)


def basic(name: str, password: str, address: str) -> tuple[tuple[str, str], ...]:
    """The headers of a client at an address."""
    given = b64encode(f"{name}:{password}".encode()).decode()
    return ("Authorization", f"Basic {given}"), ("X-Forwarded-For", address)


@pytest.mark.settings(auth__challenge="basic")
@pytest.mark.parametrize("password", ["пароль", "é", "\u200b", "🔑" * 200, "\udcff"])
@pytest.mark.parametrize("name", ["alice", "absent", "filed0", "ü"])
@pytest.mark.usefixtures("resources")
async def test_B5_no_secret_is_a_500(registry: Registry, name: str, password: str) -> None:
    raw = f"{name}:{password}".encode("utf-8", "surrogateescape")
    header = ("Authorization", f"Basic {b64encode(raw).decode()}")
    assert (await registry.client.get("/v2/", header)).status == 401


@pytest.mark.settings(auth__challenge="basic")
async def test_B6_five_hundred_bad_logins_hash_one_at_a_time(
    registry: Registry, resources: Resources
) -> None:
    at_full_cost(resources)
    await registry.start()
    at_full_cost(resources_of(registry.workers[-1]))
    first, second = (worker.client for worker in registry.workers)
    mine = basic("alice", PASSWORD, HOME)
    target = "/v2/a/blobs/uploads/"
    assert (await first.post(target, b"", *mine)).status == 202
    assert (await second.get("/v2/", *mine)).status == 200

    async def bad(number: int) -> Answer:
        client = (first, second)[number % 2]
        name = random.choice(["alice", "user1", "filed1", "absent"])
        headers = basic(name, f"wrong{number}", f"2001:db8:0:{number:x}::1")
        return await client.get("/v2/", *headers)

    flood = [asyncio.create_task(bad(number)) for number in range(500)]
    waits = []
    while not all(task.done() for task in flood):
        started = time.monotonic()
        assert (await first.get("/v2/a/tags/list", *mine)).status == 404
        waits.append(time.monotonic() - started)
        await asyncio.sleep(0.02)
    answers = [task.result() for task in flood]
    found = Counter(answer.status for answer in answers)
    assert set(found) == {401, 429}
    assert found[429] > 400
    assert all(1 <= int(one["Retry-After"]) <= 60 for one in answers if one.status == 429)
    assert Watched.most == 1
    # Beside the first of them, which stand behind 500 requests that came at once.
    assert sorted(waits)[len(waits) // 2] < 0.25
    assert len(waits) > 10


async def test_B6_a_long_password_is_not_hashed(resources: Resources) -> None:
    at_full_cost(resources)
    for number in range(PAIR.burst * 3):  # nor does it cost a write
        with pytest.raises(Unauthorized):
            await logins.authenticate(resources, "alice", "x" * 1025 + str(number), HOME)
    assert Watched.most == 0
    for name in ("alice", "absent"):
        with pytest.raises(Unauthorized):
            await logins.authenticate(resources, name, "x" * 1024, HOME)
    assert Watched.most == 1


async def test_B6_an_attacker_elsewhere_does_not_lock_the_owner_out(resources: Resources) -> None:
    alice = Identity("user:alice", "local")
    assert await logins.authenticate(resources, "alice", PASSWORD, HOME) == alice
    resources.memory.forget()
    refused = 0
    for number in range(ACCOUNT.burst * 2):
        try:
            await logins.authenticate(resources, "alice", f"w{number}", f"2001:db8:0:{number:x}::")
        except TooManyRequests:
            refused += 1
        except Unauthorized:
            pass
    assert refused >= ACCOUNT.burst - 2
    assert await logins.authenticate(resources, "alice", PASSWORD, HOME) == alice


async def test_B6_a_full_line_has_a_place_for_the_owner(resources: Resources) -> None:
    alice = Identity("user:alice", "local")
    assert await logins.authenticate(resources, "alice", PASSWORD, HOME) == alice
    line = at_full_cost(resources)
    resources.memory.forget()
    guesser = Guesser(resources)
    flood = [asyncio.create_task(guesser.of("absent")()) for _ in range(100)]
    async with asyncio.timeout(20):
        while line.waiting < passwords.PLACES - passwords.KEPT_PLACES:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    waiting = line.waiting
    assert await logins.authenticate(resources, "alice", PASSWORD, HOME) == alice
    assert line.waiting > waiting / 2  # it went before them
    found = await asyncio.gather(*flood, return_exceptions=True)
    assert sum(isinstance(one, TooManyRequests) for one in found) > 50


async def test_B6_who_may_not_guess_learns_nothing_from_what_is_remembered(
    resources: Resources,
) -> None:
    await logins.authenticate(resources, "alice", PASSWORD, HOME)
    for number in range(PAIR.burst):
        with pytest.raises(Unauthorized):
            await logins.authenticate(resources, "alice", f"wrong{number}", HOME)
    for password in ("wrong", PASSWORD, "wrong", PASSWORD):
        with pytest.raises(TooManyRequests):
            await logins.authenticate(resources, "alice", password, HOME)
