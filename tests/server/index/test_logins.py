"""Logins: who gets in, what is remembered, what is written down, how often is hashed."""

import asyncio
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import ANY

import bcrypt
import pytest

from kho.oci.errors import TooManyRequests, Unauthorized
from kho.server.database import audit, schema
from kho.server.database.engine import Transaction
from kho.server.database.identities import accounts
from kho.server.database.statement import Statement
from kho.server.index import audit as trail
from kho.server.index import logins, throttle
from kho.server.index.sources import htpasswd, passwords
from kho.server.index.sources.passwords import Cost, Line
from kho.server.index.tokens import credentials
from kho.server.policy.access import Action, Allowance
from kho.server.policy.identity import Identity
from kho.server.policy.throttle import PAIR
from kho.server.resources import Resources
from tests.flows.databases import on_both_databases
from tests.flows.registry import Registry

HERE, THERE = "192.0.2.1", "198.51.100.7"
T = TypeVar("T")


class Counting(Line):
    """A line that counts what is hashed, at little cost."""

    def __init__(self) -> None:
        super().__init__()
        self.cost = Cost(kibibytes=64, rounds=1)
        self.hashes = 0
        self.begun = asyncio.Event()

    async def run(
        self, lock: str, work: Callable[[], T], *, familiar: bool, wrong: Callable[[T], bool]
    ) -> T:
        self.hashes += 1
        self.begun.set()
        return await super().run(lock, work, familiar=familiar, wrong=wrong)


@pytest.fixture
def line() -> Counting:
    """The line of the worker under test."""
    return Counting()


@pytest.fixture
async def resources(registry: Registry, line: Counting) -> Resources:
    """What one worker stands on, with an account alice."""
    found = registry.workers[-1].app.resources
    assert found is not None
    found.memory._kept[Line] = line
    hashed = await passwords.hash_password(found, "päss wörd")
    await found.database.write(add_account, "alice", hashed)
    line.hashes = 0
    return found


async def add_account(tx: Transaction, name: str, hashed: str | None) -> None:
    """An embedded account."""
    assert await accounts.add(tx, name, source="local", password_hash=hashed)


async def refusal(resources: Resources, name: str, password: str, address: str = HERE) -> str:
    """Why somebody does not get in; empty for who does."""
    try:
        await logins.authenticate(resources, name, password, address)
    except Unauthorized as error:
        return error.message
    return ""


async def events(resources: Resources) -> list[tuple[str, str, str | None]]:
    """Outcome, actor and target of what the trail says."""
    await trail.flush(resources)
    rows = await resources.database.read(audit.find, audit.Filter(actions=("login",)), 0, 100)
    return sorted((one.outcome, one.actor, one.target) for one in rows)


@on_both_databases
async def test_a_password_opens_its_account(resources: Resources) -> None:
    alice = Identity("user:alice", "local")
    assert await logins.authenticate(resources, "alice", "päss wörd", HERE) == alice
    assert await logins.authenticate(resources, "Alice", "päss wörd", HERE) == alice
    assert await refusal(resources, "alice", "pass word") == logins.WRONG


async def test_every_refusal_reads_alike(resources: Resources) -> None:
    await resources.database.write(add_account, "person", None)
    await resources.database.write(add_account, "gone", None)
    hashed = await passwords.hash_password(resources, "secret")
    await resources.database.write(accounts.set_password, "gone", hashed)
    await resources.database.write(accounts.set_disabled, "gone", True)
    names = ["alice", "gone", "person", "absent", "", "everyone", "a" * 300, "a\nb", "ü", "\ud800"]
    given = ["secret", "", "a" * 1025, "\ud800", "é", "khop_" + "x" * 38, "a.b.c"]
    for number, name in enumerate(names):
        for password in given:
            found = await refusal(resources, name, password, f"203.0.113.{number}")
            assert found == logins.WRONG, (name, password)


async def test_a_right_password_is_hashed_once(resources: Resources, line: Counting) -> None:
    for _ in range(3):
        assert await refusal(resources, "alice", "päss wörd") == ""
    assert line.hashes == 1
    assert await refusal(resources, "alice", "päss wörd", THERE) == ""
    assert line.hashes == 2  # another address asks for itself
    for _ in range(3):
        assert await refusal(resources, "alice", "wrong") != ""
    assert line.hashes == 5
    assert await events(resources) == [
        ("allowed", "user:alice", None),
        ("allowed", "user:alice", None),
        ("failed", "anonymous", "user:alice"),
    ]


async def test_those_who_come_at_once_share_one_hash(resources: Resources, line: Counting) -> None:
    many = [logins.authenticate(resources, "alice", "päss wörd", HERE) for _ in range(100)]
    assert set(await asyncio.gather(*many)) == {Identity("user:alice", "local")}
    assert line.hashes == 1
    first = asyncio.create_task(logins.authenticate(resources, "alice", "wrong", HERE))
    second = asyncio.create_task(logins.authenticate(resources, "alice", "wrong", HERE))
    await asyncio.sleep(0)
    first.cancel()  # a client that leaves takes nobody along
    with pytest.raises(Unauthorized):
        await second
    assert line.hashes == 2


@pytest.mark.settings(auth__password_seconds=0)
async def test_nothing_is_remembered_when_told_so(resources: Resources, line: Counting) -> None:
    for _ in range(3):
        assert await refusal(resources, "alice", "päss wörd") == ""
    assert line.hashes == 3


@pytest.mark.settings(auth__password_seconds=1)
async def test_what_is_remembered_grows_old(resources: Resources, line: Counting) -> None:
    assert await refusal(resources, "alice", "päss wörd") == ""
    await asyncio.sleep(1.05)
    assert await refusal(resources, "alice", "päss wörd") == ""
    assert line.hashes == 2


async def test_what_is_remembered_is_bounded(
    resources: Resources, line: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logins, "REMEMBERED", 3)
    for number in range(5):
        assert await refusal(resources, "alice", "päss wörd", f"203.0.113.{number}") == ""
    assert len(resources.memory.drawer(logins._Proofs).known) == 3
    assert line.hashes == 5
    assert not any(b"alice" in mark for mark in resources.memory.drawer(logins._Proofs).known)


async def test_a_change_of_rights_is_a_change_of_mind(resources: Resources) -> None:
    assert await refusal(resources, "alice", "päss wörd") == ""
    await resources.database.write(accounts.set_disabled, "alice", True)
    resources.memory.forget()  # as index/access.py does when the revision has grown
    assert await refusal(resources, "alice", "päss wörd") == logins.WRONG


async def test_a_hash_that_was_under_way_is_not_remembered_beyond_a_change(
    resources: Resources, line: Counting
) -> None:
    task = asyncio.create_task(logins.authenticate(resources, "alice", "päss wörd", HERE))
    line.begun.clear()
    await line.begun.wait()
    resources.memory.forget()
    await task
    assert not resources.memory.drawer(logins._Proofs).known


async def test_over_the_limit_nothing_is_hashed_nor_remembered(
    resources: Resources, line: Counting
) -> None:
    assert await refusal(resources, "alice", "päss wörd") == ""
    for number in range(PAIR.burst):
        assert await refusal(resources, "alice", f"wrong{number}") == logins.WRONG
    before = line.hashes
    with pytest.raises(TooManyRequests):
        await refusal(resources, "alice", "wrong")
    with pytest.raises(TooManyRequests):  # not even the right one, or guessing would go on
        await refusal(resources, "alice", "päss wörd")
    assert line.hashes == before
    assert await refusal(resources, "alice", "päss wörd", THERE) == ""
    assert ("denied", "anonymous", None) in await events(resources)


async def column(tx: Transaction, statement: Statement) -> Any:
    """The first value."""
    row = await tx.one(statement)
    return None if row is None else row[0]


async def run(tx: Transaction, statement: Statement) -> int:
    """Execute it."""
    return await tx.run(statement)


_familiar = schema.familiar_addresses
SEEN = Statement(_familiar.select().with_only_columns(_familiar.c.seen_at))
AGED = Statement(_familiar.update().values(seen_at=_familiar.c.seen_at - throttle.SEEN_MS))


async def last_login(resources: Resources) -> int | None:
    """Of alice."""
    row = await resources.database.read(accounts.find, "alice")
    assert row is not None
    return row.last_login_at


async def test_a_login_is_written_down_once_an_hour(resources: Resources) -> None:
    assert await last_login(resources) is None
    assert await refusal(resources, "alice", "wrong") != ""
    assert await last_login(resources) is None
    assert await refusal(resources, "alice", "päss wörd") == ""
    first, seen = await last_login(resources), await resources.database.read(column, SEEN)
    assert first is not None
    await asyncio.sleep(0.02)
    resources.memory.forget()
    assert await refusal(resources, "alice", "päss wörd") == ""
    assert await last_login(resources) == first
    assert await resources.database.read(column, SEEN) == seen
    await resources.database.write(run, AGED)
    resources.memory.forget()
    assert await refusal(resources, "alice", "päss wörd") == ""
    assert (await last_login(resources) or 0) > first


@on_both_databases
async def test_an_access_token_is_a_password(resources: Resources, line: Counting) -> None:
    ceiling = (Allowance("team/**", frozenset({Action.PULL})),)
    secret = await credentials.create(
        resources, kind="personal", subject="user:alice", name="ci", ceiling=ceiling
    )
    for _ in range(2):
        found = await logins.authenticate(resources, "whoever", secret, HERE)
        assert (found.subject, found.ceiling) == ("user:alice", ceiling)
    session = await credentials.create(
        resources, kind="session", subject="user:alice", name="", expires_seconds=60
    )
    assert "token" in await refusal(resources, "alice", session)
    assert "token" in await refusal(resources, "alice", credentials.new_secret("robot"))
    assert line.hashes == 0
    outcomes = [(outcome, actor) for outcome, actor, _ in await events(resources)]
    assert outcomes == [("allowed", "user:alice"), ("failed", "anonymous")]


async def test_an_access_token_is_not_throttled(resources: Resources) -> None:
    secret = await credentials.create(resources, kind="robot", subject="robot:ci", name="ci")
    for number in range(PAIR.burst):
        await refusal(resources, "ci", f"wrong{number}")
    with pytest.raises(TooManyRequests):
        await refusal(resources, "ci", "wrong")
    assert (await logins.authenticate(resources, "ci", secret, HERE)).subject == "robot:ci"


async def test_an_embedded_account_hides_a_line_of_the_file(
    registry: Registry, resources: Resources, tmp_path: Path
) -> None:
    assert await logins.still_there(resources, Identity("user:alice", "local"))
    # A workload is there as long as its rule: see tests/flows/test_workloads.py.
    assert not await logins.still_there(resources, Identity("robot:ci", "workload"))
    assert not await logins.still_there(resources, Identity("user:bob", "htpasswd"))
    assert not await logins.still_there(resources, Identity("user:bob", "ldap"))
    await registry.stop()
    path = tmp_path / "htpasswd"
    write_lines(path, alice="of-the-file", bob="of-the-file")
    again = Registry(registry.folder, registry.config.database_url, {"auth.htpasswd": str(path)})
    await again.start()
    found = again.workers[-1].app.resources
    assert found is not None
    bob = await logins.authenticate(found, "bob", "of-the-file", HERE)
    assert bob == Identity("user:bob", "htpasswd")
    assert await logins.still_there(found, bob)
    assert await refusal(found, "alice", "of-the-file") == logins.WRONG
    assert await refusal(found, "Alice", "of-the-file") == logins.WRONG
    assert await refusal(found, "alice", "päss wörd") == ""
    assert not await logins.still_there(found, Identity("user:alice", "htpasswd"))
    token = await credentials.create(
        found, kind="personal", subject="user:bob", name="t", details={"source": "htpasswd"}
    )
    assert await logins.authenticate(found, "bob", token, HERE) == bob._replace(
        credential=ANY, details=ANY
    )
    write_lines(path, alice="of-the-file")
    found.memory._kept.clear()  # the file is looked at once a second
    assert await refusal(found, "bob", token) == logins.GONE
    await again.stop()


def write_lines(path: Path, **secrets: str) -> None:
    """An htpasswd file."""
    lines = [
        f"{name}:{bcrypt.hashpw(secret.encode(), bcrypt.gensalt(4)).decode()}\n"
        for name, secret in secrets.items()
    ]
    path.write_text("".join(lines))
    assert htpasswd.parse(path.read_bytes(), "").cost == 4


def basic(name: str, password: str) -> tuple[str, str]:
    """The header of a client."""
    return "Authorization", "Basic " + b64encode(f"{name}:{password}".encode()).decode()


@pytest.mark.settings(auth__challenge="basic")
async def test_what_a_client_sees(registry: Registry, resources: Resources) -> None:
    resources.memory.forget()
    ping = registry.client.get
    assert (await ping("/v2/", basic("alice", "päss wörd"))).status == 200
    answer = await ping("/v2/", basic("alice", "wrong"))
    assert (answer.status, answer.codes) == (401, ["UNAUTHORIZED"])
    assert "WWW-Authenticate" in answer
    unknown = await ping("/v2/", basic("nobody", "wrong"))
    assert (unknown.status, unknown.json()) == (answer.status, answer.json())
    for number in range(PAIR.burst):
        answer = await ping("/v2/", basic("alice", f"wrong{number}"))
    assert (answer.status, answer.codes) == (429, ["TOOMANYREQUESTS"])
    assert 1 <= int(answer["Retry-After"]) <= 30


async def test_a_good_login_hashes_anew_what_was_hashed_in_another_way(
    resources: Resources, line: Counting
) -> None:
    async def kept() -> str:
        row = await resources.database.read(accounts.find, "alice")
        assert row is not None
        return row.password_hash or ""

    old = await kept()
    line.cost = Cost(kibibytes=128, rounds=2)
    with pytest.raises(Unauthorized):
        await logins.authenticate(resources, "alice", "wrong", HERE)
    assert await kept() == old
    for _ in range(2):
        await logins.authenticate(resources, "alice", "päss wörd", HERE)
        assert (await kept()).startswith("$argon2id$v=19$m=128,t=2,p=1$")
        resources.memory.forget()
    assert line.hashes == 1 + 2 + 1
    new = await kept()
    assert not await resources.database.write(accounts.rehash, "alice", old, "x")
    assert await kept() == new
