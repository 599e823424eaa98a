"""Rows of groups and their members."""

import asyncio

from kho.server.database.engine import Database
from kho.server.database.identities import grants, groups, revisions


async def _members(database: Database, name: str) -> list[tuple[str, str]]:
    return [(row.user_name, row.source) for row in await database.read(groups.members, name)]


async def test_groups_and_members(database: Database) -> None:
    assert not await database.read(groups.exists, "team")
    assert await database.write(groups.add, "team")
    assert not await database.write(groups.add, "team")
    assert await database.read(groups.exists, "team")
    assert await database.write(groups.add_member, "team", "bob")
    assert await database.write(groups.add_member, "team", "alice")
    assert not await database.write(groups.add_member, "team", "alice")
    assert await _members(database, "team") == [("alice", "local"), ("bob", "local")]
    assert await database.read(groups.of_user, "alice") == ["team"]
    assert await database.write(groups.remove_member, "team", "alice")
    assert not await database.write(groups.remove_member, "team", "alice")
    assert await _members(database, "team") == [("bob", "local")]
    assert await database.read(groups.of_user, "alice") == []


async def test_a_login_replaces_what_its_source_said_only(database: Database) -> None:
    await database.write(groups.add, "team")
    await database.write(groups.add_member, "team", "alice")
    await database.write(groups.replace, "alice", "ldap", ["team", "staff", "staff"])
    await database.write(groups.replace, "bob", "ldap", ["staff"])
    assert await database.read(groups.of_user, "alice") == ["staff", "team"]
    assert await _members(database, "team") == [("alice", "ldap"), ("alice", "local")]
    await database.write(groups.replace, "alice", "ldap", ["new"])
    assert await database.read(groups.of_user, "alice") == ["new", "team"]
    await database.write(groups.replace, "alice", "ldap", [])
    assert await database.read(groups.of_user, "alice") == ["team"]
    assert await database.read(groups.of_user, "bob") == ["staff"]


async def test_a_login_that_changes_nothing_tells_nobody(database: Database) -> None:
    await database.write(groups.replace, "alice", "oidc", ["a", "b"])
    before = await database.read(revisions.current)
    assert before > 0
    await database.write(groups.replace, "alice", "oidc", ["b", "a", "a"])
    assert await database.read(revisions.current) == before
    await database.write(groups.replace, "alice", "oidc", ["b"])
    assert await database.read(revisions.current) == before + 1


async def test_a_group_goes_with_its_members_and_grants(database: Database) -> None:
    await database.write(groups.replace, "alice", "ldap", ["team", "other"])
    for subject in ("group:team", "group:other", "user:team"):
        await database.write(grants.add, subject, "reader", "**", "operator")
    assert await database.write(groups.delete, "team")
    assert not await database.write(groups.delete, "team")
    assert await database.read(groups.of_user, "alice") == ["other"]
    left = await database.read(grants.page, None, 10)
    assert [row.subject for row in left] == ["group:other", "user:team"]


async def test_every_change_is_told(database: Database) -> None:
    await database.write(groups.add, "team")
    await database.write(groups.add_member, "team", "alice")
    await database.write(groups.remove_member, "team", "alice")
    await database.write(groups.delete, "team")
    assert await database.read(revisions.current) == 4


async def test_page(database: Database) -> None:
    for name in ("c", "a", "b"):
        await database.write(groups.add, name)
    await database.write(groups.replace, "alice", "ldap", ["b"])
    await database.write(groups.add_member, "b", "alice")
    await database.write(groups.add_member, "b", "bob")
    page = await database.read(groups.page, None, 2)
    assert [(row.name, row.members) for row in page] == [("a", 0), ("b", 2)]
    assert [row.name for row in await database.read(groups.page, "b", 2)] == ["c"]


async def test_racing_adds_of_one_name(database: Database, other: Database) -> None:
    calls = [each.write(groups.add, "team") for each in (database, other) * 10]
    assert sorted(await asyncio.gather(*calls)) == [False] * 19 + [True]


async def test_logins_at_once_agree(database: Database, other: Database) -> None:
    """Two logins of one user and of two users, who bring the same new groups."""
    names = [f"g{number}" for number in range(8)]
    await asyncio.gather(
        *(
            each.write(groups.replace, user, "ldap", order)
            for each, order in ((database, names), (other, names[::-1]))
            for user in ("alice", "bob")
        )
    )
    for user in ("alice", "bob"):
        assert await database.read(groups.of_user, user) == names
