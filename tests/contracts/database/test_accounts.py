"""Rows of accounts."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from kho.server.database.engine import Database, Transaction
from kho.server.database.identities import accounts, grants, groups, revisions

CREDENTIAL = (
    "INSERT INTO credentials (kind, secret_hash, subject, name, created_at)"
    " VALUES ('{0}', '{1}', '{2}', '', 0)"
)


async def _add(tx: Transaction, /, name: str, **more: Any) -> bool:
    return await accounts.add(tx, name, source="local", **more)


async def test_an_account_as_it_was_made(database: Database) -> None:
    assert await database.read(accounts.find, "alice") is None
    assert await database.write(_add, "alice", password_hash="$h", email="a@b", admin=True)
    alice = await database.read(accounts.find, "alice")
    assert alice is not None
    assert alice[1:8] == ("alice", "local", None, "$h", "a@b", True, False)
    assert (alice.admin, alice.disabled, alice.last_login_at) == (True, False, None)
    assert alice.created_at > 1_700_000_000_000


async def test_a_name_is_taken_once(database: Database) -> None:
    assert await database.write(_add, "alice", password_hash="first")
    assert not await database.write(_add, "alice", password_hash="second", admin=True)
    alice = await database.read(accounts.find, "alice")
    assert alice is not None
    assert (alice.password_hash, alice.admin) == ("first", False)


async def test_an_external_id_is_taken_once(database: Database) -> None:
    assert await database.write(_add, "alice", external_id="https://i a")
    assert not await database.write(_add, "bob", external_id="https://i a")
    found = await database.read(accounts.by_external_id, "https://i a")
    assert found is not None
    assert found.name == "alice"
    assert await database.read(accounts.by_external_id, "https://i b") is None
    assert await database.read(accounts.find, "bob") is None


async def test_racing_adds_of_one_name(database: Database, other: Database) -> None:
    calls = [
        each.write(_add, "alice", password_hash=str(number))
        for number, each in enumerate((database, other) * 10)
    ]
    assert sorted(await asyncio.gather(*calls)) == [False] * 19 + [True]
    assert len(await database.read(accounts.page, None, 100)) == 1


async def test_changes(database: Database) -> None:
    await database.write(_add, "alice")
    await database.write(_add, "bob")
    assert await database.write(accounts.set_password, "alice", "$new")
    assert await database.write(accounts.set_admin, "alice", True)
    assert await database.write(accounts.set_disabled, "alice", True)
    assert await database.write(accounts.set_email, "alice", "a@b")
    await database.write(accounts.logged_in, "alice")
    alice = await database.read(accounts.find, "alice")
    bob = await database.read(accounts.find, "bob")
    assert alice is not None
    assert bob is not None
    assert alice[4:8] == ("$new", "a@b", True, True)
    assert alice.last_login_at is not None
    assert bob[4:8] == (None, None, False, False)
    assert bob.last_login_at is None


async def test_nobody_is_changed(database: Database) -> None:
    for call in (accounts.set_admin, accounts.set_disabled):
        assert not await database.write(call, "alice", True)
    assert not await database.write(accounts.set_password, "alice", "x")
    assert not await database.write(accounts.set_email, "alice", "x")
    assert not await database.write(accounts.delete, "alice")
    assert await database.read(revisions.current) == 0


async def test_every_change_of_rights_is_told(database: Database) -> None:
    calls: list[Callable[[], Awaitable[bool]]] = [
        lambda: database.write(_add, "alice"),
        lambda: database.write(accounts.set_password, "alice", "x"),
        lambda: database.write(accounts.set_admin, "alice", True),
        lambda: database.write(accounts.set_disabled, "alice", True),
        lambda: database.write(accounts.delete, "alice"),
    ]
    for expected, call in enumerate(calls, 1):
        assert await call()
        assert await database.read(revisions.current) == expected
    await database.write(_add, "alice")
    before = await database.read(revisions.current)
    await database.write(accounts.logged_in, "alice")
    assert await database.read(revisions.current) == before


async def test_administrators(database: Database) -> None:
    assert not await database.read(accounts.any_exists)
    for name in ("carol", "alice", "bob"):
        await database.write(_add, name)
    assert await database.read(accounts.any_exists)
    for name in ("carol", "alice"):
        await database.write(accounts.set_admin, name, True)
    assert await database.write(accounts.enabled_admins) == ["alice", "carol"]
    await database.write(accounts.set_disabled, "alice", True)
    await database.write(accounts.set_disabled, "carol", True)
    assert await database.write(accounts.enabled_admins) == []


async def _step_down(tx: Transaction, name: str) -> bool:
    if await accounts.enabled_admins(tx) == [name]:
        return False
    return await accounts.set_admin(tx, name, False)


async def test_two_administrators_do_not_step_down_at_once(
    database: Database, other: Database
) -> None:
    for _ in range(5):
        for name in ("alice", "bob"):
            await database.write(_add, name)
            await database.write(accounts.set_admin, name, True)
        done = await asyncio.gather(
            database.write(_step_down, "alice"), other.write(_step_down, "bob")
        )
        assert sorted(done) == [False, True]


async def test_what_an_account_leaves_behind(
    database: Database, run_sql: Callable[[str], str]
) -> None:
    for name in ("alice", "alic"):
        await database.write(_add, name)
        await database.write(groups.replace, name, "local", ["team"])
        await database.write(groups.replace, name, "ldap", ["staff"])
        await database.write(grants.add, f"user:{name}", "reader", "a/**", "operator")
        for kind in ("personal", "session"):
            run_sql(CREDENTIAL.format(kind, kind + name, f"user:{name}"))
    await database.write(grants.add, "robot:alice", "reader", "a/**", "operator")
    run_sql(
        "INSERT INTO credentials (kind, secret_hash, subject, name, created_at, parent_id)"
        " SELECT 'refresh', 'child', subject, '', 0, id FROM credentials"
        " WHERE secret_hash = 'personalalice'"
    )
    assert await database.write(accounts.delete, "alice")
    assert run_sql("SELECT user_name FROM group_members ORDER BY 1") == "alic\nalic"
    assert run_sql("SELECT subject FROM grants ORDER BY 1") == "robot:alice\nuser:alic"
    assert run_sql("SELECT DISTINCT subject FROM credentials") == "user:alic"


async def test_signing_out_leaves_access_tokens(
    database: Database, run_sql: Callable[[str], str]
) -> None:
    for kind in ("personal", "refresh", "session", "device", "setup"):
        for name in ("alice", "bob"):
            run_sql(CREDENTIAL.format(kind, kind + name, f"user:{name}"))
    assert await database.write(accounts.sign_out, "alice") == 3
    left = run_sql("SELECT secret_hash FROM credentials WHERE subject = 'user:alice' ORDER BY 1")
    assert left == "personalalice\nsetupalice"
    assert run_sql("SELECT count(*) FROM credentials WHERE subject = 'user:bob'") == "5"


async def _grant_if_there(tx: Transaction, name: str) -> bool:
    if not await accounts.hold(tx, name):
        return False
    return await grants.add(tx, f"user:{name}", "reader", "**", "operator")


async def test_a_grant_never_outlives_its_account(database: Database, other: Database) -> None:
    for turn in range(8):
        name = f"u{turn}"
        await database.write(_add, name)
        await asyncio.gather(
            database.write(_grant_if_there, name), other.write(accounts.delete, name)
        )
        assert await database.read(accounts.find, name) is None
        assert await database.read(grants.of_subject, f"user:{name}") == []


@pytest.mark.parametrize("limit", [1, 3, 10])
async def test_pages_join_without_gap_or_repetition(database: Database, limit: int) -> None:
    names = ["a", "a-b", "a.b", "a0", "a_b", "ab", "b"]
    for name in reversed(names):
        await database.write(_add, name)
    seen: list[str] = []
    while page := await database.read(accounts.page, seen[-1] if seen else None, limit):
        assert len(page) <= limit
        seen += [row.name for row in page]
    assert seen == names
