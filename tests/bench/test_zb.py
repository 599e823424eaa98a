"""The scenarios of zb: how much is moved, and who moves it."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import cast

import pytest

from bench.crew import ClientError, Crew
from bench.scenarios.rows import zb
from bench.scenarios.zb import Plan
from bench.server import Server
from bench.settings import FULL, MIB, QUICK
from bench.wire import Address, Connection


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    """What a crew needs of one."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.05,))
        thread.start()
        address = Address("127.0.0.1", http.server_address[1])
        yield cast("Server", SimpleNamespace(connect=lambda: Connection(address)))
        http.shutdown()
        thread.join()


def plans() -> dict[str, Plan]:
    rows = zb.rows(FULL)
    return {row.key: row.prepare.keywords["plan"] for row in rows[1:]}  # type: ignore[attr-defined]


def test_the_shares_are_those_of_zb() -> None:
    found = plans()
    assert found["zb-pull-mixed"].pulls == {MIB: 8, 10 * MIB: 28, 100 * MIB: 4}
    assert found["zb-push-mixed"].pushes == {MIB: 2, 10 * MIB: 7, 100 * MIB: 1}
    assert found["zb-chunk-mixed"].pushes == {MIB: 2, 10 * MIB: 2, 100 * MIB: 2}
    for size in ("1m", "10m", "100m"):
        (pushes,), (pulls,) = (
            part.values()
            for part in (found[f"zb-both-{size}"].pushes, found[f"zb-both-{size}"].pulls)
        )
        assert pulls == 3 * pushes


def test_the_chunked_ones_are_chunked() -> None:
    assert {key for key, plan in plans().items() if plan.chunked} == {
        *(f"zb-chunk-{size}" for size in ("1m", "10m", "100m", "mixed"))
    }


def test_a_quick_run_has_the_smallest_size_alone() -> None:
    keys = [row.key for row in zb.rows(QUICK)]
    assert keys == ["zb-catalog", "zb-push-1m", "zb-chunk-1m", "zb-pull-1m", "zb-both-1m"]


def test_a_crew_does_every_errand_and_times_each(server: Server) -> None:
    def get(connection: Connection) -> None:
        connection.request("GET", "/").expect(200)

    work = Crew(server, [[get] * 3, [get] * 4], 700)()
    assert (work.count, work.size) == (7, 700)
    assert work.p50 is not None
    assert 0 < work.p50 <= work.seconds


def test_one_failed_errand_fails_the_crew(server: Server) -> None:
    def refuse(connection: Connection) -> None:
        connection.request("GET", "/").expect(404)

    with pytest.raises(ClientError, match="status 200"):
        Crew(server, [[refuse]])()
