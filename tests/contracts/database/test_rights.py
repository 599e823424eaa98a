"""Rows of robots, roles and grants, and the number that tells of changes."""

import asyncio
import json
from collections.abc import Callable

from kho.server.database.engine import Database, Transaction
from kho.server.database.identities import grants, revisions, robots, roles
from kho.server.policy.access import ROLES, Action, Grant

PULL = frozenset({Action.PULL})


class Stop(Exception):
    """Ends a work."""


async def test_the_revision_starts_at_nothing(database: Database) -> None:
    assert await database.read(revisions.current) == 0
    await database.write(revisions.bump)
    await database.write(revisions.bump)
    assert await database.read(revisions.current) == 2


async def test_no_bump_is_lost(database: Database, other: Database) -> None:
    await asyncio.gather(*(each.write(revisions.bump) for each in (database, other) * 15))
    assert await database.read(revisions.current) == 30


async def test_what_is_undone_is_not_told(database: Database) -> None:
    async def work(tx: Transaction) -> None:
        await robots.add(tx, "ci")
        raise Stop

    await asyncio.gather(database.write(work), return_exceptions=True)
    assert await database.read(revisions.current) == 0
    assert await database.read(robots.find, "ci") is None


async def test_robots(database: Database) -> None:
    assert await database.write(robots.add, "ci", "builds")
    assert not await database.write(robots.add, "ci", "again")
    assert await database.write(robots.add, "a")
    ci = await database.read(robots.find, "ci")
    assert ci is not None
    assert ci[:3] == ("ci", "builds", False)
    assert await database.write(robots.set_disabled, "ci", True)
    assert [row[:3] for row in await database.read(robots.page, None, 10)] == [
        ("a", "", False),
        ("ci", "builds", True),
    ]
    assert [row.name for row in await database.read(robots.page, "a", 10)] == ["ci"]
    assert await database.read(revisions.current) == 3
    assert not await database.write(robots.set_disabled, "none", True)
    assert await database.read(robots.find, "none") is None
    assert await database.write(robots.hold, "ci")
    assert not await database.write(robots.hold, "none")


async def test_what_a_robot_leaves_behind(
    database: Database, run_sql: Callable[[str], str]
) -> None:
    await database.write(robots.add, "ci")
    for subject in ("robot:ci", "user:ci"):
        await database.write(grants.add, subject, "writer", "**", "operator")
        run_sql(
            "INSERT INTO credentials (kind, secret_hash, subject, name, created_at)"
            f" VALUES ('robot', '{subject}', '{subject}', '', 0)"
        )
    run_sql("INSERT INTO trust_rules VALUES ('github', 'i', 'a', '{}', 'ci', NULL, 0)")
    assert await database.read(robots.trusted_by, "ci") == ["github"]
    assert await database.read(robots.trusted_by, "cd") == []
    assert await database.write(robots.delete, "ci")
    assert not await database.write(robots.delete, "ci")
    assert run_sql("SELECT subject FROM grants") == "user:ci"
    assert run_sql("SELECT subject FROM credentials") == "user:ci"


async def test_racing_adds_of_one_robot(database: Database, other: Database) -> None:
    calls = [each.write(robots.add, "ci") for each in (database, other) * 10]
    assert sorted(await asyncio.gather(*calls)) == [False] * 19 + [True]


async def test_roles(database: Database) -> None:
    chosen = {Action.DELETE, Action.PULL}
    assert await database.write(roles.add, "cleaner", chosen)
    assert not await database.write(roles.add, "cleaner", PULL)
    assert await database.read(roles.find, "cleaner") == ("cleaner", frozenset(chosen))
    assert await database.read(roles.page, None, 10) == [("cleaner", frozenset(chosen))]
    assert await database.read(roles.page, "cleaner", 10) == []
    assert await database.write(roles.hold, "cleaner")
    assert await database.write(roles.delete, "cleaner")
    assert not await database.write(roles.delete, "cleaner")
    assert not await database.write(roles.hold, "cleaner")
    assert await database.read(revisions.current) == 2


async def test_a_built_in_name_is_never_an_own_role(
    database: Database, run_sql: Callable[[str], str]
) -> None:
    for name in ROLES:
        assert not await database.write(roles.add, name, PULL)
        assert await database.write(roles.hold, name)
        assert not await database.write(roles.delete, name)
    run_sql("INSERT INTO roles VALUES ('reader', '[\"delete\"]')")
    await database.write(grants.add, "everyone", "reader", "**", "operator")
    assert await database.read(grants.of_subjects, ["everyone"]) == [
        Grant("everyone", "reader", "**", PULL)
    ]


async def test_racing_adds_of_one_role(database: Database, other: Database) -> None:
    calls = [each.write(roles.add, "r", PULL) for each in (database, other) * 10]
    assert sorted(await asyncio.gather(*calls)) == [False] * 19 + [True]


async def test_an_action_that_only_a_newer_program_knows_gives_nothing(
    database: Database, run_sql: Callable[[str], str]
) -> None:
    words = json.dumps(["pull", "brew", "admin", "operate"])
    run_sql(f"INSERT INTO roles VALUES ('r', '{words}')")
    await database.write(grants.add, "everyone", "r", "**", "operator")
    (grant,) = await database.read(grants.of_subjects, ["everyone"])
    assert grant.actions == PULL


async def test_grants_as_they_were_given(database: Database) -> None:
    assert await database.write(grants.add, "user:a", "writer", "team/**", "operator")
    assert not await database.write(grants.add, "user:a", "writer", "team/**", "user:x")
    assert await database.write(grants.add, "user:a", "writer", "team/*", "operator")
    assert await database.write(grants.add, "user:a", "reader", "team/**", "operator")
    page = await database.read(grants.page, None, 2)
    assert page[0][1:5] == ("user:a", "writer", "team/**", "operator")
    assert len(page) == 2
    (last,) = await database.read(grants.page, page[-1].id, 2)
    assert (last.role, last.pattern) == ("reader", "team/**")
    assert await database.write(grants.remove, "user:a", "writer", "team/**")
    assert not await database.write(grants.remove, "user:a", "writer", "team/**")
    left = await database.read(grants.of_subject, "user:a")
    assert [(row.role, row.pattern) for row in left] == [
        ("writer", "team/*"),
        ("reader", "team/**"),
    ]
    assert await database.read(revisions.current) == 4
    assert await database.read(grants.count_of_role, "writer") == 1
    assert await database.read(grants.count_of_role, "admin") == 0


async def test_grants_of_subjects_with_their_actions(database: Database) -> None:
    await database.write(roles.add, "cleaner", {Action.DELETE})
    for subject, role in (
        ("user:a", "cleaner"),
        ("group:a", "reader"),
        ("everyone", "gone"),
        ("user:b", "admin"),
        ("anonymous", "reader"),
    ):
        await database.write(grants.add, subject, role, "x/**", "operator")
    found = await database.read(grants.of_subjects, ["user:a", "group:a", "everyone", "user:A"])
    assert found == [
        Grant("user:a", "cleaner", "x/**", frozenset({Action.DELETE})),
        Grant("group:a", "reader", "x/**", PULL),
    ]
    assert await database.read(grants.of_subjects, []) == []
    await database.write(roles.delete, "cleaner")
    assert await database.read(grants.of_subjects, ["user:a"]) == []


async def test_racing_grants(database: Database, other: Database) -> None:
    calls = [
        each.write(grants.add, "user:a", "reader", "**", "operator")
        for each in (database, other) * 10
    ]
    assert sorted(await asyncio.gather(*calls)) == [False] * 19 + [True]
