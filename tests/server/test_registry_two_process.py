"""`khod serve` with the environment of the examples in registry:2's documentation."""

import base64
import hashlib
import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest

from tests.server.pairs import Pair
from tests.server.registry_two import BASIC_EXAMPLE, OF_IMAGE_2, TLS_EXAMPLE
from tests.server.serving import Server

COMMAND = (sys.executable, "-m", "kho.server.cli")


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path / "certs")


def examples(pair: Pair, folder: Path) -> dict[str, str]:
    """Both examples, with files that are there and a free port."""
    hashed = bcrypt.hashpw(b"testpassword", bcrypt.gensalt(4)).decode()
    (folder / "htpasswd").write_text(f"testuser:{hashed}\n")
    return {
        **TLS_EXAMPLE,
        **BASIC_EXAMPLE,
        "REGISTRY_HTTP_ADDR": "0.0.0.0:0",
        "REGISTRY_HTTP_TLS_CERTIFICATE": str(pair.cert),
        "REGISTRY_HTTP_TLS_KEY": str(pair.key),
        "REGISTRY_AUTH_HTPASSWD_PATH": str(folder / "htpasswd"),
    }


@pytest.fixture
def server(pair: Pair, tmp_path: Path) -> Iterator[Server]:
    """The registry, with nothing of khod's own but the file of registry:2."""
    data = tmp_path / "registry"
    (tmp_path / "config.yml").write_text(OF_IMAGE_2.replace("/var/lib/registry", str(data)))
    flags = ("serve", "--registry-config", str(tmp_path / "config.yml"))
    server = Server(*COMMAND, *flags, data=data, environ=examples(pair, tmp_path))
    server.context = pair.context()
    server.context.set_alpn_protocols(["http/1.1"])
    try:
        server.ready()
        yield server
    finally:
        server.destroy()


def call(
    server: Server, method: str, path: str, password: str = "", body: bytes | None = None
) -> http.client.HTTPResponse:
    """One request as `testuser`, or as nobody."""
    connection = server.connection()
    given = base64.b64encode(f"testuser:{password}".encode()).decode()
    connection.request(method, path, body, {"Authorization": f"Basic {given}"} if password else {})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


def test_the_examples_serve_over_tls_with_basic(server: Server) -> None:
    refused = call(server, "GET", "/v2/")
    assert (refused.status, refused.headers["WWW-Authenticate"]) == (
        401,
        'Basic realm="Registry Realm"',
    )
    assert call(server, "GET", "/v2/", "wrong").status == 401
    assert call(server, "GET", "/v2/", "testpassword").status == 200
    digest = f"sha256:{hashlib.sha256(b'x').hexdigest()}"
    push = f"/v2/team/app/blobs/uploads/?digest={digest}"
    assert call(server, "POST", push, body=b"x").status == 401
    assert call(server, "POST", push, "testpassword", b"x").status == 201
    assert call(server, "GET", f"/v2/team/app/blobs/{digest}", "testpassword").status == 200
    assert call(server, "DELETE", f"/v2/team/app/blobs/{digest}", "testpassword").status == 202
    assert {path.name for path in server.data.iterdir()} >= {"kho.db", "docker"}


def test_what_is_ignored_is_told_once(server: Server) -> None:
    told = [str(line["text"]) for line in server.events("configuration")]
    assert len(told) == 2
    assert "are not listed until they are imported" in told[0]
    assert told[1].endswith("ignored: health, http.headers, log.fields, storage.cache")


def test_the_trail_tells_it(server: Server) -> None:
    assert call(server, "GET", "/v2/", "wrong").status == 401
    assert call(server, "GET", "/v2/", "testpassword").status == 200
    server.process.terminate()
    assert server.ended() == 0
    command = [*COMMAND, "audit", "--json", "--data", str(server.data)]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    events = [json.loads(line) for line in told.splitlines()]
    # Each worker writes what it has noted: the order among workers is that of writing.
    assert {(event["action"], event["outcome"], event["actor"]) for event in events} == {
        ("login", "failed", "anonymous"),
        ("login", "allowed", "user:testuser"),
    }
    assert all(event["address"] == "127.0.0.1" for event in events)
    assert "testpassword" not in told
    assert "wrong" not in told
