"""C4: a request that can be read in two ways is refused, and its connection ends.

What follows on the connection is a request of its own to a reader who takes the other way: it must
never be answered.
"""

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.victim import Victim
from tests.server.serving import wait_until

NEXT = b"GET /v2/smuggled/tags/list HTTP/1.1\r\nHost: a\r\n\r\n"
PUT = b"PUT /v2/a/manifests/t HTTP/1.1\r\nHost: a\r\n"
POST = b"POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: a\r\n"
GET = b"GET /v2/ HTTP/1.1\r\nHost: a\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(NEXT)

CASES = {
    "length and chunked": POST + LENGTH + CHUNKED + b"\r\n0\r\n\r\n" + NEXT,
    "chunked and length": POST + CHUNKED + LENGTH + b"\r\n0\r\n\r\n" + NEXT,
    "get, length and chunked": GET + LENGTH + CHUNKED + b"\r\n0\r\n\r\n" + NEXT,
    "two lengths": POST + b"Content-Length: 0\r\n" + LENGTH + b"\r\n" + NEXT,
    "two lengths, turned": POST + LENGTH + b"Content-Length: 0\r\n\r\n" + NEXT,
    "lengths in a list": POST + b"Content-Length: 0, 5\r\n\r\n" + NEXT,
    "a signed length": POST + b"Content-Length: +0\r\n\r\n" + NEXT,
    "a negative length": POST + b"Content-Length: -1\r\n\r\n" + NEXT,
    "a hexadecimal length": POST + b"Content-Length: 0x0\r\n\r\n" + NEXT,
    "an empty length": POST + b"Content-Length: \r\n\r\n" + NEXT,
    "a huge length": POST + b"Content-Length: 18446744073709551616\r\n\r\n" + NEXT,
    "an underscored length": POST + b"Content-Length: 1_0\r\n\r\n" + NEXT,
    "an unknown coding": POST + b"Transfer-Encoding: cow\r\n\r\n0\r\n\r\n" + NEXT,
    "chunked, not last": POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n" + NEXT,
    "chunked twice": POST + CHUNKED + b"Transfer-Encoding: cow\r\n\r\n0\r\n\r\n" + NEXT,
    "identity": POST + b"Transfer-Encoding: identity\r\n" + LENGTH + b"\r\n" + NEXT,
    "a space before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + NEXT,
    "a tab before the colon": POST + b"Content-Length\t: 0\r\n\r\n" + NEXT,
    "a folded header": POST + b"X: a\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + NEXT,
    "chunked after a vertical tab": POST
    + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"
    + NEXT,
    "a nul in a header": POST + b"X: a\0b\r\n\r\n" + NEXT,
    "a bare return": POST + b"X: a\rContent-Length: 5\r\n\r\n" + NEXT,
    "chunked in HTTP/1.0": POST.replace(b"1.1", b"1.0") + CHUNKED + b"\r\n0\r\n\r\n" + NEXT,
    "a bad chunk size": PUT + CHUNKED + b"\r\nzz\r\n" + NEXT,
    "a negative chunk size": PUT + CHUNKED + b"\r\n-1\r\n" + NEXT,
    "a huge chunk size": PUT + CHUNKED + b"\r\nfffffffffffffffff\r\n" + NEXT,
    "a hexadecimal prefix": PUT + CHUNKED + b"\r\n0x0\r\n\r\n" + NEXT,
    "a longer chunk than it says": PUT + CHUNKED + b"\r\n1\r\nab\r\n0\r\n\r\n" + NEXT,
    "a bare line feed in a chunk size": PUT + CHUNKED + b"\r\n0\n\r\n" + NEXT,
    "a bare line feed in an extension": PUT + CHUNKED + b"\r\n0;a\n\r\n\r\n" + NEXT,
    "long chunk extensions": PUT + CHUNKED + b"\r\n0;" + b"a" * 100_000 + b"\r\n\r\n" + NEXT,
    "no name": POST + b": 5\r\n\r\n" + NEXT,
    "oversized headers": POST + b"X: " + b"a" * 2_000_000 + b"\r\n\r\n" + NEXT,
    "too many headers": POST + b"X: a\r\n" * 5000 + b"\r\n" + NEXT,
    "no version": b"GET /v2/\r\n\r\n" + NEXT,
    "a body that is read, length and chunked": PUT + LENGTH + CHUNKED + b"\r\n0\r\n\r\n" + NEXT,
    "another version": b"GET /v2/ HTTP/3.0\r\nHost: a\r\n\r\n" + NEXT,
    "a space in the target": b"GET /v2/ a HTTP/1.1\r\nHost: a\r\n\r\n" + NEXT,
}

# RFC 9112 6.3 lets the coding win; nothing reads these bodies, and the connection ends.
CHUNKED_WINS = {"length and chunked", "chunked and length", "get, length and chunked"}


@pytest.fixture(scope="module")
def khod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    """One worker, which writes a line for every request."""
    victim = Victim(tmp_path_factory.mktemp("smuggling"), workers=1)
    victim.start("env", "KHO_LOG_ACCESS=true", "KHO_HTTP_IDLE_SECONDS=1")
    try:
        wait_until(lambda: victim.log.exists() and '"event":"ready"' in victim.log.read_text())
        yield victim
    finally:
        victim.destroy()


def exchange(port: int, text: bytes) -> tuple[bytes, bool]:
    """All that is answered, and whether the connection ended."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        try:
            connection.sendall(text)
            while piece := connection.recv(65_536):
                answer += piece
        except TimeoutError:
            return answer, False
        except ConnectionError:
            return answer, True
    return answer, True


@pytest.mark.parametrize("name", CASES)
def test_C4_nothing_is_smuggled(khod: Victim, name: str) -> None:
    before = Path(khod.log).read_text().count("/v2/smuggled/")
    answer, ended = exchange(khod.port, CASES[name])
    statuses = re.findall(rb"HTTP/1\.[01] (\d{3})", answer)
    assert Path(khod.log).read_text().count("/v2/smuggled/") == before, statuses
    assert ended, statuses
    assert len(statuses) <= 1
    if name not in CHUNKED_WINS:
        assert all(status >= b"400" for status in statuses), statuses


def test_C4_a_clear_request_is_served_twice_on_a_connection(khod: Victim) -> None:
    last = GET + b"Connection: close\r\n\r\n"
    answer, ended = exchange(khod.port, GET + b"\r\n" + last)
    assert (answer.count(b"HTTP/1.1 "), ended) == (2, True)
