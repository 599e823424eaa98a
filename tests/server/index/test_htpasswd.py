"""htpasswd files: what is read, what is skipped, and that changes are seen."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from kho.oci.errors import Unauthorized
from kho.server import telemetry
from kho.server.index import logins
from kho.server.index.sources import htpasswd
from kho.server.policy.identity import Identity
from kho.server.resources import Resources
from tests.flows.registry import Registry

HERE = "192.0.2.1"


def line(name: str, password: str, kind: str = "$2y$", cost: int = 4) -> str:
    """A line as `htpasswd -nB` prints it."""
    return f"{name}:{kind}{bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode()[4:]}\n"


def put(file: Path, text: str) -> None:
    """Write it in place."""
    file.write_text(text)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the file is; nobody has made it yet."""
    return tmp_path / "htpasswd"


@pytest.fixture
def settings(file: Path) -> dict[str, Any]:
    """Of a registry with such a file."""
    return {"auth.htpasswd": str(file)}


@pytest.fixture
def resources(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Resources:
    """What one worker stands on; it looks at the file each time."""
    monkeypatch.setattr(htpasswd, "LOOK_SECONDS", 0.0)
    found = registry.workers[-1].app.resources
    assert found is not None
    return found


def logged(capfd: pytest.CaptureFixture[str], event: str) -> list[dict[str, Any]]:
    """The lines of the log about an event."""
    lines = [json.loads(one) for one in capfd.readouterr().err.splitlines() if one[:1] == "{"]
    return [one for one in lines if one["event"].startswith(event)]


async def opens(resources: Resources, name: str, password: str) -> bool:
    """Whether somebody gets in."""
    try:
        await logins.authenticate(resources, name, password, HERE)
    except Unauthorized:
        return False
    return True


async def test_users_of_every_bcrypt_get_in(resources: Resources, file: Path) -> None:
    lines = [line("alice", "a"), line("bob", "b", "$2a$", 5), line("Carol D", "ü", "$2b$", 6)]
    put(file, "# people\n\n" + "\n".join(lines) + "   \r\n")
    found = await logins.authenticate(resources, "alice", "a", HERE)
    assert found == Identity("user:alice", "htpasswd")
    assert await opens(resources, "bob", "b")
    assert await opens(resources, "Carol D", "ü")
    assert not await opens(resources, "carol d", "ü")
    assert not await opens(resources, "bob", "a")
    assert not await opens(resources, "# people", "a")
    users = await htpasswd.users(resources)
    assert users is not None
    assert users.cost == 6


async def test_of_two_lines_the_last_counts(resources: Resources, file: Path) -> None:
    put(file, line("alice", "old") + line("alice", "new"))
    assert not await opens(resources, "alice", "old")
    assert await opens(resources, "alice", "new")


async def test_other_hashes_are_skipped_with_one_warning(
    resources: Resources, file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    telemetry.configure("info", "json", access=False)
    put(
        file,
        line("alice", "a")
        + "bob:$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/\n"
        + "carol:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n"
        + "dora:plain\n"
        + "no colon\n"
        + line("slow", "s").replace("$04$", "$31$")
        + line("nul\0", "s")
        + ":"
        + line("", "s"),
    )
    for _ in range(3):
        assert await opens(resources, "alice", "a")
    assert not await opens(resources, "dora", "plain")
    (warning,) = logged(capfd, "htpasswd lines skipped")
    assert warning["lines"] == [2, 3, 4, 5, 6, 7, 8]
    assert "bcrypt" in warning["allowed"]
    assert "apr1" not in str(warning)


async def test_changes_are_seen(resources: Resources, file: Path) -> None:
    put(file, line("alice", "a"))
    old = os.stat(file)
    assert await opens(resources, "alice", "a")
    put(file, line("alice", "b"))  # of the same size, and, it may be, of the same tick
    os.utime(file, ns=(old.st_atime_ns, old.st_mtime_ns))
    assert not await opens(resources, "alice", "a")
    assert await opens(resources, "alice", "b")
    beside = file.with_name("new")
    put(beside, line("bob", "b"))
    os.replace(beside, file)
    assert not await opens(resources, "alice", "b")
    assert await opens(resources, "bob", "b")


async def test_who_is_out_of_the_file_is_no_longer_there(resources: Resources, file: Path) -> None:
    put(file, line("alice", "a"))
    identity = await logins.authenticate(resources, "alice", "a", HERE)
    assert await logins.still_there(resources, identity)
    put(file, line("bob", "b"))
    assert not await logins.still_there(resources, identity)


@pytest.mark.parametrize("kind", ["absent", "folder", "pipe", "large"])
async def test_a_file_that_cannot_be_read_lets_nobody_in(
    resources: Resources,
    file: Path,
    kind: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    telemetry.configure("info", "json", access=False)
    if kind == "folder":
        os.mkdir(file)
    elif kind == "pipe":
        os.mkfifo(file)
    elif kind == "large":
        monkeypatch.setattr(htpasswd, "MAX_BYTES", 100)
        put(file, line("alice", "a") * 2)
    for _ in range(3):
        assert not await opens(resources, "alice", "a")
    assert len(logged(capfd, "htpasswd unreadable")) == 1
    if kind == "absent":
        put(file, line("alice", "a"))
        assert await opens(resources, "alice", "a")
        os.unlink(file)
        assert not await opens(resources, "alice", "a")
        assert len(logged(capfd, "htpasswd unreadable")) == 1


async def test_a_settled_file_is_not_read_again(
    resources: Resources, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(htpasswd, "SETTLED_NS", 0)
    put(file, line("alice", "a"))
    await asyncio.sleep(0.05)
    before = await htpasswd.users(resources)
    os.chmod(file, 0)
    os.chmod(file, 0o600)
    assert await htpasswd.users(resources) is before
