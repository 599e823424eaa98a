"""Servers with tokens and over TLS: what the harness makes for them, and how it speaks to them."""

import os
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import jwt
import pytest

from bench import figures
from bench.credentials import make_certificate, make_key, sign_token
from bench.figures import Sample, Work
from bench.intruders import intrude
from bench.meter import Usage
from bench.options import PEERS_BY_DEFAULT
from bench.peers import OPEN, PASSWORDS, PEERS, READ, TLS, TOKENS, peer_named
from bench.scenarios import scenarios
from bench.settings import FULL
from bench.wire import Address, TlsConnection, WireError

BODY = os.urandom(300_000)


class _Handler(BaseHTTPRequestHandler):
    """Gives BODY, takes it back, and lets nobody in who shows a password."""

    protocol_version = "HTTP/1.1"
    refused: ClassVar[Counter[str]] = Counter()

    def do_GET(self) -> None:
        if self.headers["Authorization"]:
            self.refused[self.path] += 1
            self._answer(401, b"")
        else:
            self._answer(200, BODY)

    def do_PUT(self) -> None:
        same = self.rfile.read(int(self.headers["Content-Length"])) == BODY
        self._answer(201 if same else 400, b"")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


@contextmanager
def _served(certificates: Path | None = None) -> Iterator[int]:
    with _Server(("127.0.0.1", 0), _Handler) as server:
        if certificates:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_bodies_go_both_ways_over_tls(tmp_path: Path) -> None:
    make_certificate(tmp_path)
    (tmp_path / "body").write_bytes(BODY)
    came = bytearray()
    file = os.open(tmp_path / "body", os.O_RDONLY)
    with _served(tmp_path) as port:
        address = Address("127.0.0.1", port, str(tmp_path / "cert.pem"))
        assert address.url.startswith("https://")
        with TlsConnection(address) as connection:
            connection.send_file("PUT", "/body", file, 0, len(BODY)).expect(201)
            assert connection.count("/body", came.extend) == len(BODY)
            assert connection.count("/body") == len(BODY)
    os.close(file)
    assert came == BODY


def test_a_server_with_another_certificate_is_not_measured(tmp_path: Path) -> None:
    make_certificate(tmp_path / "one")
    make_certificate(tmp_path / "other")
    with _served(tmp_path / "one") as port:
        connection = TlsConnection(Address("127.0.0.1", port, str(tmp_path / "other/cert.pem")))
        with connection, pytest.raises((ssl.SSLCertVerificationError, WireError)):
            connection.request("GET", "/body")


def test_a_token_is_signed_by_the_key_that_the_server_is_given(tmp_path: Path) -> None:
    make_key(tmp_path)
    keys = jwt.PyJWKSet.from_json((tmp_path / "jwks.json").read_text())
    token = sign_token(tmp_path, "bench/requests")
    head = jwt.get_unverified_header(token)
    claims = jwt.decode(token, keys[head["kid"]], ["ES256"], audience="bench", issuer="bench")
    assert claims["access"][0]["name"] == "bench/requests"


def test_intruders_try_again_and_count_the_answers() -> None:
    _Handler.refused.clear()
    with _served() as port:
        answers = intrude("127.0.0.1", port, 6, 2.0, "127.0.0.9")
    assert 12 <= answers["401"] <= 24
    assert answers.keys() == {"401", "unanswered"}
    assert set(_Handler.refused) == {"/v2/", "/token?service=kho"}


def test_only_who_has_passwords_is_attacked() -> None:
    rows = {row.key: row for row in scenarios(FULL)}
    able = {peer.name for peer in PEERS if rows["bad-logins"].can_run(peer)}
    assert able == {"khod"}
    assert peer_named("distribution").modes.keys() == {OPEN, TOKENS, TLS}
    assert rows["bearer-tag"].can_run(peer_named("distribution"))
    assert not rows["tls-pull-100m"].can_run(peer_named("nginx"))
    assert {READ, PASSWORDS} <= peer_named("khod").abilities


def test_plain_files_show_the_limit_where_they_can() -> None:
    nginx = peer_named("nginx")
    able = {row.key for row in scenarios(FULL) if row.can_run(nginx)}
    assert able == {"manifest-tag", "manifest-digest", "blob-head", "blob-get", "pull-1g"}
    assert "nginx" in PEERS_BY_DEFAULT.split(",")


def test_scaling_is_the_rate_through_that_of_one_worker() -> None:
    usage = Usage(1, 1, 0, 0, 1)
    assert figures.scaling().value(Sample(Work(30, 2.0, one_worker=10.0), usage)) == 1.5
    assert figures.scaling().value(Sample(Work(30, 2.0), usage)) is None


def test_slowdown_is_the_latency_beside_through_the_latency_in_peace() -> None:
    sample = Sample(Work(10, 1.0, p99=0.012, alone_p99=0.008), Usage(1, 1, 0, 0, 1))
    assert figures.slowdown(limit=2).value(sample) == pytest.approx(1.5)
    assert figures.slowdown(limit=2).value(Sample(Work(10, 1.0), sample.usage)) is None
