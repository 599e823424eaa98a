"""The commands, as a user calls them, against a real khod with accounts."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kho.oci.digest import Digest
from tests.interop.servers import KHOD, Server, serving

KHO = KHOD.with_name("kho")
CONFIG = "application/vnd.oci.image.config.v1+json"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Alice may do all, nobody else anything."""
    home = tmp_path_factory.mktemp("khod")
    with serving(home, settings={"KHO_AUTH_OPEN": "true"}) as found:
        add: list[str | Path] = [KHOD, "users", "add", "alice", "--admin", "--password-stdin"]
        add += ["--data", found.data]
        password = "a long password"
        subprocess.run(add, input=password, text=True, check=True, capture_output=True, timeout=60)
        yield found


class Kho:
    """`kho` with a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def __call__(self, *arguments: str | Path, stdin: str = "", code: int = 0) -> str:
        """What it printed; on standard error where it must fail."""
        clean = {name: value for name, value in os.environ.items() if name.isupper()}
        done = subprocess.run(
            [KHO, *arguments],
            input=stdin,
            text=True,
            capture_output=True,
            check=False,
            timeout=60,
            env={**clean, "HOME": str(self.home), "XDG_RUNTIME_DIR": str(self.home)},
        )
        assert done.returncode == code, done.stderr
        return done.stderr if code else done.stdout


@pytest.fixture
def kho(tmp_path: Path) -> Kho:
    home = tmp_path / "home"
    home.mkdir()
    return Kho(home)


@pytest.fixture
def layout(tmp_path: Path) -> str:
    """An image of one layer."""
    blobs = tmp_path / "image/blobs/sha256"
    blobs.mkdir(parents=True)

    def put(content: bytes, media_type: str) -> dict[str, object]:
        digest = Digest.of(content)
        (blobs / digest.hex).write_bytes(content)
        return {"mediaType": media_type, "digest": str(digest), "size": len(content)}

    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": put(b'{"os":"linux","architecture":"amd64"}', CONFIG),
        "layers": [put(os.urandom(1000), "application/vnd.oci.image.layer.v1.tar")],
    }
    entry = put(json.dumps(manifest).encode(), str(manifest["mediaType"]))
    entry["annotations"] = {"org.opencontainers.image.ref.name": "v1"}
    index = {"schemaVersion": 2, "manifests": [entry]}
    (tmp_path / "image/index.json").write_text(json.dumps(index))
    (tmp_path / "image/oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    return f"oci:{tmp_path}/image"


def login(kho: Kho, server: Server) -> str:
    return kho("login", server.host, "-u", "alice", "--password-stdin", stdin="a long password\n")


def test_login_push_pull_logout(kho: Kho, server: Server, layout: str, tmp_path: Path) -> None:
    there = f"{server.host}/team/app:1"
    assert f"log in to {server.host}" in kho("copy", layout, there, code=4)
    assert f"Logged in to {server.host} as alice" in login(kho, server)
    digest = kho("copy", layout, there).strip()
    assert kho("digest", there).strip() == digest
    assert kho("tags", f"{server.host}/team/app").split() == ["1"]
    assert kho("copy", there, f"oci:{tmp_path}/back:1").strip() == digest
    assert f"Logged out of {server.host}" in kho("logout", server.host)
    assert "Not logged in" in kho("logout", server.host)
    assert "log in" in kho("digest", there, code=4)


def test_a_wrong_password_says_so_and_is_not_kept(kho: Kho, server: Server) -> None:
    told = kho("login", server.host, "-u", "alice", "--password-stdin", stdin="wrong", code=4)
    assert "user name and password not accepted" in told
    assert not (kho.home / ".docker").exists()


def test_a_login_for_a_part_of_a_registry(kho: Kho, server: Server, layout: str) -> None:
    kho("login", f"{server.host}/mine", "-u", "alice", "--password-stdin", stdin="a long password")
    kho("copy", layout, f"{server.host}/mine/app:1")
    assert "log in" in kho("copy", layout, f"{server.host}/other/app:1", code=4)


def test_ping(kho: Kho, server: Server) -> None:
    told = json.loads(kho("ping", "--json", server.host))
    assert (told["url"], told["login"]) == (f"http://{server.host}", "bearer")


@pytest.mark.parametrize(
    "arguments, code, words",
    [
        (("digest", "A b"), 2, "is no reference"),
        (("ping", "not/a/host"), 2, "is no registry"),
        (("ping", "127.0.0.1:1"), 5, "ping 127.0.0.1:1: Connection refused"),
        (("copy", "oci:nowhere", "oci:elsewhere"), 3, "no such folder"),
        (("copy", "oci:", "oci:elsewhere"), 2, "names no folder"),
        (("copy", "oci:a", "oci:b", "--platform", "x y"), 2, "is no platform"),
    ],
)
def test_what_goes_wrong_is_one_line(
    kho: Kho, arguments: tuple[str, ...], code: int, words: str
) -> None:
    told = kho(*arguments, code=code)
    assert words in told
    assert told.startswith("kho: ")
    assert told.count("\n") == 1
