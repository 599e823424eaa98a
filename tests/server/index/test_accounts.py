"""What operators do with accounts: who may be made, who must stay, what ends with whom."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kho.oci.errors import Unauthorized
from kho.server.config import load
from kho.server.database import audit
from kho.server.database.audit import Filter
from kho.server.database.engine import Transaction
from kho.server.database.identities import accounts as rows
from kho.server.database.identities import revisions
from kho.server.index import pages
from kho.server.index.errors import Conflict, Invalid, NotFound
from kho.server.index.people import accounts, groups, robots
from kho.server.index.people.accounts import Change
from kho.server.index.rights import grants
from kho.server.index.tokens import credentials
from kho.server.resources import Resources, open_resources
from tests.flows.databases import on_both_databases

BY = "operator"
GOOD = "correct horse"
KINDS = ("personal", "refresh", "session")


@pytest.fixture
async def resources(tmp_path: Path, database_url: str) -> AsyncIterator[Resources]:
    """An empty registry that nobody serves."""
    config = load({"data": str(tmp_path / "data"), "database": database_url}, {})
    config.data.mkdir()
    async with open_resources(config) as opened:
        yield opened


async def trail(resources: Resources) -> list[tuple[str, str, str | None, object]]:
    found = await resources.database.read(audit.find, Filter(), 0, 1000)
    return [(row.action, row.actor, row.target, json.loads(row.details or "null")) for row in found]


async def credential(resources: Resources, kind: str, name: str) -> str:
    return await credentials.create(resources, kind=kind, subject=f"user:{name}", name=kind)


async def lives(resources: Resources, secret: str) -> bool:
    try:
        await credentials.identify(resources, secret, KINDS)
    except Unauthorized:
        return False
    return True


@on_both_databases
async def test_an_account_and_its_trail(resources: Resources) -> None:
    assert await accounts.add(resources, "alice", GOOD, by=BY, admin=True, email="a@b.example")
    assert not await accounts.add(resources, "bob", GOOD, by="user:alice")
    alice, bob = await accounts.every(resources)
    assert (alice.name, alice.admin, alice.email, alice.source) == (
        "alice",
        True,
        "a@b.example",
        "local",
    )
    assert (bob.name, bob.admin, bob.email) == ("bob", False, None)
    assert alice.password_hash != bob.password_hash
    assert (alice.password_hash or "").startswith("$argon2id$")
    assert await trail(resources) == [
        ("user.add", "operator", "user:alice", {"admin": True}),
        ("user.add", "user:alice", "user:bob", {"admin": False}),
    ]
    assert await resources.database.read(revisions.current) == 2


async def test_a_robot_was_there_before(resources: Resources) -> None:
    assert await robots.add(resources, "ci", by=BY)
    assert not await accounts.add(resources, "alice", GOOD, by=BY)
    assert not await robots.add(resources, "cd", by=BY)


async def test_a_name_is_taken_once(resources: Resources) -> None:
    await accounts.add(resources, "alice", GOOD, by=BY)
    with pytest.raises(Conflict, match="there is a user alice already"):
        await accounts.add(resources, "alice", GOOD, by=BY, admin=True)
    (alice,) = await accounts.every(resources)
    assert not alice.admin
    assert len(await trail(resources)) == 1


@pytest.mark.parametrize(
    "name",
    [
        *("", "Alice", "al ice", "a/b", "-a", ".a", "a" * 129, "ä", "a\n", "a:b", "a\0"),
        *("anonymous", "everyone", "operator"),
    ],
)
async def test_names_that_are_not_allowed(resources: Resources, name: str) -> None:
    with pytest.raises(Invalid, match="allowed are 1 to 128 small letters") as caught:
        await accounts.add(resources, name, GOOD, by=BY)
    assert "\n" not in str(caught.value)
    for make in (groups.add, robots.add):
        with pytest.raises(Invalid, match="allowed are"):
            await make(resources, name, by=BY)
    assert await trail(resources) == []


@pytest.mark.parametrize("name", ["a", "0", "a" * 128, "a.b-c_d@e.f"])
async def test_names_that_are_allowed(resources: Resources, name: str) -> None:
    await accounts.add(resources, name, GOOD, by=BY)
    assert (await accounts.show(resources, name)).account.name == name


@pytest.mark.parametrize(
    "password, allowed", [("", 0), ("a" * 7, 0), ("a" * 8, 1), ("ä" * 4, 1), ("a" * 1025, 0)]
)
async def test_passwords(resources: Resources, password: str, allowed: int) -> None:
    if allowed:
        await accounts.add(resources, "alice", password, by=BY)
        await accounts.set_password(resources, "alice", password, by=BY)
        return
    with pytest.raises(Invalid, match="8 to 1024 bytes") as caught:
        await accounts.add(resources, "alice", password, by=BY)
    assert password == "" or password not in str(caught.value)
    with pytest.raises(Invalid, match="8 to 1024 bytes"):
        await accounts.set_password(resources, "alice", password, by=BY)
    assert await accounts.every(resources) == []


@pytest.mark.parametrize("email", ["alice", "@b", "a@", "a b@c", "a@b\n", "a" * 300 + "@b"])
async def test_addresses_that_are_none(resources: Resources, email: str) -> None:
    with pytest.raises(Invalid, match="e-mail"):
        await accounts.add(resources, "alice", GOOD, by=BY, email=email)
    await accounts.add(resources, "alice", GOOD, by=BY)
    with pytest.raises(Invalid, match="e-mail"):
        await accounts.change(resources, "alice", Change(email=email), by=BY)


@on_both_databases
async def test_a_new_password_ends_what_the_old_one_began(resources: Resources) -> None:
    secrets = {}
    for name in ("alice", "bob"):
        await accounts.add(resources, name, GOOD, by=BY)
        for kind in KINDS:
            secrets[name, kind] = await credential(resources, kind, name)
    before = (await accounts.show(resources, "alice")).account.password_hash
    assert await accounts.set_password(resources, "alice", "another secret", by=BY) == 2
    assert (await accounts.show(resources, "alice")).account.password_hash != before
    alive = {key for key, secret in secrets.items() if await lives(resources, secret)}
    assert set(secrets) - alive == {("alice", "refresh"), ("alice", "session")}
    assert (await trail(resources))[-1] == ("user.password", BY, "user:alice", {"ended": 2})


async def test_nobody(resources: Resources) -> None:
    for call in (
        accounts.set_password(resources, "alice", GOOD, by=BY),
        accounts.change(resources, "alice", Change(admin=False), by=BY),
        accounts.change(resources, "alice", Change(disabled=True), by=BY, force=True),
        accounts.remove(resources, "alice", by=BY),
        accounts.show(resources, "alice"),
    ):
        with pytest.raises(NotFound, match="there is no user alice"):
            await call
    assert await trail(resources) == []


async def test_who_signs_in_elsewhere_has_no_password_here(resources: Resources) -> None:
    await resources.database.write(_add_external, "alice")
    with pytest.raises(Invalid, match="signs in at the oidc provider"):
        await accounts.set_password(resources, "alice", GOOD, by=BY)


async def _add_external(tx: Transaction, name: str) -> bool:
    return await rows.add(tx, name, source="oidc", external_id="https://issuer.example 1")


@on_both_databases
async def test_the_last_administrator_stays(resources: Resources) -> None:
    await accounts.add(resources, "alice", GOOD, by=BY, admin=True)
    await accounts.add(resources, "bob", GOOD, by=BY, admin=True)
    await accounts.add(resources, "carol", GOOD, by=BY)
    await accounts.change(resources, "bob", Change(disabled=True), by=BY)
    refused = (
        accounts.change(resources, "alice", Change(admin=False), by=BY),
        accounts.change(resources, "alice", Change(disabled=True), by=BY),
        accounts.remove(resources, "alice", by=BY),
    )
    before = await trail(resources)
    for call in refused:
        with pytest.raises(Conflict, match="alice is the last administrator"):
            await call
    assert await trail(resources) == before
    assert (await accounts.show(resources, "alice")).account.admin
    # Others may go, and changes that leave her an administrator are none of this rule's business.
    await accounts.change(resources, "carol", Change(disabled=True), by=BY)
    await accounts.change(resources, "alice", Change(admin=True, disabled=False), by=BY)
    await accounts.remove(resources, "bob", by=BY)
    await accounts.change(resources, "alice", Change(admin=False), by=BY, force=True)
    assert not (await accounts.show(resources, "alice")).account.admin
    await accounts.remove(resources, "alice", by=BY)


async def test_only_what_changes_is_told(resources: Resources) -> None:
    await accounts.add(resources, "alice", GOOD, by=BY, email="a@b")
    revision = await resources.database.read(revisions.current)
    same = Change(admin=False, disabled=False, email="a@b")
    await accounts.change(resources, "alice", same, by=BY)
    assert await resources.database.read(revisions.current) == revision
    assert len(await trail(resources)) == 1
    changed = await accounts.change(
        resources, "alice", Change(admin=True, disabled=True, email=""), by=BY
    )
    assert (changed.admin, changed.disabled, changed.email) == (True, True, None)
    assert (await trail(resources))[-1] == (
        "user.set",
        BY,
        "user:alice",
        {"admin": True, "disabled": True, "email": ""},
    )


async def test_what_belongs_to_an_account(resources: Resources) -> None:
    await accounts.add(resources, "alice", GOOD, by=BY)
    await groups.add(resources, "team", by=BY)
    await groups.add_member(resources, "team", "alice", by=BY)
    await grants.add(resources, "user:alice", "writer", "a/**", by=BY)
    await grants.add(resources, "group:team", "reader", "b/**", by=BY)
    known = await accounts.show(resources, "alice")
    assert known.groups == ["team"]
    assert [(one.role, one.pattern) for one in known.grants] == [("writer", "a/**")]
    await accounts.remove(resources, "alice", by=BY)
    assert await groups.members(resources, "team") == []
    assert [row.subject for row in await grants.every(resources)] == ["group:team"]
    await accounts.add(resources, "alice", GOOD, by=BY)
    known = await accounts.show(resources, "alice")
    assert (known.groups, known.grants) == ([], [])


async def test_many(resources: Resources, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "SIZE", 2)
    for number in range(5):
        await resources.database.write(_add_plain, f"u{number}")
    assert [row.name for row in await accounts.every(resources)] == [f"u{n}" for n in range(5)]


async def _add_plain(tx: Transaction, name: str) -> bool:
    return await rows.add(tx, name, source="local")
