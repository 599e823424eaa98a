"""`khod trust`: rules from presets, what is refused and how, trying a token."""

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from kho.server.cli import main
from kho.server.database.identities import robots
from kho.server.database.open import open_database
from tests.issuer import AUDIENCE, Issuer, github_claims, kubernetes_claims

AT = ("--robot", "ci", "--audience", AUDIENCE)
GITHUB = ("--github", "octo/app", "--repository-id", "74")


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("KHO_", "REGISTRY_"))]:
        monkeypatch.delenv(name)


@pytest.fixture
def place(database_url: str, tmp_path: Path) -> list[str]:
    """A registry with a robot."""

    async def work() -> None:
        database = await open_database(database_url)
        await database.write(robots.add, "ci", "")
        await database.close()

    asyncio.run(work())
    return ["--data", str(tmp_path / "data"), "--database", database_url]


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """An issuer in a loop of its own: commands run theirs."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    found = Issuer()
    asyncio.run_coroutine_threadsafe(found.__aenter__(), loop).result(10)
    yield found
    asyncio.run_coroutine_threadsafe(found.stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def khod(place: list[str], verb: str, *words: str, given: str = "") -> tuple[int, str, str]:
    told = CliRunner().invoke(main, ["trust", verb, *words, *place], input=given)
    return told.exit_code, told.stdout, told.stderr


def shown(place: list[str], name: str) -> dict[str, Any]:
    code, told, error = khod(place, "show", name, "--json")
    assert (code, error) == (0, "")
    found: dict[str, Any] = json.loads(told)
    return found


def test_a_rule_of_github_is_made_shown_listed_and_removed(place: list[str]) -> None:
    words = ("ci", *AT, *GITHUB, "--branch", "main", "--tag", "v*", "--environment", "prod")
    assert khod(place, "add", *words) == (0, "", "")
    found = shown(place, "ci")
    assert found.pop("created_at") > 1_700_000_000_000
    assert found == {
        "name": "ci",
        "issuer": "https://token.actions.githubusercontent.com",
        "audience": AUDIENCE,
        "conditions": {
            "repository": ["octo/app"],
            "repository_id": ["74"],
            "ref": ["refs/heads/main", "refs/tags/v*"],
            "ref_type": ["branch", "tag"],
            "environment": ["prod"],
            "event_name": [
                "push",
                "workflow_dispatch",
                "schedule",
                "release",
                "repository_dispatch",
            ],
        },
        "robot": "ci",
        "jwks_url": None,
    }
    _, text, _ = khod(place, "show", "ci")
    assert "condition   ref is refs/heads/main or refs/tags/v*" in text
    _, listed, _ = khod(place, "list", "--json")
    assert [row["name"] for row in json.loads(listed)] == ["ci"]
    _, table, _ = khod(place, "list")
    assert "repository_id=74" in table
    assert khod(place, "remove", "ci") == (0, "", "")
    assert khod(place, "remove", "ci")[0] == 3
    assert khod(place, "show", "ci")[0] == 3
    assert json.loads(khod(place, "list", "--json")[1]) == []


def test_rules_of_gitlab_kubernetes_and_any_other_issuer(place: list[str]) -> None:
    gitlab = ("--gitlab", "group/app", "--project-id", "20", "--issuer", "https://gitlab.example")
    assert khod(place, "add", "a", *AT, *gitlab, "--branch", "main")[0] == 0
    assert shown(place, "a")["issuer"] == "https://gitlab.example"
    assert shown(place, "a")["conditions"]["ref_protected"] == ["true"]
    assert khod(place, "add", "b", *AT, *gitlab, "--unprotected")[0] == 0
    assert "ref_protected" not in shown(place, "b")["conditions"]
    pods = ("--kubernetes", "build/pusher", "--issuer", "https://kubernetes.default.svc")
    assert khod(place, "add", "c", *AT, *pods, "--jwks-url", "file:///etc/kho/keys.json")[0] == 0
    assert shown(place, "c")["jwks_url"] == "file:///etc/kho/keys.json"
    own = ("--issuer", "https://id.example", "--claim", "sub=job:1", "--claim", "sub=job:2")
    assert khod(place, "add", "d", *AT, *own)[0] == 0
    assert shown(place, "d")["conditions"] == {"sub": ["job:1", "job:2"]}
    more = ("--claim", "runner_environment=github-hosted")
    assert khod(place, "add", "e", *AT, *GITHUB, *more)[0] == 0
    assert shown(place, "e")["conditions"]["runner_environment"] == ["github-hosted"]


@pytest.mark.parametrize(
    "words, text",
    [
        (("--github", "octo/app"), "gh api repos/octo/app --jq .id"),
        (("--gitlab", "group/app"), "its project id"),
        (("--kubernetes", "build/pusher"), "give --issuer"),
        ((), "give --issuer"),
        ((*GITHUB, "--gitlab", "a/b"), "give one of --github and --gitlab"),
        ((*GITHUB, "--project-id", "1"), "--project-id goes with --gitlab only"),
        ((*GITHUB, "--protected"), "--protected goes with --gitlab only"),
        (("--issuer", "https://a.b", "--branch", "x"), "--branch goes with --github or --gitlab"),
        ((*GITHUB, "--claim", "event_name=*"), "a condition on this claim already"),
        ((*GITHUB, "--claim", "actor"), "is not NAME=GLOB"),
        (("--issuer", "https://a.b", "--claim", "ref=main"), "must pin"),
        (("--issuer", "http://a.b", "--claim", "sub=x"), "allowed is https://host/path"),
        (("--issuer", "https://a.b", "--claim", "sub=x", "--jwks-url", "ftp://x"), "file:///path"),
    ],
)
def test_a_mistake_is_told_and_makes_no_rule(
    place: list[str], words: tuple[str, ...], text: str
) -> None:
    code, told, error = khod(place, "add", "ci", *AT, *words)
    assert (code, told) == (2, "")
    assert text in error
    assert error.startswith("khod: ")
    assert json.loads(khod(place, "list", "--json")[1]) == []


def test_the_audience_is_the_public_url_unless_it_is_given(
    place: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--robot", "ci", *GITHUB)
    code, _, error = khod(place, "add", "ci", *words)
    assert code == 2
    assert "--audience" in error
    monkeypatch.setenv("KHO_HTTP_PUBLIC_URL", "https://kho.example")
    assert khod(place, "add", "ci", *words)[0] == 0
    assert shown(place, "ci")["audience"] == "https://kho.example"


def test_a_robot_must_be_there_and_a_name_free(place: list[str]) -> None:
    code, _, error = khod(place, "add", "x", "--robot", "no", "--audience", "a", *GITHUB)
    assert code == 3
    assert "khod robots add no" in error
    assert khod(place, "add", "ci", *AT, *GITHUB)[0] == 0
    assert khod(place, "add", "ci", *AT, *GITHUB)[0] == 5


def test_a_token_is_tried(place: list[str], issuer: Issuer) -> None:
    at = (*AT, "--issuer", issuer.url)
    assert khod(place, "add", "app", *at, *GITHUB, "--branch", "main")[0] == 0
    assert khod(place, "add", "pods", *at, "--kubernetes", "build/pusher")[0] == 0
    token = issuer.token(kubernetes_claims(issuer.url))
    code, told, _ = khod(place, "test", given=token + "\n")
    assert code == 0
    assert told.splitlines()[0] == "rule app: no"
    assert "  repository_id is absent, wanted is '74'" in told
    assert told.splitlines()[-1] == "rule pods: yes, as robot ci"
    dev = issuer.token(github_claims(issuer.url, ref="refs/heads/dev"))
    code, told, _ = khod(place, "test", "--json", given=dev)
    assert code == 1
    trial = json.loads(told)
    assert trial["rule"] is None
    assert trial["refusals"]["app"] == ["ref is 'refs/heads/dev', wanted is 'refs/heads/main'"]
    assert trial["claims"]["repository_id"] == "74"
    code, told, _ = khod(place, "test", given="nonsense")
    assert (code, told.startswith("refused: not a signed token")) == (1, True)
