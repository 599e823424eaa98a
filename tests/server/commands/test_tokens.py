"""`khod tokens`: made, listed, revoked; what is printed where."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from click.testing import CliRunner

from kho.oci.errors import Unauthorized
from kho.server.cli import main
from kho.server.commands.tokens import lifetime
from kho.server.config import load
from kho.server.database.identities import accounts
from kho.server.database.identities import credentials as rows
from kho.server.index.errors import Invalid
from kho.server.index.tokens import credentials
from kho.server.index.tokens.access_tokens import parse_ceiling
from kho.server.policy.access import ON_REPOSITORIES, PUSHING, Action
from kho.server.policy.identity import Identity
from kho.server.resources import Resources, open_resources
from tests.flows.databases import on_both_databases

T = TypeVar("T")
DAY = 86_400_000


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("KHO_", "REGISTRY_"))]:
        monkeypatch.delenv(name)


class Shell:
    """`khod` on one registry."""

    def __init__(self, data: Path, database_url: str) -> None:
        self.place = {"data": str(data), "database": database_url}

    def __call__(self, *words: str) -> tuple[int, str, str]:
        flags = [part for key, value in self.place.items() for part in (f"--{key}", value)]
        told = CliRunner().invoke(main, [*words, *flags])
        return told.exit_code, told.stdout, told.stderr

    def token(self, *words: str) -> str:
        """Make a token that must be made."""
        code, told, error = self("tokens", "create", *words)
        assert code == 0, error
        assert told.endswith("\n")
        return told[:-1]

    def listed(self, *words: str) -> list[dict[str, Any]]:
        """`khod tokens list --json`."""
        code, told, error = self("tokens", "list", "--json", *words)
        assert (code, error) == (0, "")
        found: list[dict[str, Any]] = json.loads(told)
        return found

    def work(self, work: Callable[[Resources], Awaitable[T]]) -> T:
        """Do something on the registry itself."""

        async def opened() -> T:
            async with open_resources(load(dict(self.place), {})) as resources:
                found = await work(resources)
                tasks = resources.memory.keep(credentials._Touches).tasks
                await asyncio.gather(*tasks.values())
                return found

        return asyncio.run(opened())

    def identify(self, secret: str) -> Identity:
        """Whose the secret is."""
        return self.work(
            lambda resources: credentials.identify(resources, secret, ("personal", "robot"))
        )


@pytest.fixture
def khod(tmp_path: Path, database_url: str) -> Shell:
    """A registry with the robot ci and the user alice."""
    shell = Shell(tmp_path / "data", database_url)
    assert shell("robots", "add", "ci")[0] == 0
    shell.work(lambda resources: resources.database.write(accounts.add, "alice", source="oidc"))
    return shell


@on_both_databases
def test_a_token_is_made_shown_once_listed_and_revoked(khod: Shell) -> None:
    secret = khod.token(
        *("--robot", "ci", "--name", "deploy", "--expires", "30d"),
        *("--scope", "team/**:pull,push", "--scope", "base/*:pull"),
    )
    assert secret.startswith("khor_")
    identity = khod.identify(secret)
    assert (identity.subject, identity.source) == ("robot:ci", "local")
    assert identity.ceiling is not None
    assert identity.ceiling[0].actions == PUSHING | {Action.PULL}
    (row,) = khod.listed()
    assert (row["id"], row["owner"], row["name"]) == (identity.credential, "robot:ci", "deploy")
    assert row["scopes"] == ["team/**:pull,push", "base/*:pull"]
    assert row["last_used_at"] is not None
    assert row["expired"] is False
    assert secret not in json.dumps(row)
    code, told, error = khod("tokens", "revoke", "deploy")
    assert (code, told) == (0, "")
    assert "deploy of robot:ci" in error
    assert khod.listed() == []
    with pytest.raises(Unauthorized):
        khod.identify(secret)
    code, told, _ = khod("audit", "--action", "token.*", "--json")
    events = [json.loads(line) for line in told.splitlines()]
    assert [event["action"] for event in events] == ["token.create", "token.revoke"]
    assert {event["target"] for event in events} == {"robot:ci/deploy"}
    assert secret[5:] not in told


def test_a_token_of_a_user_knows_where_the_user_comes_from(khod: Shell) -> None:
    secret = khod.token("--user", "alice", "--name", "laptop")
    assert secret.startswith("khop_")
    identity = khod.identify(secret)
    assert (identity.subject, identity.source, identity.ceiling) == ("user:alice", "oidc", None)


@pytest.mark.parametrize(
    "words, days",
    [
        (("--user", "alice"), 90),
        (("--robot", "ci"), 365),
        (("--robot", "ci", "--expires", "12h"), 0.5),
        (("--robot", "ci", "--expires", "2w"), 14),
        (("--robot", "ci", "--expires", "never"), None),
    ],
)
def test_how_long_a_token_is_good(khod: Shell, words: tuple[str, ...], days: float | None) -> None:
    khod.token(*words, "--name", "a")

    async def row(resources: Resources) -> Any:
        (found,) = await resources.database.read(rows.page, None, ("personal", "robot"), 0, 9)
        return found

    found = khod.work(row)
    expected = None if days is None else found.created_at + days * DAY
    assert found.expires_at == expected or abs(found.expires_at - expected) < 1000


@pytest.mark.parametrize("text", ["", "0d", "-1d", "1", "d", "1y", "1.5d", " 1d", "1d\n", "٣d"])
def test_other_times_are_named(text: str) -> None:
    with pytest.raises(Invalid, match="allowed are never"):
        lifetime(text)


def test_what_push_stands_for() -> None:
    def actions(words: str) -> frozenset[Action]:
        ceiling = parse_ceiling([f"team/**:{words}"])
        assert ceiling is not None
        return ceiling[0].actions

    assert actions("push") == PUSHING
    assert actions("push,tag") == {Action.PUSH, Action.TAG}
    assert actions("tag") == {Action.TAG}
    assert actions("*") == set(ON_REPOSITORIES)
    assert actions("pull,delete") == {Action.PULL, Action.DELETE}
    assert parse_ceiling([]) is None


@pytest.mark.parametrize(
    "scope",
    ["", "team", "team:", ":pull", "team:pul", "team:pull,", "A:pull", "a b:pull", "***:pull"],
)
def test_other_scopes_are_refused(khod: Shell, scope: str) -> None:
    code, told, error = khod("tokens", "create", "--robot", "ci", "--name", "a", "--scope", scope)
    assert (code, told) == (2, "")
    assert "allowed" in error
    assert khod.listed() == []


@pytest.mark.parametrize(
    "words, code, text",
    [
        (("--robot", "nobody", "--name", "a"), 3, "there is no robot 'nobody'"),
        (("--user", "nobody", "--name", "a"), 3, "there is no user 'nobody'"),
        (("--user", "operator", "--name", "a"), 2, "allowed"),
        (("--robot", "ci", "--name", "A"), 2, "allowed"),
        (("--name", "a"), 2, "--user NAME or --robot NAME"),
        (("--robot", "ci", "--user", "alice", "--name", "a"), 2, "not both"),
        (("--robot", "ci", "--name", "a", "--expires", "soon"), 2, "allowed are never"),
        (("--robot", "ci"), 2, "--name"),
    ],
)
def test_what_cannot_be_made_says_why(
    khod: Shell, words: tuple[str, ...], code: int, text: str
) -> None:
    found, told, error = khod("tokens", "create", *words)
    assert (found, told) == (code, "")
    assert text in error


def test_a_name_is_free_again_when_its_token_is_gone(khod: Shell) -> None:
    khod.token("--robot", "ci", "--name", "a")
    code, _, error = khod("tokens", "create", "--robot", "ci", "--name", "a")
    assert (code, "a token named 'a' already" in error) == (5, True)
    khod("tokens", "revoke", "a")
    khod.token("--robot", "ci", "--name", "a")


def test_the_same_name_of_two_owners_is_told_apart(khod: Shell) -> None:
    khod.token("--robot", "ci", "--name", "a")
    secret = khod.token("--user", "alice", "--name", "a")
    code, _, error = khod("tokens", "revoke", "a")
    assert code == 5
    ids = {row["owner"]: row["id"] for row in khod.listed()}
    assert all(str(one) in error for one in ids.values())
    assert khod("tokens", "revoke", "a", "--robot", "ci")[0] == 0
    assert khod.identify(secret).subject == "user:alice"
    assert [row["owner"] for row in khod.listed("--user", "alice")] == ["user:alice"]
    assert khod.listed("--robot", "ci") == []
    assert khod("tokens", "revoke", str(ids["user:alice"]))[0] == 0
    assert khod("tokens", "revoke", "a")[0] == 3


def test_logins_are_no_tokens_to_revoke(khod: Shell) -> None:
    async def login(resources: Resources) -> None:
        await credentials.create(resources, kind="session", subject="user:alice", name="browser")

    khod.work(login)
    assert khod.listed() == []
    assert khod("tokens", "revoke", "browser")[0] == 3


@pytest.mark.parametrize("elsewhere", ["htpasswd", "ldap"])
def test_users_from_elsewhere_need_no_account(khod: Shell, tmp_path: Path, elsewhere: str) -> None:
    settings = tmp_path / "kho.toml"
    if elsewhere == "htpasswd":
        file = tmp_path / "htpasswd"
        file.write_text("bob:$2y$05$" + "a" * 53 + "\n")
        settings.write_text(f'[auth]\nhtpasswd = "{file}"\n')
    else:
        settings.write_text('[ldap]\nurl = "ldap://127.0.0.1:1"\nuser_base = "dc=example"\n')
    secret = khod.token("--user", "bob", "--name", "a", "--config", str(settings))
    identity = khod.identify(secret)
    assert (identity.subject, identity.source) == ("user:bob", elsewhere)
    # An account of that name hides who is elsewhere.
    theirs = khod.token("--user", "alice", "--name", "a", "--config", str(settings))
    assert khod.identify(theirs).source == "oidc"


def test_the_table_is_for_people(khod: Shell) -> None:
    khod.token("--robot", "ci", "--name", "a", "--scope", "x:pull", "--scope", "y:push,pull")
    khod.token("--robot", "ci", "--name", "b", "--expires", "never")
    code, told, _ = khod("tokens", "list")
    assert code == 0
    head, first, second = told.splitlines()
    assert head.split()[:4] == ["ID", "OWNER", "NAME", "SCOPES"]
    assert "x:pull y:pull,push" in first
    assert second.split()[3] == "all"
    assert second.split()[5:] == ["-", "-"]
