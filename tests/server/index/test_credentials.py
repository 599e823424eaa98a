"""Credentials: secrets as scanners know them, expiry, ceilings, parents, revocation, workers."""

import asyncio
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from kho.oci.errors import Unauthorized
from kho.server.database import audit
from kho.server.database.engine import Database, Statement, Transaction
from kho.server.database.identities import credentials as rows
from kho.server.database.identities import revisions
from kho.server.index.errors import Conflict
from kho.server.index.tokens import credentials
from kho.server.index.tokens.credentials import PREFIXES
from kho.server.policy.access import Action, Allowance
from kho.server.policy.identity import Identity
from kho.server.resources import Resources
from tests.flows.databases import on_both_databases
from tests.flows.registry import Registry

DOCUMENT = Path(__file__).parents[3] / "docs/operate/tokens.md"


@pytest.fixture
def resources(registry: Registry) -> Resources:
    """What one worker stands on."""
    found = registry.workers[-1].app.resources
    assert found is not None
    return found


async def make(resources: Resources, kind: str = "personal", **given: Any) -> str:
    """A credential of alice."""
    values: dict[str, Any] = {"subject": "user:alice", "name": "ci", **given}
    return await credentials.create(resources, kind=kind, **values)


async def known(resources: Resources, secret: str, *kinds: str) -> bool:
    """Whether the secret opens anything."""
    try:
        await credentials.identify(resources, secret, kinds or tuple(PREFIXES))
    except Unauthorized:
        return False
    return True


async def alive(resources: Resources, identity: Identity) -> bool:
    """Whether the credential that a bearer token names has not ended."""
    assert identity.credential is not None
    try:
        return await credentials.of_id(resources, identity.credential) == identity
    except Unauthorized:
        return False


async def row_of(resources: Resources, secret: str) -> rows.CredentialRow:
    """The row, living or not."""
    found = await resources.database.read(rows.page, None, tuple(PREFIXES), 0, 1000)
    identity = await credentials.identify(resources, secret, tuple(PREFIXES))
    return next(row for row in found if row.id == identity.credential)


@pytest.mark.parametrize("kind", PREFIXES)
def test_a_scanner_finds_every_secret_and_can_check_it(kind: str) -> None:
    secret = credentials.new_secret(kind)
    (expression,) = re.findall(r"`(\\bkho\[.*?)`", DOCUMENT.read_text())
    assert re.findall(expression, f'password = "{secret}"\n') == [secret]
    (program,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    shown: dict[str, Any] = {}
    exec(program, shown)
    assert shown["is_secret"](secret)
    assert not shown["is_secret"](secret[:-1] + ("0" if secret[-1] != "0" else "1"))
    assert credentials.looks_like(secret)
    assert credentials.kind_of(secret) == kind
    assert len(secret) == 43


def test_secrets_never_repeat() -> None:
    assert len({credentials.new_secret("robot") for _ in range(1000)}) == 1000


@given(st.integers(0, 42), st.characters(codec="utf-8"))
def test_one_changed_character_is_seen_without_the_database(at: int, other: str) -> None:
    secret = credentials.new_secret("personal")
    changed = secret[:at] + other + secret[at + 1 :]
    assert credentials.looks_like(changed) == (changed == secret)


@given(st.text(max_size=60))
def test_no_text_breaks_the_check(text: str) -> None:
    assert not credentials.looks_like(text)
    assert not credentials.looks_like("khop_" + text)
    assert not credentials.looks_like("khop_\u0661" + "0" * 37)


@on_both_databases
async def test_a_secret_tells_whose_it_is(resources: Resources) -> None:
    ceiling = (Allowance("team/**", frozenset({Action.PULL, Action.TAG})),)
    secret = await make(resources, ceiling=ceiling, details={"source": "ldap"})
    identity = await credentials.identify(resources, secret, ("personal", "robot"))
    assert identity.subject == "user:alice"
    assert identity.source == "ldap"
    assert identity.ceiling == ceiling
    assert identity.credential is not None
    assert await alive(resources, identity)
    plain = await credentials.identify(resources, await make(resources, name="two"), ("personal",))
    assert (plain.source, plain.ceiling) == ("local", None)


@on_both_databases
async def test_secrets_are_stored_as_hashes(resources: Resources) -> None:
    secret = await make(resources)

    async def everything(tx: Transaction) -> str:
        events = await audit.find(tx, audit.Filter(), 0, 10)
        return repr((await rows.page(tx, None, ("personal",), 0, 10), events))

    assert secret[5:20] not in await resources.database.read(everything)
    row = await resources.database.read(rows.find, credentials.hash_of(secret))
    assert row is not None


@pytest.mark.parametrize("secret", ["", "khop_", "a" * 43, "khop_" + "é" * 38, "\ud800" * 43, "\0"])
async def test_what_is_no_secret_of_ours_is_refused(resources: Resources, secret: str) -> None:
    assert not await known(resources, secret)
    assert not await known(resources, credentials.new_secret("personal"))


@on_both_databases
async def test_a_kind_opens_only_what_asks_for_it(resources: Resources) -> None:
    for kind in PREFIXES:
        secret = await make(resources, kind)
        assert await known(resources, secret, kind)
        assert not await known(resources, secret, *(other for other in PREFIXES if other != kind))


@on_both_databases
async def test_expiry_is_the_end_and_a_purge_leaves_the_others(resources: Resources) -> None:
    short = await make(resources, expires_seconds=0.3, name="short")
    long = await make(resources, expires_seconds=60, name="long")
    endless = await make(resources, name="endless")
    assert await known(resources, short)
    await asyncio.sleep(0.35)
    assert [await known(resources, one) for one in (short, long, endless)] == [False, True, True]
    assert await credentials.purge(resources) == 1
    assert [await known(resources, one) for one in (short, long, endless)] == [False, True, True]
    # The name is free again.
    await make(resources, name="short")


@on_both_databases
async def test_a_child_ends_with_its_parent(resources: Resources) -> None:
    parent = await credentials.identify(resources, await make(resources), ("personal",))
    assert parent.credential is not None
    child = await make(resources, "refresh", parent=parent.credential)
    assert await known(resources, child)
    identity = await credentials.identify(resources, child, ("refresh",))
    assert await credentials.revoke(resources, parent.credential, by="operator")
    resources.memory.forget()
    assert not await known(resources, child)
    assert identity.credential is not None
    assert not await alive(resources, identity)
    with pytest.raises(Unauthorized):
        await make(resources, "refresh", parent=parent.credential)


@on_both_databases
async def test_a_child_does_not_outlive_a_parent_that_expired(resources: Resources) -> None:
    secret = await make(resources, expires_seconds=0.3)
    parent = await credentials.identify(resources, secret, ("personal",))
    child = await make(resources, "refresh", parent=parent.credential, expires_seconds=60)
    identity = await credentials.identify(resources, child, ("refresh",))
    assert identity.credential is not None
    assert await alive(resources, identity)
    await asyncio.sleep(0.35)
    # Not purged yet, remembered as living a moment ago, and ended all the same.
    assert not await known(resources, child)
    assert not await alive(resources, identity)


@on_both_databases
async def test_a_use_is_noted_once_a_minute_and_prolongs_a_sliding_end(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = await make(resources, "refresh", expires_seconds=3600, sliding=True)
    first = await row_of(resources, secret)
    await settled(resources)
    second = await row_of(resources, secret)
    assert first.last_used_at is None
    assert second.last_used_at is not None
    assert first.expires_at is not None
    assert second.expires_at is not None
    assert second.expires_at == second.last_used_at + 3_600_000 > first.expires_at
    await settled(resources)
    assert (await row_of(resources, secret)).last_used_at == second.last_used_at
    monkeypatch.setattr(rows, "TOUCH_MILLISECONDS", 0)
    await row_of(resources, secret)  # asks the database, which knows the minute better
    await settled(resources)
    assert (await row_of(resources, secret)).last_used_at == second.last_used_at


async def settled(resources: Resources) -> None:
    """Wait for uses that are being written."""
    tasks = resources.memory.keep(credentials._Touches).tasks
    await asyncio.gather(*tasks.values())


@on_both_databases
async def test_what_is_good_for_one_use_is_got_by_one(resources: Resources) -> None:
    secret = await make(resources, "setup")
    found = await asyncio.gather(
        *(credentials.take(resources, secret, "setup") for _ in range(8)), return_exceptions=True
    )
    assert [type(one) for one in found].count(rows.CredentialRow) == 1
    assert all(isinstance(one, rows.CredentialRow | Unauthorized) for one in found)


@on_both_databases
async def test_a_name_is_given_once(resources: Resources) -> None:
    tries = await asyncio.gather(*(make(resources) for _ in range(5)), return_exceptions=True)
    assert [isinstance(one, Conflict) for one in tries].count(False) == 1
    await make(resources, subject="user:bob")
    await make(resources, "session")
    await make(resources, "session")


@on_both_databases
async def test_revocation_is_seen_by_another_worker(registry: Registry) -> None:
    await registry.start()
    here, there = (worker.app.resources for worker in registry.workers)
    assert here is not None
    assert there is not None
    secret = await make(here, by="operator")
    identity = await credentials.identify(there, secret, ("personal",))
    assert identity.credential is not None
    assert await alive(there, identity)
    before = await there.database.read(revisions.current)
    assert await credentials.revoke(here, identity.credential, by="operator")
    assert await there.database.read(revisions.current) > before
    there.memory.forget()  # what a worker does when it sees the revision
    assert not await known(there, secret)
    assert not await alive(there, identity)
    assert not await credentials.revoke(here, identity.credential, by="operator")
    events = await here.database.read(audit.find, audit.Filter(), 0, 10)
    assert sorted(event.action for event in events) == ["token.create", "token.revoke"]
    assert {event.target for event in events} == {"user:alice/ci"}


class Counting:
    """A database that counts what it is asked."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.statements: list[str] = []
        self.writes = 0

    async def read(self, work: Any, *args: Any) -> Any:
        """Count the statements of a read."""

        async def counted(tx: Any, *args: Any) -> Any:
            return await work(Noting(tx, self.statements), *args)

        return await self.database.read(counted, *args)

    async def write(self, work: Any, *args: Any) -> Any:
        """Count a write."""
        self.writes += 1
        return await self.database.write(work, *args)


class Noting:
    """A transaction whose statements are noted."""

    def __init__(self, tx: Transaction, statements: list[str]) -> None:
        self.tx = tx
        self.statements = statements

    async def one(self, statement: Statement, /, **values: Any) -> Any:
        """The first row."""
        self.statements.append(statement.sqlite.text)
        return await self.tx.one(statement, **values)


async def test_to_know_a_secret_again_costs_one_read(resources: Resources) -> None:
    secret = await make(resources)
    counting = Counting(resources.database)
    counted = replace(resources, database=cast("Database", counting))
    for _ in range(3):
        assert await known(counted, secret)
        await settled(counted)
    assert len(counting.statements) == 3
    assert counting.writes == 1  # the first use; the others came within the minute
    plan = Statement(text("EXPLAIN QUERY PLAN " + counting.statements[0].replace("?", "1")))

    async def explained(tx: Transaction) -> str:
        return " ".join(row[3] for row in await tx.all(plan))

    steps = await resources.database.read(explained)
    assert "SCAN credentials" not in steps
    assert "SEARCH credentials USING INDEX" in steps
