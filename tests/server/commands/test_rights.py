"""`khod roles`, `grants` and `repos`: tables, JSON, exit codes."""

from pathlib import Path

import pytest

from kho.server.policy.access import ROLES
from tests.flows.databases import on_both_databases
from tests.server.commands.doors import Door, door


@pytest.fixture
def khod(tmp_path: Path, database_url: str) -> Door:
    """A registry with the user alice and the robot ci."""
    found = door(tmp_path / "data", ("--database", database_url))
    found.user("alice", "--admin")
    found.done("robots add ci")
    return found


def test_roles(khod: Door) -> None:
    assert [row["name"] for row in khod.read("roles list")] == [*ROLES]
    assert khod.read("roles add cleaner --actions delete,pull") == {
        "name": "cleaner",
        "built_in": False,
        "actions": ["pull", "delete"],
    }
    assert khod("roles list")[1].splitlines()[-1].split() == ["cleaner", "no", "pull,delete"]
    khod.done("roles add all --actions *")
    khod.refused("roles add cleaner --actions pull", 5, "there is a role cleaner already")
    khod.refused("roles add writer --actions pull", 5, "writer is a built-in role")
    khod.refused("roles add x --actions brew", 2, "'brew' is no action; allowed are pull")
    khod.refused("roles add x --actions ,", 2, "at least one action")
    khod.refused("roles add x", 2, "--actions")
    khod.done("grants add robot:ci cleaner tmp/**")
    khod.refused("roles remove cleaner", 5, "the role cleaner is given 1 time")
    khod.done("grants remove robot:ci cleaner tmp/**", "roles remove cleaner")
    khod.refused("roles remove cleaner", 3, "there is no role cleaner")
    khod.refused("roles remove reader", 2, "reader is a built-in role and stays")


@on_both_databases
def test_grants(khod: Door) -> None:
    khod.done(
        "grants add user:alice writer team/**",
        "grants add robot:ci writer team/app",
        "grants add everyone reader **",
    )
    rows = khod.read("grants list")
    assert [(row["subject"], row["role"], row["pattern"]) for row in rows] == [
        ("user:alice", "writer", "team/**"),
        ("robot:ci", "writer", "team/app"),
        ("everyone", "reader", "**"),
    ]
    assert {row["created_by"] for row in rows} == {"operator"}
    assert [row["subject"] for row in khod.read("grants list --subject robot:ci")] == ["robot:ci"]
    found = khod.read("grants list --repository team/other")
    assert [row["subject"] for row in found] == ["user:alice", "everyone"]
    found = khod.read("grants list --repository team/app --subject everyone")
    assert [row["pattern"] for row in found] == ["**"]
    head, *lines = khod("grants list")[1].splitlines()
    assert head.split() == ["SUBJECT", "ROLE", "PATTERN", "CREATED_BY", "CREATED_AT"]
    assert lines[0].split()[:4] == ["user:alice", "writer", "team/**", "operator"]
    khod.done("grants remove everyone reader **")
    khod.refused("grants remove everyone reader **", 3, "everyone has no grant of reader on **")


def test_mistakes_with_grants(khod: Door) -> None:
    khod.done("grants add user:alice writer team/**")
    for line, code, text in (
        ("add user:alice writer team/**", 5, "user:alice has the role writer on team/** already"),
        ("add alice writer team/**", 2, "'alice' is no subject; allowed are user:NAME, group:"),
        ("add user:bob writer **", 3, "there is no user bob; `khod users add bob` makes one"),
        ("add group:team writer **", 3, "there is no group team"),
        ("add robot:cd writer **", 3, "there is no robot cd"),
        ("add user:alice brewer **", 3, "there is no role brewer; built in are reader"),
        ("add user:alice writer Team", 2, "'Team' is not allowed; allowed is a repository name"),
        ("add anonymous admin **", 2, "anonymous cannot have the role admin"),
        ("add user:alice writer", 2, "GLOB"),
        ("list --subject alice", 2, "is no subject"),
        ("list --repository Team", 2, "'Team' is not a repository name"),
    ):
        khod.refused(f"grants {line}", code, text)
    assert len(khod.read("grants list")) == 1


@on_both_databases
def test_repositories(khod: Door) -> None:
    assert khod.read("repos list") == []
    khod.refused("repos set team/app --private", 3, "there is no repository team/app")
    khod.refused("repos show team/app", 3, "there is no repository team/app")
    khod.refused("repos set team/app", 2, "nothing to set; give --public or --private")
    khod.refused("repos set Team --public", 2, "'Team' is not a repository name")
    khod.done("repos set team/app --public", "grants add robot:ci writer team/**")
    (row,) = khod.read("repos list")
    assert (row["name"], row["public"]) == ("team/app", True)
    known = khod.read("repos show team/app")
    assert known["public"]
    assert [(one["subject"], one["role"]) for one in known["rights"]] == [
        ("robot:ci", "writer"),
        ("user:alice", "admin"),
        ("anonymous", "reader"),
    ]
    head, *lines = khod("repos show team/app")[1].splitlines()
    assert head == "team/app is public: anybody may pull"
    assert lines[0].split() == ["SUBJECT", "ROLE", "ACTIONS", "BECAUSE"]
    assert not khod.read("repos set team/app --private")["public"]
    assert khod("repos show team/app")[1].startswith("team/app is private\n")


def test_where_there_is_no_registry(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    broken = door(tmp_path / "file")
    for line in ("users list", "groups list", "robots list", "roles list", "repos list"):
        code, told, error = broken(line)
        assert (code, told) == (1, "")
        assert f"the data folder {tmp_path / 'file'} cannot be written" in error
    broken = door(tmp_path / "data", ("--database", "mysql://u@h/d"))
    assert broken("grants list")[0] == 2


def test_every_change_is_in_the_trail(khod: Door) -> None:
    khod.done("grants add user:alice writer team/**", "grants remove user:alice writer team/**")
    khod.done("repos set team/app --public", "roles add r --actions pull", "groups add g")
    khod.done("groups add-member g alice", "robots set ci --disable", "robots remove ci")
    lines = khod("audit")[1].splitlines()
    assert [line.split()[2] for line in lines] == [
        *("user.add", "robot.add", "grant.add", "grant.remove", "repository.set", "role.add"),
        *("group.add", "group.add-member", "robot.set", "robot.remove"),
    ]
    assert {line.split()[3] for line in lines} == {"operator"}
