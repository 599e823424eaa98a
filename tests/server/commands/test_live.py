"""Commands beside a running server: what they change counts within a second."""

import http.client
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.oci.samples import encode, image
from tests.server.commands.doors import PASSWORD, Door, door
from tests.server.serving import Server

SECONDS = 4.0  # one for the server to look, the rest for a busy machine


class Running:
    """A server of two workers, and its operator."""

    def __init__(self, server: Server, khod: Door) -> None:
        self.server = server
        self.khod = khod

    def ask(
        self, target: str, user: str = "", password: str = PASSWORD, *, put: bytes | None = None
    ) -> int:
        """The status of a request to whichever worker."""
        headers = {"Content-Type": "application/vnd.oci.image.manifest.v1+json"}
        if user:
            headers["Authorization"] = f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        with closing(connection):
            connection.request("GET" if put is None else "PUT", target, put, headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status

    def becomes(self, status: int, target: str, user: str = "", password: str = PASSWORD) -> None:
        """Both workers answer so, soon; few wrong passwords, for they are throttled."""
        times = 2 if user and status == 401 else 12
        until = time.monotonic() + SECONDS
        while (seen := {self.ask(target, user, password) for _ in range(times)}) != {status}:
            assert time.monotonic() < until, seen
            time.sleep(0.3)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    data = tmp_path / "data"
    command = [sys.executable, "-m", "kho.server.cli", "serve", "--listen", "127.0.0.1:0"]
    server = Server(
        *command,
        *("--data", str(data), "--workers", "2"),
        data=data,
        environ={"KHO_AUTH_CHALLENGE": "basic"},
    )
    try:
        server.ready()
        yield Running(server, door(data))
    finally:
        server.destroy()


def test_the_first_account_closes_an_open_registry(running: Running) -> None:
    assert running.ask("/v2/") == 200
    running.khod("users add alice --password-stdin --admin", PASSWORD)
    running.becomes(401, "/v2/")
    assert running.ask("/v2/", "alice") == 200
    assert running.ask("/v2/", "alice", "wrong password") == 401


def test_the_first_robot_closes_it_too(running: Running) -> None:
    assert running.ask("/v2/") == 200
    running.khod("robots add ci")
    running.becomes(401, "/v2/")


def test_grants_count_at_once(running: Running) -> None:
    khod = running.khod
    tags = "/v2/team/app/tags/list"
    running.khod("users add root --password-stdin --admin", PASSWORD)
    khod.user("alice")
    running.becomes(200, "/v2/", "alice")
    assert running.ask("/v2/team/app/manifests/1", "alice", put=encode(image())) == 403
    khod.done("groups add team", "groups add-member team alice")
    khod.done("grants add group:team reader team/**")
    running.becomes(404, tags, "alice")
    khod.done("grants remove group:team reader team/**")
    running.becomes(403, tags, "alice")
    khod.done("roles add looker --actions pull", "grants add user:alice looker team/*")
    running.becomes(404, tags, "alice")
    khod.done("repos set team/app --public", "grants remove user:alice looker team/*")
    running.becomes(200, tags)  # anybody may look, and there is a repository now
    khod.done("repos set team/app --private")
    running.becomes(401, tags)
    running.becomes(403, tags, "alice")
    khod.done("users set alice --admin")
    running.becomes(200, tags, "alice")


def test_whoever_is_shut_out_is_out(running: Running) -> None:
    khod = running.khod
    khod("users add root --password-stdin --admin", PASSWORD)
    khod.user("alice")
    running.becomes(200, "/v2/", "alice")
    khod.done("users set alice --disable")
    running.becomes(401, "/v2/", "alice")
    khod.done("users set alice --enable")
    running.becomes(200, "/v2/", "alice")
    assert khod("users passwd alice --password-stdin", "another secret")[0] == 0
    running.becomes(401, "/v2/", "alice")
    running.becomes(200, "/v2/", "alice", "another secret")
    khod.done("users remove alice")
    running.becomes(401, "/v2/", "alice", "another secret")


def test_commands_do_not_wait_for_the_server(running: Running) -> None:
    """Nor the server for them: both write to one database."""
    running.khod("users add root --password-stdin --admin", PASSWORD)
    start = time.monotonic()
    for number in range(5):
        running.khod.done(f"groups add g{number}")
        assert running.ask("/v2/", "root") == 200
    assert time.monotonic() - start < 15
    assert len(running.khod.read("groups list")) == 5
    assert running.server.stop() == 0
