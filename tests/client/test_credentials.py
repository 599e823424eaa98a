"""Logins are found where docker, podman and helpers keep them, and kept as docker would."""

import asyncio
import base64
import json
import stat
import textwrap
from pathlib import Path
from typing import Any

import pytest

from kho.client.logins.credential_file import CredentialFile, CredentialFileBroken, normal
from kho.client.logins.credential_helper import HelperFailed
from kho.client.logins.credentials import Keychain
from kho.remote.credentials import Credential, Kind

ALICE = Credential("alice", "pass:word")


def auth(user: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "docker" / "config.json"


def keychain(
    config: Path, value: dict[str, Any] | None = None, given: str | None = None
) -> Keychain:
    """docker's file alone."""
    if value is not None:
        config.parent.mkdir(exist_ok=True)
        config.write_text(json.dumps(value))
    return Keychain(CredentialFile(config), given=given)


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """docker-credential-lab: keeps secrets in files beside it; what it was asked, in a log."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "docker-credential-lab"
    program.write_text(
        textwrap.dedent(f"""\
        #!/bin/sh
        input=$(cat)
        echo "$1 $input" >> {folder}/log
        key() {{ printf '%s' "$1" | tr -c 'a-z0-9\\n' _; }}
        case $1 in
        get) file={folder}/kept-$(key "$input")
            [ -f "$file" ] && cat "$file" && exit 0
            echo "credentials not found in native keychain"; exit 1 ;;
        erase) file={folder}/kept-$(key "$input")
            [ -f "$file" ] || {{ echo "credentials not found in native keychain"; exit 1; }}
            rm "$file" ;;
        store) url=$(printf '%s' "$input" | sed 's/.*"ServerURL": "\\([^"]*\\)".*/\\1/')
            [ "$url" = locked.example ] && echo "the keychain is locked" && exit 1
            printf '%s' "$input" > {folder}/kept-$(key "$url") ;;
        esac
        """)
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return folder


@pytest.mark.parametrize(
    "name, key",
    [
        ("https://index.docker.io/v1/", "docker.io"),
        ("docker.io", "docker.io"),
        ("registry-1.docker.io", "docker.io"),
        ("https://Reg.example/v2/", "reg.example"),
        ("reg.example/v1/", "reg.example"),
        ("reg.example:5000", "reg.example:5000"),
        ("reg.example/team/app", "reg.example/team/app"),
        ("reg.example/team/", "reg.example/team"),
        ("http://reg.example:5000/x", "reg.example:5000"),
    ],
)
def test_keys(name: str, key: str) -> None:
    assert normal(name) == key


async def test_the_closest_login_counts(config: Path) -> None:
    found = keychain(
        config,
        {
            "auths": {
                "reg.example": auth("all", "1"),
                "reg.example/team": auth("team", "2"),
                "reg.example/team/app": auth("app", "3"),
            }
        },
    )
    assert await found.find("reg.example", "team/app") == Credential("app", "3")
    assert await found.find("reg.example", "team/app/x") == Credential("app", "3")
    assert await found.find("reg.example", "team/apple") == Credential("team", "2")
    assert await found.find("reg.example", "other") == Credential("all", "1")
    assert await found.find("reg.example") == Credential("all", "1")
    assert await found.find("other.example", "team/app") is None


async def test_kinds_of_secrets(config: Path) -> None:
    found = keychain(
        config,
        {
            "auths": {
                "https://index.docker.io/v1/": {**auth("alice", ""), "identitytoken": "IT"},
                "b": {"registrytoken": "RT"},
                "c": {},
                "d": auth("alice", "a:b"),
            }
        },
    )
    assert await found.find("docker.io") == Credential("alice", "IT", Kind.IDENTITY_TOKEN)
    assert await found.find("b") == Credential("", "RT", Kind.REGISTRY_TOKEN)
    assert await found.find("c") is None
    assert await found.find("d") == Credential("alice", "a:b")


async def test_what_comes_first(config: Path, tmp_path: Path) -> None:
    docker = {"auths": {"a": auth("docker", "1"), "b": auth("docker", "1")}}
    config.parent.mkdir()
    config.write_text(json.dumps(docker))
    podman = tmp_path / "auth.json"
    podman.write_text(json.dumps({"auths": {"b": auth("podman", "1"), "c": auth("podman", "1")}}))
    given = json.dumps({"auths": {"a": auth("given", "1")}})
    found = Keychain(CredentialFile(config), (CredentialFile(podman),), given)
    names = [getattr(await found.find(host), "username", None) for host in "abcd"]
    assert names == ["given", "docker", "podman", None]


async def test_a_login_is_kept_as_docker_keeps_it(config: Path) -> None:
    found = keychain(config, {"HttpHeaders": {"X": "y"}, "auths": {"other": auth("o", "1")}})
    await found.store("docker.io", ALICE)
    value = json.loads(config.read_text())
    assert value == {
        "HttpHeaders": {"X": "y"},
        "auths": {
            "other": auth("o", "1"),
            "https://index.docker.io/v1/": auth("alice", "pass:word"),
        },
    }
    assert "\n\t" in config.read_text()
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert await found.find("docker.io") == ALICE
    assert await found.erase("index.docker.io")
    assert not await found.erase("docker.io")
    assert list(json.loads(config.read_text())["auths"]) == ["other"]


async def test_a_first_login_makes_the_file(config: Path) -> None:
    await keychain(config).store("reg.example/team", ALICE)
    assert await keychain(config).find("reg.example", "team/app") == ALICE
    assert stat.S_IMODE(config.parent.stat().st_mode) == 0o700
    assert [path.name for path in config.parent.iterdir()] == ["config.json"]


async def test_a_link_stays_a_link(config: Path, tmp_path: Path) -> None:
    real = tmp_path / "real.json"
    real.write_text("{}")
    config.parent.mkdir()
    config.symlink_to(real)
    await keychain(config).store("reg.example", ALICE)
    assert config.is_symlink()
    assert "reg.example" in real.read_text()


async def test_logins_at_once_all_stay(config: Path) -> None:
    async def login(number: int) -> None:
        await asyncio.to_thread(CredentialFile(config).store, f"reg{number}.example", ALICE)

    await asyncio.gather(*(login(number) for number in range(20)))
    assert len(CredentialFile(config).names()) == 20


@pytest.mark.parametrize(
    "text, words",
    [
        ("{", "no JSON"),
        ("[]", "no JSON object"),
        ('{"auths": {"reg.example": {"auth": "!"}}}', "auth is no base64"),
        ('{"auths": {"reg.example": {"auth": "YQ=="}}}', "auth is no base64 of user:password"),
    ],
)
async def test_files_that_cannot_be_read(config: Path, text: str, words: str) -> None:
    config.parent.mkdir()
    config.write_text(text)
    with pytest.raises(CredentialFileBroken, match=words) as caught:
        await keychain(config).find("reg.example")
    assert str(config) in str(caught.value)


@pytest.mark.parametrize("text", ["", "{}", '{"auths": null}', '{"auths": {"reg.example": 3}}'])
async def test_files_without_logins(config: Path, text: str) -> None:
    config.parent.mkdir()
    config.write_text(text)
    assert await keychain(config).find("reg.example") is None


async def test_a_helper_keeps_the_secret(config: Path, helper: Path) -> None:
    found = keychain(config, {"credsStore": "lab"})
    assert await found.find("reg.example", "a/b/c") is None
    assert (helper / "log").read_text() == "get reg.example\n"
    assert await found.store("reg.example", ALICE) == "docker-credential-lab"
    assert json.loads(config.read_text()) == {"credsStore": "lab", "auths": {"reg.example": {}}}
    assert await found.find("reg.example", "a/b") == ALICE
    token = Credential("", "IT", Kind.IDENTITY_TOKEN)
    await found.store("docker.io", token)
    assert await found.find("docker.io") == token
    assert "get https://index.docker.io/v1/" in (helper / "log").read_text()
    assert await found.erase("reg.example")
    assert await found.find("reg.example") is None


async def test_a_helper_for_one_host(config: Path, helper: Path) -> None:
    del helper
    found = keychain(config, {"credHelpers": {"reg.example": "lab"}})
    await found.store("reg.example", ALICE)
    await found.store("other.example", ALICE)
    value = json.loads(config.read_text())
    assert value["auths"] == {"reg.example": {}, "other.example": auth("alice", "pass:word")}


@pytest.mark.parametrize(
    "name, host, words",
    [
        ("absent", "reg.example", "docker-credential-absent .* not found on PATH"),
        ("../lab", "reg.example", "no name of a credential helper"),
        ("lab", "locked.example", "store locked.example: the keychain is locked"),
    ],
)
async def test_helpers_that_fail(
    config: Path, helper: Path, name: str, host: str, words: str
) -> None:
    del helper
    with pytest.raises(HelperFailed, match=words):
        await keychain(config, {"credsStore": name}).store(host, ALICE)


def test_secrets_are_not_printed() -> None:
    assert "pass:word" not in repr(ALICE)
