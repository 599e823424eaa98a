"""The registry as a process, over real sockets: what no in-process test can show."""

import hashlib
import http.client
import os
import random
import re
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tests.server.serving import Server, wait_until

MIB = 2**20
BLOB = 64 * MIB


def call(
    server: Server, method: str, path: str, body: bytes | None = None
) -> http.client.HTTPResponse:
    """One request on a connection of its own, so that the kernel chooses the worker."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request(method, path, body)
    answer = connection.getresponse()
    answer.body = answer.read()  # type: ignore[attr-defined]
    connection.close()
    return answer


def push(server: Server, content: bytes) -> str:
    """A blob by a single POST."""
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert call(server, "POST", f"/v2/a/blobs/uploads/?digest={digest}", content).status == 201
    return digest


def open_upload(server: Server) -> str:
    location = call(server, "POST", "/v2/a/blobs/uploads/").headers["Location"]
    assert location is not None
    return location


def raw(server: Server, head: str) -> socket.socket:
    """A connection on which the request's head is sent."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    connection.sendall(head.replace("\n", "\r\n").encode("ascii"))
    return connection


def memory(server: Server) -> int:
    """Proportional set size of the workers, in bytes."""
    total = 0
    for pid in server.pids():
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        found = re.search(r"^Pss: +(\d+) kB", text, re.MULTILINE)
        assert found
        total += int(found[1]) * 1024
    return total


def test_a_stalled_reader_costs_less_than_two_mebibytes(khod: Server) -> None:
    digest = push(khod, bytes(BLOB))
    call(khod, "GET", f"/v2/a/blobs/{digest}")
    before = memory(khod)
    head = f"GET /v2/a/blobs/{digest} HTTP/1.1\nHost: a\n\n"
    stalled = [raw(khod, head) for _ in range(20)]
    time.sleep(2)
    grown = memory(khod) - before
    for connection in stalled:
        connection.close()
    assert grown < len(stalled) * 2 * MIB


def test_I2_a_blob_that_shrinks_under_its_reader_is_cut_never_ended(khod: Server) -> None:
    digest = push(khod, os.urandom(BLOB))
    place = f"docker/registry/v2/blobs/sha256/{digest[7:9]}/{digest[7:]}/data"
    connection = http.client.HTTPConnection("127.0.0.1", khod.port, timeout=20)
    connection.request("GET", f"/v2/a/blobs/{digest}")
    answer = connection.getresponse()
    assert answer.status == 200
    os.truncate(khod.data / place, MIB)
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        answer.read()
    connection.close()
    assert call(khod, "HEAD", f"/v2/a/blobs/{digest}").status == 404


@pytest.mark.parametrize(
    "framing,sent",
    [
        ("Content-Length: 5000\n\n", b"x" * 1000),
        ("Transfer-Encoding: chunked\n\n", b"3e8\r\n" + b"x" * 1000 + b"\r\n"),
    ],
)
def test_I7_a_body_that_is_cut_is_kept_as_far_as_it_came(
    khod: Server, framing: str, sent: bytes
) -> None:
    location = open_upload(khod)
    with raw(khod, f"PATCH {location} HTTP/1.1\nHost: a\n{framing}") as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(4096).startswith(b"HTTP/1.1 400")
    status = call(khod, "GET", location)
    assert (status.status, status.headers["Range"]) == (204, "0-999")


def test_C4_two_framings_in_one_request_are_refused(khod: Server) -> None:
    head = "PUT /v2/a/manifests/x HTTP/1.1\nHost: a\nContent-Length: 4\n"
    answer = b""
    with raw(khod, head + "Transfer-Encoding: chunked\n\n") as connection:
        connection.sendall(b"0\r\n\r\nGET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n")
        while piece := connection.recv(4096):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 400")
    assert answer.count(b"HTTP/1.1") == 1


def test_a_killed_worker_loses_nothing_that_was_acknowledged(khod: Server) -> None:
    content = os.urandom(3 * MIB)
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    location = open_upload(khod)
    assert call(khod, "PATCH", location, content[:MIB]).status == 202
    head = f"PATCH {location} HTTP/1.1\nHost: a\nContent-Length: {2 * MIB}\n\n"
    with raw(khod, head) as connection:
        connection.sendall(content[MIB : 2 * MIB])
        # Not before a worker has begun: a connection that still waits goes to its successor.
        staged = khod.data / "uploads" / location.rpartition("/")[2]
        wait_until(lambda: staged.stat().st_size > MIB)
        workers = khod.pids()
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not set(khod.pids()) & set(workers))
    status = call(khod, "GET", location)
    offset = int(status.headers["Range"].partition("-")[2]) + 1
    assert MIB <= offset <= 2 * MIB
    assert call(khod, "PATCH", location, content[offset:]).status == 202
    assert call(khod, "PUT", f"{location}?digest={digest}").status == 201
    got = call(khod, "GET", f"/v2/a/blobs/{digest}")
    assert got.body == content  # type: ignore[attr-defined]


def test_metrics_are_the_sum_of_all_workers(khod: Server) -> None:
    for _ in range(40):
        call(khod, "GET", "/v2/never/tags/list")
    wanted = 'kho_http_requests_total{route="tags",method="GET",status="404"} 40'
    wait_until(lambda: wanted in khod.get("/metrics"))
    assert "never" not in khod.get("/metrics")


def push_in_pieces(server: Server, seed: int) -> int:
    """One blob in chunked coding, in pieces of all sizes; the last status."""
    chance = random.Random(seed)
    sizes = chance.choices((1, 7, 100, 1000, 4096, 32 * 1024, 70_000), k=chance.randrange(9, 800))
    content = [chance.randbytes(size) for size in sizes]
    location = open_upload(server)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("PATCH", location, iter(content), encode_chunked=True)
    assert connection.getresponse().status == 202
    connection.close()
    digest = hashlib.sha256(b"".join(content)).hexdigest()
    return call(server, "PUT", f"{location}?digest=sha256:{digest}").status


def test_pieces_that_were_asked_for_ahead_come_in_order(khod: Server) -> None:
    with ThreadPoolExecutor(6) as clients:
        assert set(clients.map(partial(push_in_pieces, khod), range(24))) == {201}
