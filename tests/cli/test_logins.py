"""`kho login` with a browser and with a CI token, and `kho whoami`, at a real khod."""

import http.client
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.interop.kho_client import KHO
from tests.interop.servers import KHOD, Server, serving
from tests.issuer import Issuer, github_claims

AUDIENCE = "https://registry.example"
PASSWORD = "a long password"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Alice may do all; jobs of octo/app are believed."""
    with serving(tmp_path_factory.mktemp("khod")) as found:
        khod(found, "users", "add", "alice", "--admin", "--password-stdin", stdin=PASSWORD)
        yield found


def khod(server: Server, *words: str, stdin: str = "") -> None:
    """An operator's command."""
    command: list[str | Path] = [KHOD, *words, "--data", server.data]
    subprocess.run(command, input=stdin, text=True, check=True, capture_output=True, timeout=60)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def environment(home: Path, **more: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("KHO_")}
    return {**clean, "HOME": str(home), "XDG_RUNTIME_DIR": str(home), **more}


def kho(home: Path, *words: str, stdin: str = "", code: int = 0, **more: str) -> str:
    """All that it said."""
    done = subprocess.run(
        [KHO, *words],
        input=stdin,
        text=True,
        capture_output=True,
        check=False,
        timeout=60,
        env=environment(home, **more),
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def login(home: Path, server: Server) -> str:
    return kho(home, "login", server.host, "-u", "alice", "--password-stdin", stdin=PASSWORD)


class Person:
    """A browser."""

    def __init__(self, server: Server) -> None:
        self.host = server.host
        self.cookies: dict[str, str] = {}

    def ask(self, method: str, path: str, fields: dict[str, str] | None = None) -> str:
        """The page."""
        connection = http.client.HTTPConnection(self.host, timeout=30)
        headers = {"Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items())}
        headers |= {"Origin": f"http://{self.host}", "Sec-Fetch-Site": "same-origin"}
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request(method, path, urlencode(fields or {}), headers)
        answer = connection.getresponse()
        for line in answer.headers.get_all("Set-Cookie", []):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        text = answer.read().decode()
        connection.close()
        assert answer.status < 400, text
        return text

    def submit(self, path: str, page: str, **fields: str) -> str:
        """Fill a page's form in."""
        hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page)
        return self.ask("POST", path, {**dict(hidden), **fields})

    def approve(self, path: str) -> None:
        """Sign in and let a device in."""
        page = self.ask("GET", "/auth/login")
        self.submit("/auth/login", page, username="alice", password=PASSWORD)
        self.submit("/auth/device", self.ask("GET", path), decision="approve")


def test_a_browser(home: Path, server: Server) -> None:
    process = subprocess.Popen(
        [KHO, "login", "--device", server.host],
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    lines = [process.stderr.readline() for _ in range(3)]
    assert re.search(r"/auth/device in a browser and enter the code [A-Z]{4}-[A-Z]{4}", lines[0])
    found = re.search(r"(/auth/device\?user_code=\S+)", lines[1])
    assert found is not None
    Person(server).approve(found[1])
    out, rest = process.communicate(timeout=60)
    assert process.returncode == 0, rest
    assert f"Logged in to {server.host} as alice" in out
    entry = json.loads((home / ".docker/config.json").read_text())["auths"][server.host]
    assert entry["identitytoken"] not in out + rest
    told = json.loads(kho(home, "whoami", server.host, "--json"))
    assert (told["user"], told["kind"]) == ("alice", "identity token")
    assert (told["state"], told["subject"]) == ("accepted", "user:alice")


def test_a_browser_that_nobody_opens(home: Path, server: Server) -> None:
    process = subprocess.Popen(
        [KHO, "login", "--device", server.host],
        env=environment(home),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for _ in range(3):
        process.stderr.readline()
    time.sleep(0.2)
    process.send_signal(2)
    _, told = process.communicate(timeout=20)
    assert (process.returncode, told) == (130, "kho: interrupted\n")
    assert not (home / ".docker").exists()


@pytest.fixture(scope="module")
def issuer(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    """A CI service whose jobs of octo/app on main are a robot."""
    service = Issuer()
    service.url = "https://ci.example"
    keys = tmp_path_factory.mktemp("issuer") / "keys.json"
    keys.write_text(json.dumps({"keys": [service.jwk()]}))
    khod(server, "robots", "add", "ci")
    khod(server, "grants", "add", "robot:ci", "writer", "ci/**")
    where = ("--issuer", service.url, "--audience", AUDIENCE, "--jwks-url", keys.as_uri())
    conditions = ("--claim", "repository_id=74", "--claim", "ref=refs/heads/main")
    khod(server, "trust", "add", "octo-app", "--robot", "ci", *where, *conditions)
    return service


def test_a_ci_job(home: Path, server: Server, issuer: Issuer, tmp_path: Path) -> None:
    token = issuer.token(github_claims(issuer.url))
    said = kho(home, "login", "--ci", server.host, KHO_TOKEN=token)
    assert f"Logged in to {server.host} as oidc" in said
    assert "the variable KHO_TOKEN" in said
    assert token not in said
    # What is kept outlives the job's token.
    entry = json.loads((home / ".docker/config.json").read_text())["auths"][server.host]
    assert entry["identitytoken"] != token
    told = json.loads(kho(home, "whoami", server.host, "--json"))
    assert (told["state"], told["subject"]) == ("accepted", "robot:ci")
    file = tmp_path / "token"
    file.write_text(token)
    kho(home, "login", "--ci", server.host, KHO_TOKEN_FILE=str(file))
    named = ("--token-variable", "MINE")
    kho(home, "login", "--ci", *named, server.host, MINE=token)


def test_a_ci_job_of_somebody_else(home: Path, server: Server, issuer: Issuer) -> None:
    token = issuer.token(github_claims(issuer.url, ref="refs/heads/fork"))
    said = kho(home, "login", "--ci", server.host, KHO_TOKEN=token, code=4)
    assert "not accepted" in said
    assert token not in said
    assert not (home / ".docker").exists()


def test_a_ci_job_without_a_token(home: Path, server: Server) -> None:
    said = kho(home, "login", "--ci", server.host, code=3)
    assert "looked for KHO_TOKEN_FILE, KHO_TOKEN, KHO_ID_TOKEN" in said
    said = kho(home, "login", "--ci", server.host, GITHUB_ACTIONS="true", code=3)
    assert "permissions: id-token: write" in said


def test_whoami(home: Path, server: Server) -> None:
    assert "not logged in anywhere" in kho(home, "whoami")
    assert f"not logged in to {server.host}" in kho(home, "whoami", server.host, code=4)
    login(home, server)
    (listed,) = json.loads(kho(home, "whoami", "--json"))
    place = str(home / ".docker/config.json")
    assert (listed["host"], listed["user"], listed["kept"]) == (server.host, "alice", place)
    assert f"{server.host}: alice (" in kho(home, "whoami")
    assert "accepted as user:alice" in kho(home, "whoami", server.host)


def test_whoami_with_a_login_that_ended(home: Path, server: Server) -> None:
    config = home / ".docker/config.json"
    config.parent.mkdir()
    config.write_text(json.dumps({"auths": {server.host: {"identitytoken": "khof_gone"}}}))
    said = kho(home, "whoami", server.host, code=4)
    assert "refused" in said
    assert "khof_gone" not in said


@pytest.mark.parametrize(
    "words",
    [
        ("--device", "--ci"),
        ("--ci", "-u", "alice"),
        ("--device", "--password-stdin"),
        ("--audience", "x"),
        ("--token-variable", "X"),
    ],
)
def test_ways_to_log_in_that_exclude_each_other(home: Path, words: tuple[str, ...]) -> None:
    assert kho(home, "login", *words, "reg.example", code=2).startswith("kho: ")
