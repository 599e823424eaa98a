"""Where logins are kept, told without their secrets; the odd forms of the files that hold them."""

import base64
import json
import textwrap
from pathlib import Path
from typing import Any

import pytest

from kho.client.logins.credential_file import CredentialFile, CredentialFileBroken
from kho.client.logins.credential_helper import HelperFailed
from kho.client.logins.credentials import VARIABLE, Keychain, Place
from kho.remote.credentials import Credential, Kind

HUB = "https://index.docker.io/v1/"


def auth(pair: str) -> dict[str, str]:
    return {"auth": base64.b64encode(pair.encode()).decode()}


def keychain(folder: Path, value: dict[str, Any], given: object = None) -> Keychain:
    config = folder / "config.json"
    config.write_text(json.dumps(value))
    return Keychain(CredentialFile(config), given=None if given is None else json.dumps(given))


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """docker-credential-lab, whose `list` and `get` print files."""
    program = tmp_path / "docker-credential-lab"
    program.write_text(f"#!/bin/sh\ncat > {tmp_path}/asked; cat {tmp_path}/$1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path


async def test_all_places(tmp_path: Path, helper: Path) -> None:
    (helper / "list").write_text(
        json.dumps({"kept.example": "carol", HUB: "<token>", "gcr.io": "x"})
    )
    found = keychain(
        tmp_path,
        {
            "auths": {
                "a.example": auth("alice:1"),
                "kept.example": {},
                "b.example/team": auth("b:1"),
            },
            "credsStore": "lab",
            "credHelpers": {"gcr.io": "lab", "none.example": "lab"},
        },
        {"auths": {"a.example": {"registrytoken": "RT"}}},
    )
    lab = "docker-credential-lab"
    assert await found.places() == [
        Place("a.example", "", VARIABLE, Kind.REGISTRY_TOKEN),
        Place("b.example/team", "b", str(tmp_path / "config.json"), Kind.PASSWORD),
        Place("docker.io", "", lab, Kind.IDENTITY_TOKEN),
        Place("gcr.io", "x", lab, Kind.PASSWORD),
        Place("kept.example", "carol", lab, Kind.PASSWORD),
        Place("none.example", None, lab, Kind.PASSWORD),
    ]


async def test_where_one_login_is(tmp_path: Path, helper: Path) -> None:
    (helper / "get").write_text(json.dumps({"Username": "carol", "Secret": "s"}))
    found = keychain(tmp_path, {"credHelpers": {"kept.example": "lab"}})
    place = Place("kept.example", "carol", "docker-credential-lab", Kind.PASSWORD)
    assert await found.locate("kept.example", "a/b") == (Credential("carol", "s"), place)
    assert (helper / "asked").read_text() == "kept.example"
    assert await found.locate("other.example") is None


async def test_a_variable_that_says_nothing_falls_back_to_the_file(tmp_path: Path) -> None:
    variables: list[object] = [{"auths": {"a.example": {}}}, {"auths": None}, {}]
    for given in [*variables, {"auths": {"a.example": 3}}]:
        found = keychain(tmp_path, {"auths": {"a.example": auth("alice:1")}}, given)
        assert await found.find("a.example") == Credential("alice", "1")


@pytest.mark.parametrize(
    "entry, expected",
    [
        (auth("alice:pass:word\0\0"), Credential("alice", "pass:word")),
        ({"username": "alice", "password": "1"}, Credential("alice", "1")),
        ({"username": "x", "password": "y", **auth("alice:1")}, Credential("alice", "1")),
        ({"identitytoken": "IT"}, Credential("", "IT", Kind.IDENTITY_TOKEN)),
        ({"email": "a@b.example"}, None),
    ],
)
async def test_forms_of_entries(
    tmp_path: Path, entry: dict[str, str], expected: Credential | None
) -> None:
    assert await keychain(tmp_path, {"auths": {"a.example": entry}}).find("a.example") == expected


async def test_an_entry_without_a_user(tmp_path: Path) -> None:
    found = keychain(tmp_path, {"auths": {"a.example": auth(":secret")}})
    with pytest.raises(CredentialFileBroken, match=r"a\.example: the entry has no user") as caught:
        await found.find("a.example")
    assert "secret" not in str(caught.value)


async def test_tokens_are_kept_so_that_docker_reads_them(tmp_path: Path) -> None:
    """docker refuses the whole file for one `auth` without a user name."""
    found = keychain(tmp_path, {"auths": None})
    await found.store("a.example", Credential("", "IT", Kind.IDENTITY_TOKEN))
    await found.store("b.example", Credential("bob", "IT", Kind.IDENTITY_TOKEN))
    await found.store("c.example", Credential("bob", "RT", Kind.REGISTRY_TOKEN))
    assert json.loads((tmp_path / "config.json").read_text())["auths"] == {
        "a.example": {"identitytoken": "IT"},
        "b.example": {**auth("bob:"), "identitytoken": "IT"},
        "c.example": {"registrytoken": "RT"},
    }


@pytest.mark.parametrize(
    "script, words",
    [
        ("echo broken; exit 1", "docker-credential-lab list: broken"),
        ("echo '{'", "list: the answer cannot be read"),
    ],
)
async def test_helpers_that_cannot_list(
    tmp_path: Path, helper: Path, script: str, words: str
) -> None:
    text = textwrap.dedent(f"#!/bin/sh\ncat > /dev/null\n{script}\n")
    (helper / "docker-credential-lab").write_text(text)
    with pytest.raises(HelperFailed, match=words):
        await keychain(tmp_path, {"credsStore": "lab"}).places()


async def test_a_helper_that_is_no_program(tmp_path: Path, helper: Path) -> None:
    (helper / "docker-credential-lab").write_bytes(b"\0\0\0\0")
    with pytest.raises(HelperFailed, match="docker-credential-lab cannot be started"):
        await keychain(tmp_path, {"credsStore": "lab"}).find("a.example")
