"""`khod users`, `groups` and `robots`: passwords, tables, JSON, exit codes."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.flows.databases import on_both_databases
from tests.server.commands.doors import PASSWORD, Door, door

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
FIRST = "khod: there was no account before: from now on the registry asks who is calling"


@pytest.fixture
def khod(tmp_path: Path, database_url: str) -> Door:
    """An empty registry."""
    return door(tmp_path / "data", ("--database", database_url))


@on_both_databases
def test_the_first_account(khod: Door) -> None:
    code, told, error = khod("users add alice --password-stdin --admin", PASSWORD)
    assert (code, told) == (0, "")
    assert error.startswith(FIRST)
    assert khod("users add bob --password-stdin", PASSWORD) == (0, "", "")
    assert [(row["name"], row["admin"]) for row in khod.read("users list")] == [
        ("alice", True),
        ("bob", False),
    ]


def test_json_of_a_new_account(khod: Door) -> None:
    code, told, _ = khod(
        "users add alice --password-stdin --email a@b.example --json", PASSWORD + "\n"
    )
    assert code == 0
    assert re.fullmatch(
        r'\{"name": "alice", "source": "local", "admin": false, "disabled": false,'
        rf' "email": "a@b.example", "created_at": "{TIME}", "last_login_at": null\}}\n',
        told,
    )
    assert "argon2" not in told


def test_a_table_of_accounts(khod: Door) -> None:
    khod.user("alice", "--admin")
    code, told, error = khod("users list")
    head, row = told.splitlines()
    assert (code, error) == (0, "")
    assert head.split()[:5] == ["NAME", "SOURCE", "ADMIN", "DISABLED", "EMAIL"]
    assert head.split()[5:] == ["CREATED_AT", "LAST_LOGIN_AT"]
    assert row.split()[:5] == ["alice", "local", "yes", "no", "-"]


@pytest.mark.parametrize("given", ["", "\n", "short", "a" * 1025, "a" * 5000, b"\xff" * 10])
def test_passwords_that_are_not_taken(khod: Door, given: str | bytes) -> None:
    code, told, error = khod("users add alice --password-stdin", given)
    assert (code, told) == (2, "")
    assert "8 to 1024 bytes" in error or "not UTF-8" in error
    assert khod.read("users list") == []


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_one_line_ending_is_no_part_of_a_password(khod: Door, ending: str) -> None:
    assert khod("users add alice --password-stdin", "a" * 7 + ending)[0] == 2
    assert khod("users add alice --password-stdin", "a" * 8 + ending)[0] == 0
    assert khod("users add bob --password-stdin", "a" * 1024 + ending)[0] == 0


def test_without_a_terminal_no_password_is_made_up(khod: Door) -> None:
    for line in ("users add alice", "users passwd alice"):
        khod.refused(line, 2, "use --password-stdin (8 to 1024 bytes)")
    khod.refused("users add alice", 2, "there is no default one", PASSWORD)
    assert khod.read("users list") == []


def on_a_terminal(tmp_path: Path, answers: list[str]) -> tuple[int, str]:
    """`khod users add alice`, typed; the exit code and what was seen."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "kho.server.cli", "users", "add", "alice"]
    process = subprocess.Popen(
        [*command, "--data", str(tmp_path / "data")],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    seen = b""
    for answer in answers:
        while not seen.endswith(b": "):
            seen += os.read(master, 1024)
        os.write(master, answer.encode() + b"\n")
        seen += b"|"
    try:
        while more := os.read(master, 1024):
            seen += more
    except OSError:  # the other side is closed
        pass
    os.close(master)
    return process.wait(30), seen.decode()


def test_a_terminal_asks_twice(tmp_path: Path) -> None:
    other = "battery staple"
    code, seen = on_a_terminal(tmp_path, [PASSWORD, other, PASSWORD, PASSWORD])
    assert code == 0
    assert seen.count("Password: ") == 2
    assert PASSWORD not in seen
    assert other not in seen
    assert [row["name"] for row in door(tmp_path / "data").read("users list")] == ["alice"]


def test_changes_of_an_account(khod: Door) -> None:
    khod.user("root", "--admin")
    khod.user("alice")
    khod.done("users set alice --admin --email a@b")
    alice = khod.read("users show alice")
    assert (alice["admin"], alice["email"], alice["disabled"]) == (True, "a@b", False)
    khod.done("users set alice --no-admin --disable")
    alice = khod.read("users set alice --disable")
    assert (alice["admin"], alice["disabled"]) == (False, True)
    khod.done("users set alice --enable")
    assert not khod.read("users show alice")["disabled"]
    assert khod("users passwd alice --password-stdin", "another secret") == (0, "", "")
    khod.done("users remove alice")
    khod.refused("users show alice", 3, "there is no user alice")


def test_mistakes_with_accounts(khod: Door) -> None:
    khod.user("alice", "--admin")
    khod.refused("users add alice --password-stdin", 5, "there is a user alice", PASSWORD)
    khod.refused("users add Alice --password-stdin", 2, "'Alice' cannot name a user", PASSWORD)
    khod.refused("users add everyone --password-stdin", 2, "not one of anonymous", PASSWORD)
    khod.refused("users add x --password-stdin --email y", 2, "no e-mail address", PASSWORD)
    khod.refused("users passwd bob --password-stdin", 3, "there is no user bob", PASSWORD)
    khod.refused("users set bob --disable", 3, "there is no user bob")
    khod.refused("users set alice", 2, "nothing to set; give --admin")
    khod.refused("users remove bob", 3, "`khod users list`")
    khod.refused("users set alice --brew", 2, "--brew")
    khod.refused("users add", 2, "NAME")


def test_the_last_administrator_needs_force(khod: Door) -> None:
    khod.user("alice", "--admin")
    for line in ("set alice --disable", "set alice --no-admin", "remove alice"):
        khod.refused(f"users {line}", 5, "alice is the last administrator who can come in")
    khod.done("users set alice --disable --force", "users remove alice --force")
    assert khod.read("users list") == []


def test_all_of_an_account(khod: Door) -> None:
    khod.user("alice")
    khod.done("groups add team", "groups add-member team alice")
    khod.done("grants add user:alice writer team/**")
    assert khod.read("users show alice")["groups"] == ["team"]
    assert khod.read("users show alice")["grants"] == [{"role": "writer", "pattern": "team/**"}]
    lines = khod("users show alice")[1].splitlines()
    assert [line.split(maxsplit=1) for line in lines[-2:]] == [
        ["groups", "team"],
        ["grant", "writer on team/**"],
    ]
    assert ["admin", "no"] in [line.split() for line in lines]


def test_groups(khod: Door) -> None:
    khod.user("alice")
    khod.done("groups add team", "groups add-member team alice")
    (row,) = khod.read("groups list")
    assert re.fullmatch(TIME, row.pop("created_at"))
    assert row == {"name": "team", "members": 1}
    assert khod.read("groups show team") == {
        "name": "team",
        "members": [{"user": "alice", "source": "local"}],
    }
    assert khod("groups show team")[1].split() == ["USER", "SOURCE", "alice", "local"]
    khod.refused("groups add team", 5, "there is a group team already")
    khod.refused("groups add-member team alice", 5, "alice is in the group team already")
    khod.refused("groups add-member team bob", 3, "there is no user bob")
    khod.refused("groups add-member none alice", 3, "there is no group none")
    khod.refused("groups add a/b", 2, "cannot name a group")
    khod.done("groups remove-member team alice")
    khod.refused("groups remove-member team alice", 3, "alice is not in the group team")
    khod.done("groups remove team")
    khod.refused("groups remove team", 3, "there is no group team")
    khod.refused("groups show team", 3, "there is no group team")
    assert khod.read("groups list") == []


def test_robots(khod: Door) -> None:
    code, told, error = khod("robots create ci --description builds --json")
    assert code == 0
    assert error.startswith(FIRST)
    assert re.fullmatch(
        r'\{"name": "ci", "description": "builds", "disabled": false,'
        rf' "created_at": "{TIME}"\}}\n',
        told,
    )
    khod.done("robots add cd", "robots set cd --disable")
    assert [(row["name"], row["disabled"]) for row in khod.read("robots list")] == [
        ("cd", True),
        ("ci", False),
    ]
    assert khod.read("robots show cd")["disabled"]
    assert not khod.read("robots set cd --enable")["disabled"]
    assert khod("robots show ci")[1].split()[4:7] == ["ci", "builds", "no"]
    khod.refused("robots set cd", 2, "nothing to set; give --disable or --enable")
    khod.refused("robots add ci", 5, "there is a robot ci already")
    khod.refused("robots show none", 3, "there is no robot none")
    khod.done("robots remove ci")
    khod.refused("robots remove ci", 3, "there is no robot ci")
