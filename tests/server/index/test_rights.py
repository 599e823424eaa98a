"""What operators do with groups, robots, roles, grants and the visibility of repositories."""

import json
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from kho.server.config import load
from kho.server.database import audit
from kho.server.database.audit import Filter
from kho.server.database.engine import Transaction
from kho.server.database.identities import accounts as account_rows
from kho.server.database.identities import groups as group_rows
from kho.server.database.schema import trust_rules
from kho.server.database.statement import Statement
from kho.server.index.errors import Conflict, Invalid, NotFound
from kho.server.index.people import accounts, groups, robots
from kho.server.index.rights import grants, repositories, roles
from kho.server.policy.access import ON_REPOSITORIES, ROLES
from kho.server.resources import Resources, open_resources
from tests.flows.databases import on_both_databases

BY = "operator"
Opener = Callable[..., Coroutine[Any, Any, Resources]]


@pytest.fixture
async def opened(tmp_path: Path, database_url: str) -> AsyncIterator[Opener]:
    """Opens the registry that nobody serves, with settings."""
    stack = []

    async def with_settings(**settings: object) -> Resources:
        flags = {"data": str(tmp_path / "data"), "database": database_url}
        config = load({**flags, **{k.replace("__", "."): v for k, v in settings.items()}}, {})
        config.data.mkdir(exist_ok=True)
        context = open_resources(config)
        stack.append(context)
        return await context.__aenter__()

    yield with_settings
    for context in stack:
        await context.__aexit__(None, None, None)


@pytest.fixture
async def resources(opened: Opener) -> Resources:
    """With users alice and bob, the group team and the robot ci."""
    found = await opened()
    for name in ("alice", "bob"):
        await found.database.write(account_rows.add, name, source="local")
    await groups.add(found, "team", by=BY)
    await robots.add(found, "ci", "builds", by=BY)
    return found


async def last(resources: Resources) -> tuple[object, ...]:
    row = (await resources.database.read(audit.newest, Filter(), 1))[0]
    return row.action, row.actor, row.target or row.repository, json.loads(row.details or "null")


@on_both_databases
async def test_members(resources: Resources) -> None:
    await groups.add_member(resources, "team", "alice", by=BY)
    assert await last(resources) == ("group.add-member", BY, "group:team", {"user": "alice"})
    assert await groups.members(resources, "team") == [("alice", "local")]
    with pytest.raises(Conflict, match="alice is in the group team already"):
        await groups.add_member(resources, "team", "alice", by=BY)
    for group, user, text in (("team", "carol", "no user carol"), ("none", "bob", "no group none")):
        with pytest.raises(NotFound, match=text):
            await groups.add_member(resources, group, user, by=BY)
    await groups.remove_member(resources, "team", "alice", by=BY)
    assert await last(resources) == ("group.remove-member", BY, "group:team", {"user": "alice"})
    with pytest.raises(NotFound, match="alice is not in the group team"):
        await groups.remove_member(resources, "team", "alice", by=BY)


async def test_whom_a_login_brought_is_taken_out_there(resources: Resources) -> None:
    await resources.database.write(group_rows.replace, "alice", "ldap", ["team"])
    with pytest.raises(Conflict, match="in the group team by ldap: take it out there"):
        await groups.remove_member(resources, "team", "alice", by=BY)
    assert await groups.members(resources, "team") == [("alice", "ldap")]


async def test_groups(resources: Resources) -> None:
    with pytest.raises(Conflict, match="there is a group team already"):
        await groups.add(resources, "team", by=BY)
    await grants.add(resources, "group:team", "reader", "**", by=BY)
    assert [(row.name, row.members) for row in await groups.every(resources)] == [("team", 0)]
    await groups.remove(resources, "team", by=BY)
    assert await last(resources) == ("group.remove", BY, "group:team", None)
    assert await grants.every(resources) == []
    for call in (
        groups.remove(resources, "team", by=BY),
        groups.members(resources, "team"),
        groups.remove_member(resources, "team", "alice", by=BY),
    ):
        with pytest.raises(NotFound, match="there is no group team"):
            await call


@on_both_databases
async def test_robots(resources: Resources) -> None:
    with pytest.raises(Conflict, match="there is a robot ci already"):
        await robots.add(resources, "ci", by=BY)
    assert (await robots.show(resources, "ci"))[:3] == ("ci", "builds", False)
    assert (await robots.set_disabled(resources, "ci", True, by=BY)).disabled
    assert await last(resources) == ("robot.set", BY, "robot:ci", {"disabled": True})
    assert [row.disabled for row in await robots.every(resources)] == [True]
    await robots.remove(resources, "ci", by=BY)
    for call in (
        robots.remove(resources, "ci", by=BY),
        robots.show(resources, "ci"),
        robots.set_disabled(resources, "ci", False, by=BY),
    ):
        with pytest.raises(NotFound, match="there is no robot ci"):
            await call


@pytest.mark.parametrize("description", ["a\nb", "a" * 501, "\x1b[31m"])
async def test_a_description_is_one_line(resources: Resources, description: str) -> None:
    with pytest.raises(Invalid, match="one line of at most 500"):
        await robots.add(resources, "cd", description, by=BY)


async def test_a_robot_that_is_trusted_stays(resources: Resources) -> None:
    await resources.database.write(_trust, "github", "ci")
    with pytest.raises(Conflict, match="trust rules github; remove those first"):
        await robots.remove(resources, "ci", by=BY)
    assert await robots.show(resources, "ci")


async def _trust(tx: Transaction, name: str, robot: str) -> None:
    row = {"name": name, "issuer": "i", "audience": "a", "conditions": "{}", "robot": robot}
    await tx.run(Statement(insert(trust_rules).values(**row, created_at=0)))


@on_both_databases
async def test_roles(resources: Resources) -> None:
    role = await roles.add(resources, "cleaner", ["delete", "pull"], by=BY)
    assert role == ("cleaner", False, ["pull", "delete"])
    assert await last(resources) == ("role.add", BY, "cleaner", {"actions": ["pull", "delete"]})
    everything = await roles.add(resources, "all", ["*"], by=BY)
    assert everything.actions == list(ON_REPOSITORIES)
    listed = await roles.every(resources)
    assert [one.name for one in listed] == [*ROLES, "all", "cleaner"]
    assert [one.built_in for one in listed] == [True] * len(ROLES) + [False] * 2
    assert listed[0].actions == ["pull"]
    assert listed[3].actions[-1] == "admin"
    with pytest.raises(Conflict, match="there is a role cleaner already"):
        await roles.add(resources, "cleaner", ["pull"], by=BY)
    await roles.remove(resources, "cleaner", by=BY)
    with pytest.raises(NotFound, match="there is no role cleaner"):
        await roles.remove(resources, "cleaner", by=BY)


@pytest.mark.parametrize(
    "name, actions, kind, text",
    [
        ("reader", ["pull"], Conflict, "reader is a built-in role"),
        ("admin", ["pull"], Conflict, "admin is a built-in role"),
        ("x", ["brew"], Invalid, "'brew' is no action; allowed are pull, push, create"),
        ("x", ["admin"], Invalid, "'admin' is no action"),
        ("x", [], Invalid, "at least one action of pull"),
        ("X", ["pull"], Invalid, "cannot name a role"),
        ("everyone", ["pull"], Invalid, "cannot name a role"),
    ],
)
async def test_roles_that_are_not_made(
    resources: Resources, name: str, actions: list[str], kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind, match=text):
        await roles.add(resources, name, actions, by=BY)
    assert len(await roles.every(resources)) == len(ROLES)


async def test_a_role_that_is_given_stays(resources: Resources) -> None:
    await roles.add(resources, "cleaner", ["delete"], by=BY)
    await grants.add(resources, "everyone", "cleaner", "tmp/**", by=BY)
    with pytest.raises(Conflict, match="cleaner is given 1 time;"):
        await roles.remove(resources, "cleaner", by=BY)
    assert len(await roles.every(resources)) == len(ROLES) + 1
    await grants.remove(resources, "everyone", "cleaner", "tmp/**", by=BY)
    await roles.remove(resources, "cleaner", by=BY)
    with pytest.raises(Invalid, match="built-in"):
        await roles.remove(resources, "reader", by=BY)


@on_both_databases
async def test_grants(resources: Resources) -> None:
    given = [
        ("user:alice", "writer", "team/**"),
        ("group:team", "reader", "team/*"),
        ("robot:ci", "maintainer", "team/app"),
        ("everyone", "reader", "**"),
        ("anonymous", "reader", "public/**"),
    ]
    for subject, role, pattern in given:
        await grants.add(resources, subject, role, pattern, by=BY)
    assert await last(resources) == (
        "grant.add",
        BY,
        "anonymous",
        {"role": "reader", "pattern": "public/**"},
    )
    assert [row[1:4] for row in await grants.every(resources)] == given
    assert [row[1:4] for row in await grants.every(resources, "robot:ci")] == given[2:3]
    found = await grants.on_repository(resources, "team/a/b")
    assert [row.subject for row in found] == ["user:alice", "everyone"]
    found = await grants.on_repository(resources, "team/app", "group:team")
    assert [row.subject for row in found] == ["group:team"]
    with pytest.raises(Conflict, match=r"user:alice has the role writer on team/\*\* already"):
        await grants.add(resources, *given[0], by=BY)
    await grants.remove(resources, *given[0], by=BY)
    assert (await last(resources))[:3] == ("grant.remove", BY, "user:alice")
    with pytest.raises(NotFound, match=r"user:alice has no grant of writer on team/\*\*"):
        await grants.remove(resources, *given[0], by=BY)
    assert len(await grants.every(resources)) == 4


@pytest.mark.parametrize(
    "subject, role, pattern, kind, text",
    [
        ("alice", "reader", "**", Invalid, "'alice' is no subject; allowed are user:NAME"),
        ("team:a", "reader", "**", Invalid, "is no subject"),
        ("user:", "reader", "**", Invalid, "cannot name a user"),
        ("user:Alice", "reader", "**", Invalid, "cannot name a user"),
        ("user:everyone", "reader", "**", Invalid, "cannot name a user"),
        ("everyone:x", "reader", "**", Invalid, "is no subject"),
        ("user:alice", "reader", "Team/**", Invalid, "'Team/\\*\\*' is not allowed"),
        ("user:alice", "reader", "a/***", Invalid, "not allowed"),
        ("user:alice", "reader", "", Invalid, "not allowed"),
        ("user:alice", "reader", "a" * 256, Invalid, "not allowed"),
        ("user:alice", "brewer", "**", NotFound, "no role brewer; built in are reader, writer"),
        ("user:carol", "reader", "**", NotFound, "no user carol; `khod users add carol`"),
        ("group:none", "reader", "**", NotFound, "no group none; `khod groups add none`"),
        ("robot:none", "reader", "**", NotFound, "no robot none; `khod robots add none`"),
        ("anonymous", "admin", "**", Invalid, "anonymous cannot have the role admin"),
    ],
)
async def test_grants_that_are_not_given(
    resources: Resources, subject: str, role: str, pattern: str, kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind, match=text):
        await grants.add(resources, subject, role, pattern, by=BY)
    assert await grants.every(resources) == []


@pytest.mark.parametrize(
    "settings, users, groups_too",
    [
        ({"auth__htpasswd": "FILE"}, True, False),
        ({"ldap__url": "ldap://127.0.0.1"}, True, True),
        ({"oidc__issuer": "https://issuer.example", "oidc__client_id": "kho"}, True, True),
        ({}, False, False),
    ],
)
async def test_who_may_come_later_may_be_named_before(
    opened: Opener, tmp_path: Path, settings: dict[str, str], users: bool, groups_too: bool
) -> None:
    (tmp_path / "htpasswd").touch()
    given = {key: str(tmp_path / "htpasswd") if v == "FILE" else v for key, v in settings.items()}
    resources = await opened(**given)
    await groups.add(resources, "team", by=BY)

    async def taken(call: Coroutine[Any, Any, None]) -> bool:
        try:
            await call
        except NotFound:
            return False
        return True

    assert await taken(grants.add(resources, "user:x", "reader", "**", by=BY)) is users
    assert await taken(grants.add(resources, "group:x", "reader", "**", by=BY)) is groups_too
    assert await taken(groups.add_member(resources, "team", "x", by=BY)) is users
    assert not await taken(grants.add(resources, "robot:x", "reader", "**", by=BY))
    assert not await taken(groups.add_member(resources, "none", "x", by=BY))


@on_both_databases
async def test_public_repositories(resources: Resources) -> None:
    with pytest.raises(NotFound, match="there is no repository team/app"):
        await repositories.set_public(resources, "team/app", False, by=BY)
    assert (await repositories.set_public(resources, "team/app", True, by=BY)).public
    assert await last(resources) == ("repository.set", BY, "team/app", {"public": True})
    before = len(await resources.database.read(audit.find, Filter(), 0, 100))
    assert (await repositories.set_public(resources, "team/app", True, by=BY)).public
    assert len(await resources.database.read(audit.find, Filter(), 0, 100)) == before
    assert [(row.name, row.public) for row in await repositories.every(resources)] == [
        ("team/app", True)
    ]
    assert not (await repositories.set_public(resources, "team/app", False, by=BY)).public
    assert await last(resources) == ("repository.set", BY, "team/app", {"public": False})


@pytest.mark.parametrize("name", ["", "Team", "a//b", "/a", "a/", "a b", "a" * 256, "a/**"])
async def test_names_of_no_repository(resources: Resources, name: str) -> None:
    for call in (
        repositories.set_public(resources, name, True, by=BY),
        repositories.show(resources, name),
    ):
        with pytest.raises(Invalid, match="not a repository name"):
            await call
    assert await repositories.every(resources) == []


async def test_who_may_what(opened: Opener, tmp_path: Path) -> None:
    (tmp_path / "htpasswd").touch()
    resources = await opened(
        auth__htpasswd=str(tmp_path / "htpasswd"), auth__htpasswd_role="writer"
    )
    await accounts.add(resources, "root", "correct horse", by=BY, admin=True)
    await accounts.add(resources, "old", "correct horse", by=BY, admin=True)
    await accounts.change(resources, "old", accounts.Change(disabled=True), by=BY)
    await grants.add(resources, "everyone", "reader", "team/*", by=BY)
    await grants.add(resources, "everyone", "writer", "other/*", by=BY)
    with pytest.raises(NotFound, match="there is no repository team/app"):
        await repositories.show(resources, "team/app")
    await repositories.set_public(resources, "team/app", True, by=BY)
    known = await repositories.show(resources, "team/app")
    assert [(one.subject, one.role, one.because) for one in known.rights] == [
        ("everyone", "reader", "grant on team/*"),
        ("user:root", "admin", "is an administrator"),
        ("users of auth.htpasswd", "writer", "auth.htpasswd_role on **"),
        ("anonymous", "reader", "the repository is public"),
    ]
    assert known.rights[0].actions == ["pull"]
    await repositories.set_public(resources, "team/app", False, by=BY)
    known = await repositories.show(resources, "team/app")
    assert known.rights[-1].subject == "users of auth.htpasswd"
