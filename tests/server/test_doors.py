"""How open a registry stands, with the real program: at start, and while it runs."""

import contextlib
import http.client
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.flows.people import basic
from tests.server.pairs import Pair
from tests.server.serving import Server, wait_until

KHOD = (sys.executable, "-m", "kho.server.cli")
PASSWORD = "correct horse"
Start = Callable[..., Server]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start khod on the test's folder with these flags."""
    with contextlib.ExitStack() as stack:

        def started(*flags: str, environ: dict[str, str] | None = None) -> Server:
            data = tmp_path / "data"
            given = ("--data", str(data), "--workers", "2", *flags)
            server = Server(*KHOD, "serve", *given, data=data, environ=environ)
            stack.callback(server.destroy)
            return server

        yield started


def operate(folder: Path, *words: str, stdin: str = "") -> str:
    """An operator's command on the test's folder."""
    command = [*KHOD, *words, "--data", str(folder / "data")]
    done = subprocess.run(
        command, input=stdin, capture_output=True, text=True, check=True, timeout=30
    )
    return done.stdout


def status(server: Server, path: str = "/v2/", *headers: tuple[str, str]) -> int:
    """The status of an answer."""
    with contextlib.closing(server.connection()) as connection:
        connection.request("GET", path, headers=dict(headers))
        return connection.getresponse().status


def test_on_a_loopback_address_it_is_open_and_says_so(start: Start) -> None:
    server = start("--listen", "127.0.0.1:0")
    assert server.ready().endswith("; open to all: there is no account yet\n")
    assert status(server) == 200
    assert server.stop() == 0


def test_elsewhere_it_does_not_start_like_that(start: Start) -> None:
    server = start("--listen", "0.0.0.0:0")
    assert server.ended() == 1
    said = server.errors()
    for word in ("0.0.0.0:0", "khod users add", "--tls-cert", "--open"):
        assert word in said
    assert "Traceback" not in said


def test_unless_it_is_told_to(start: Start) -> None:
    server = start("--listen", "0.0.0.0:0", "--open")
    assert "; open to all" in server.ready()
    assert status(server) == 200


def test_with_an_account_it_asks_everybody_everywhere(start: Start, tmp_path: Path) -> None:
    operate(tmp_path, "users", "add", "alice", "--password-stdin", "--admin", stdin=PASSWORD)
    for flags in (("--listen", "0.0.0.0:0"), ("--listen", "127.0.0.1:0", "--open")):
        server = start(*flags)
        assert "open to all" not in server.ready()
        assert status(server) == 401
        assert status(server, "/v2/", basic("alice", PASSWORD)) == 200
        assert server.stop() == 0
        assert server.process.stdout is not None
        assert b"/setup" not in server.process.stdout.read()


def test_with_an_htpasswd_file_it_asks_too(start: Start, tmp_path: Path) -> None:
    (tmp_path / "htpasswd").write_text("")
    server = start("--listen", "0.0.0.0:0", environ={"KHO_AUTH_HTPASSWD": f"{tmp_path}/htpasswd"})
    assert "open to all" not in server.ready()
    assert status(server) == 401


def test_the_first_account_ends_the_openness_of_a_running_server(
    start: Start, tmp_path: Path
) -> None:
    server = start("--listen", "127.0.0.1:0")
    server.ready()
    assert status(server) == 200
    operate(tmp_path, "users", "add", "alice", "--password-stdin", stdin=PASSWORD)
    # Each of the workers finds out within a second.
    wait_until(lambda: [status(server) for _ in range(8)] == [401] * 8, seconds=3)
    assert status(server, "/v2/", basic("alice", PASSWORD)) == 200
    operate(tmp_path, "users", "set", "alice", "--disable", "--force")
    wait_until(lambda: status(server, "/v2/", basic("alice", PASSWORD)) == 401, seconds=3)


def test_the_link_makes_the_first_administrator_once(start: Start, tmp_path: Path) -> None:
    server = start("--listen", "127.0.0.1:0")
    server.ready()
    assert server.process.stdout is not None
    line = server.process.stdout.readline().decode()
    found = re.fullmatch(
        r"first administrator, once: http://[^/]+(/setup\?code=(khox_\w+))\n", line
    )
    assert found is not None
    assert found[2] not in server.errors()
    with contextlib.closing(server.connection()) as connection:
        connection.request("GET", found[1])
        page = connection.getresponse()
        cookie = (page.headers["Set-Cookie"] or "").partition(";")[0]
        hidden = dict(
            re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.read().decode())
        )
    form = urlencode({**hidden, "username": "root", "password": PASSWORD, "again": PASSWORD})
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Origin": f"http://127.0.0.1:{server.port}",
        "Cookie": cookie,
    }
    for wanted in (range(200, 400), range(400, 500)):
        with contextlib.closing(server.connection()) as connection:
            connection.request("POST", "/setup", form, headers)
            assert connection.getresponse().status in wanted
    wait_until(lambda: status(server) == 401, seconds=3)
    assert status(server, "/v2/", basic("root", PASSWORD)) == 200
    assert '"name": "root"' in operate(tmp_path, "users", "list", "--json")


def test_over_tls_it_starts_closed_with_the_link(start: Start, tmp_path: Path) -> None:
    pair = Pair(tmp_path / "pair")
    flags = ("--tls-cert", str(pair.cert), "--tls-key", str(pair.key))
    server = start("--listen", "0.0.0.0:0", *flags)
    assert "ready at https://" in server.ready()
    assert server.process.stdout is not None
    assert b"/setup?code=" in server.process.stdout.readline()
    server.context = pair.context()
    assert status(server) == 401


def test_the_environment_of_registry_2_starts_a_tls_registry(start: Start, tmp_path: Path) -> None:
    pair = Pair(tmp_path / "pair")
    environ = {
        "REGISTRY_HTTP_ADDR": "0.0.0.0:0",
        "REGISTRY_HTTP_TLS_CERTIFICATE": str(pair.cert),
        "REGISTRY_HTTP_TLS_KEY": str(pair.key),
    }
    server = start(environ=environ)
    assert "ready at https://0.0.0.0:" in server.ready()
    server.context = pair.context()
    assert status(server) == 401
    assert server.stop() == 0
    htpasswd = tmp_path / "htpasswd"
    # testuser with testpassword, by `htpasswd -Bn`
    import bcrypt  # noqa: PLC0415

    hashed = bcrypt.hashpw(b"testpassword", bcrypt.gensalt(4)).decode()
    htpasswd.write_text(f"testuser:{hashed}\n")
    environ |= {
        "REGISTRY_AUTH": "htpasswd",
        "REGISTRY_AUTH_HTPASSWD_REALM": "Registry Realm",
        "REGISTRY_AUTH_HTPASSWD_PATH": str(htpasswd),
    }
    server = start(environ=environ)
    server.ready()
    server.context = pair.context()
    with contextlib.closing(server.connection()) as connection:
        connection.request("GET", "/v2/")
        answer: http.client.HTTPResponse = connection.getresponse()
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"] == 'Basic realm="Registry Realm"'
    mine = basic("testuser", "testpassword")
    assert status(server, "/v2/", mine) == 200
    with contextlib.closing(server.connection()) as connection:
        connection.request("POST", "/v2/any/app/blobs/uploads/", headers=dict([mine]))
        assert connection.getresponse().status == 202
