"""E2: what follows a redirect, and what does not; what is asked again, and how the rest ends."""

import asyncio
import ssl
from collections.abc import AsyncIterator

import pytest
import trustme
from aiohttp import web

from kho.remote.errors import CredentialsHeld, Forbidden, Garbled, RemoteError, TooBusy, Unreachable
from kho.remote.hosts import Access, Host
from kho.remote.transport import Request

from .lab import Lab, lab, wires

SECRET = {"Authorization": "Basic c2VjcmV0"}
PLAIN = Access(plain_http=True)


async def ask(
    server: Lab, path: str, method: str = "GET", *, body: bytes | None = None, once: bool = False
) -> bytes:
    """One request with credentials to the registry `reg.example`."""
    name = server.name("reg.example")
    request = Request(method, f"http://{name}{path}", "the step", SECRET, body, once=once)
    async with wires() as transport, transport.send(Host.named(name, PLAIN), request) as answer:
        return await answer.read(1000)


def redirecting(status: int, location: str) -> "Redirector":
    return Redirector(status, location)


class Redirector:
    """Sends /from to `location`, where {port} is its own; all else is 200."""

    def __init__(self, status: int, location: str) -> None:
        self.status, self.location = status, location

    async def __call__(self, request: web.Request) -> web.Response:
        if request.path == "/from":
            port = request.host.rpartition(":")[2]
            headers = {"Location": self.location.format(port=port)}
            return web.Response(status=self.status, headers=headers)
        return web.Response(body=b"there")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "location, kept",
    [
        ("/to", True),
        ("http://reg.example:{port}/to", True),
        ("http://REG.example:{port}/to", True),
        ("http://cdn.example:{port}/to", False),
        ("http://reg.example.evil.test:{port}/to", False),
        ("//cdn.example:{port}/to", False),
    ],
)
async def test_E2_credentials_end_at_the_origin(status: int, location: str, kept: bool) -> None:
    async with lab(redirecting(status, location)) as server:
        assert await ask(server, "/from") == b"there"
        (arrived,) = server.asked("/to")
    assert (arrived.authorization is not None) is kept
    assert arrived.method == "GET"


async def test_E2_credentials_do_not_come_back_with_the_origin() -> None:
    async def answer(request: web.Request) -> web.Response:
        port = request.host.rpartition(":")[2]
        hops = {
            "/from": f"http://cdn.example:{port}/away",
            "/away": f"http://reg.example:{port}/back",
        }
        if request.path in hops:
            return web.Response(status=307, headers={"Location": hops[request.path]})
        return web.Response(body=b"back")

    async with lab(answer) as server:
        assert await ask(server, "/from") == b"back"
        assert [one.authorization is None for one in server.seen] == [False, True, True]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_E2_an_upload_is_not_sent_elsewhere(method: str) -> None:
    async with lab(redirecting(307, "http://cdn.example:{port}/to")) as server:
        with pytest.raises(CredentialsHeld, match="not followed"):
            await ask(server, "/from", method, body=b"bytes")
        assert not server.asked("/to")


@pytest.mark.parametrize(
    "location, words",
    [
        ("ftp://reg.example/x", "no web address"),
        ("file:///etc/passwd", "no web address"),
        ("http://user:pw@reg.example/x", "no web address"),
        ("http://[broken/x", "no URL"),
        ("http://reg.example:999999/x", "no URL"),
        ("/from", "more than 5 times"),
    ],
)
async def test_redirects_that_are_not_followed(location: str, words: str) -> None:
    async with lab(redirecting(307, location)) as server:
        with pytest.raises(Garbled, match=words):
            await ask(server, "/from")


async def test_passing_refusals_are_asked_again() -> None:
    statuses = [429, 503, 502, 500]

    async def answer(_request: web.Request) -> web.Response:
        if statuses:
            return web.Response(status=statuses.pop(), headers={"Retry-After": "0"})
        return web.Response(body=b"at last")

    async with lab(answer) as server:
        assert await ask(server, "/x") == b"at last"
        assert len(server.seen) == 5


@pytest.mark.parametrize(
    "status, kind, times", [(403, Forbidden, 1), (429, TooBusy, 6), (503, RemoteError, 6)]
)
async def test_refusals_that_stay(status: int, kind: type[RemoteError], times: int) -> None:
    async def answer(_request: web.Request) -> web.Response:
        body = {"errors": [{"code": "X", "message": "no\x1b[31m\nway"}]}
        return web.json_response(body, status=status)

    async with lab(answer) as server:
        with pytest.raises(kind, match=r"the step: no \[31m way \(") as caught:
            await ask(server, "/x")
        assert len(server.seen) == times
    assert "\x1b" not in str(caught.value)


async def test_a_rest_longer_than_patience_is_told() -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "3600"})

    async with lab(answer) as server:
        with pytest.raises(TooBusy):
            await ask(server, "/x")
        assert len(server.seen) == 1


async def test_what_must_go_once_goes_once() -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=503)

    async with lab(answer) as server:
        with pytest.raises(RemoteError):
            await ask(server, "/x", "POST", body=b"x", once=True)
        assert len(server.seen) == 1


async def test_nobody_there() -> None:
    async with lab(redirecting(307, "/to")) as server:
        port = server.port
    with pytest.raises(Unreachable, match=r"the step: reg\.example"):
        await ask(Lab(port), "/x")


async def test_an_answer_that_breaks_off() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"half")
        assert request.transport is not None
        request.transport.abort()
        return response

    async with lab(answer) as server:
        with pytest.raises(Unreachable, match="broke off"):
            await ask(server, "/x")


async def test_an_answer_that_is_too_long() -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 1001)

    async with lab(answer) as server:
        with pytest.raises(Garbled, match="longer than 1000 bytes"):
            await ask(server, "/x")


async def test_a_body_of_pieces_goes_out_whole() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=str(len(await request.read())).encode())

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            await asyncio.sleep(0)
            yield b"x" * 1000

    async with lab(answer) as server, wires() as transport:
        name = server.name("reg.example")
        headers = {"Content-Length": "3000"}
        request = Request("PATCH", f"http://{name}/x", "the step", headers, pieces())
        async with transport.send(Host.named(name, PLAIN), request) as found:
            assert await found.read(10) == b"3000"


async def test_whether_a_server_is_plain_is_known_without_trust() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with (
        lab(redirecting(307, "/to")) as server,
        await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as secure,
        wires() as transport,
    ):
        port = secure.sockets[0].getsockname()[1]
        assert await transport.is_plain(f"https://127.0.0.1:{server.port}")
        assert not await transport.is_plain(f"https://127.0.0.1:{port}")
        secure.close()
        assert not await transport.is_plain(f"https://127.0.0.1:{port}")
