"""`kho doctor` at servers that are set up wrong: each step says what it is, and what helps."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from pathlib import Path
from time import time
from typing import Any

import jwt
import pytest
import trustme
from aiohttp import web

from kho.client.diagnosis.doctor import Patient, examine
from kho.client.diagnosis.findings import Finding, Verdict
from kho.client.logins.credentials import Place
from kho.remote.credentials import Credential, Kind, anonymous
from kho.remote.errors import LoginNeeded, NotFound, RemoteError, Unreachable, UntrustedServer
from kho.remote.hosts import Access
from kho.remote.registry import Registry
from kho.remote.transport import Transport
from tests.interop.servers import Server
from tests.remote.lab import Everywhere, lab

ALICE = Credential("alice", "se-cret"), Place("x", "alice", "config.json", Kind.PASSWORD)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def here(_name: str, _port: int) -> list[str]:
    return ["127.0.0.1"]


async def examined(name: str, access: Access | None = None, **more: Any) -> dict[str, Finding]:
    """The findings by step, where every name is this machine."""

    async def lookup(_host: str, _repository: str | None) -> Credential | None:
        return more["login"][0] if "login" in more else None

    async with Transport(silence=1.0, attempts=1, resolver=Everywhere()) as transport:
        registry = Registry(name, access=access, lookup=lookup, transport=transport)
        patient = Patient(registry, transport, **{"resolve": here, **more})
        return {one.step: one async for one in examine(patient)}


def last(found: dict[str, Finding]) -> Finding:
    """The failure that ended it."""
    *others, end = found.values()
    assert all(one.verdict is not Verdict.FAIL for one in others)
    assert end.verdict is Verdict.FAIL
    assert end.advice
    assert "\n" not in end.told + end.advice
    return end


async def open_to_all(_request: web.Request) -> web.Response:
    return web.Response()


@asynccontextmanager
async def secure(
    tmp_path: Path, *names: str, starts: datetime | None = None, ends: datetime | None = None
) -> AsyncIterator[tuple[int, Path]]:
    """A TLS server with a certificate for these names; its port and its CA."""
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, not_before=starts, not_after=ends).configure_cert(context)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", open_to_all)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    try:
        yield site._server.sockets[0].getsockname()[1], tmp_path / "ca.pem"  # type: ignore[union-attr]
    finally:
        await runner.cleanup()


async def test_all_is_well(tmp_path: Path) -> None:
    async with secure(tmp_path, "reg.example") as (port, ca):
        found = await examined(f"reg.example:{port}", Access(ca_files=(ca,)))
    assert [(one.step, one.verdict.value) for one in found.values()] == [
        *(("name", "ok"), ("connection", "ok"), ("TLS", "ok")),
        *(("ping", "ok"), ("clock", "ok"), ("challenge", "ok")),
    ]
    assert "for reg.example by" in found["TLS"].told


@pytest.mark.parametrize(
    "name, days, known, words",
    [
        ("reg.example", -2, True, "the certificate has expired .for reg.example"),
        ("other.example", 100, True, "is not for reg.example .for other.example"),
        ("reg.example", 100, False, "from a CA that is not known here"),
    ],
)
async def test_certificates_that_do_not_hold(
    tmp_path: Path, name: str, days: int, known: bool, words: str
) -> None:
    now = datetime.now(UTC)
    starts, ends = now - timedelta(days=100), now + timedelta(days=days)
    async with secure(tmp_path, name, starts=starts, ends=ends) as (port, ca):
        access = Access(ca_files=(ca,) if known else ())
        end = last(await examined(f"reg.example:{port}", access))
    assert end.step == "TLS"
    assert isinstance(end.error, UntrustedServer)
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(end.told)


async def test_a_certificate_that_ends_soon(tmp_path: Path) -> None:
    soon = datetime.now(UTC) + timedelta(days=3)
    async with secure(tmp_path, "reg.example", ends=soon) as (port, ca):
        found = await examined(f"reg.example:{port}", Access(ca_files=(ca,)))
    assert (found["TLS"].verdict, found["TLS"].advice) == (Verdict.WARN, "renew the certificate")


async def test_plain_http_where_tls_should_be() -> None:
    async with lab(open_to_all) as server:
        end = last(await examined(server.name("reg.example")))
        assert (end.step, isinstance(end.error, Unreachable)) == ("TLS", True)
        assert "speaks no TLS, perhaps plain HTTP" in end.told
        found = await examined(server.name("reg.example"), Access(plain_http=True))
        assert found["TLS"].verdict is Verdict.WARN
        assert found["ping"].verdict is Verdict.OK
        found = await examined(server.name("127.0.0.1"))
        assert found["TLS"].verdict is Verdict.OK


async def test_nobody_listens() -> None:
    async with lab(open_to_all) as server:
        port = server.port
    end = last(await examined(f"reg.example:{port}"))
    assert end.told == f"127.0.0.1 port {port}: refused"
    assert end.advice is not None
    assert "is the registry running" in end.advice


async def test_one_address_of_two_is_dead() -> None:
    async def two(_name: str, _port: int) -> list[str]:
        return ["127.0.0.9", "127.0.0.1"]

    async with lab(open_to_all) as server:
        access = Access(plain_http=True)
        found = await examined(server.name("reg.example"), access, resolve=two)
    assert found["connection"].verdict is Verdict.WARN
    assert "127.0.0.9" in found["connection"].told


async def test_no_such_name() -> None:
    async def nobody(_name: str, _port: int) -> list[str]:
        raise OSError(-2, "Name or service not known")

    end = last(await examined("reg.example", resolve=nobody))
    assert (end.step, end.told) == ("name", "reg.example: Name or service not known")


async def test_a_server_that_never_answers() -> None:
    writers = []
    end_of_test = asyncio.Event()

    async def hang(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await end_of_test.wait()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        end = last(await examined(f"reg.example:{port}", Access(plain_http=True)))
    finally:
        end_of_test.set()
        for writer in writers:
            writer.close()
            await writer.wait_closed()
        server.close()
    assert (end.step, isinstance(end.error, Unreachable)) == ("ping", True)
    assert "no answer in time" in end.told


def answering(status: int = 200, **headers: str) -> Handler:
    async def answer(_request: web.Request) -> web.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, headers=named)

    return answer


@pytest.mark.parametrize(
    "handler, step, words",
    [
        (answering(404), "ping", "this is a web server, and no registry"),
        (answering(200, Content_Type="text/html"), "ping", "answers with a web page"),
        (answering(418), "ping", "status 418"),
        (answering(401, WWW_Authenticate="Negotiate"), "challenge", "wants a login by negotiate"),
        (answering(401), "challenge", "wants a login by nothing"),
    ],
)
async def test_what_is_no_registry(handler: Handler, step: str, words: str) -> None:
    async with lab(handler) as server:
        end = last(await examined(server.name("reg.example"), Access(plain_http=True)))
    assert end.step == step
    assert words in end.told


@pytest.mark.parametrize(
    "seconds, verdict, words",
    [
        (5, Verdict.OK, "within"),
        (120, Verdict.WARN, "s ahead of this machine's"),
        (-9000, Verdict.FAIL, "s behind this machine's"),
    ],
)
async def test_wrong_clocks(seconds: int, verdict: Verdict, words: str) -> None:
    date = formatdate(time() + seconds, usegmt=True)
    async with lab(answering(200, Date=date)) as server:
        found = await examined(server.name("reg.example"), Access(plain_http=True))
    assert found["clock"].verdict is verdict
    assert words in found["clock"].told
    assert found["challenge"].verdict is Verdict.OK


def tokened(**claims: float) -> Handler:
    """Takes Alice's password; its tokens say this."""
    token = jwt.encode(dict(claims), "x" * 32)

    async def answer(request: web.Request) -> web.Response:
        sent = request.headers.get("Authorization", "")
        if request.path == "/token":
            good = sent == "Basic YWxpY2U6c2UtY3JldA=="
            value = {"token": token, "expires_in": 300}
            return web.json_response(value, status=200 if good or not sent else 401)
        if sent == f"Bearer {token}" and request.path == "/v2/":
            return web.Response()
        text = f'Bearer realm="http://{request.host}/token",service="x"'
        return web.Response(status=401, headers={"WWW-Authenticate": text})

    return answer


@pytest.mark.parametrize(
    "claims, verdict, words",
    [
        ({}, Verdict.OK, "good for 300 s"),
        ({"nbf": 500.0}, Verdict.WARN, "holds only in"),
        ({"iat": 0.0, "exp": -90.0}, Verdict.WARN, "has ended 9"),
    ],
)
async def test_tokens_and_clocks(claims: dict[str, float], verdict: Verdict, words: str) -> None:
    times = {name: time() + offset for name, offset in claims.items()}
    async with lab(tokened(**times)) as server:
        access = Access(plain_http=True)
        found = await examined(server.name("reg.example"), access, login=ALICE)
    assert found["login"].told == "alice (password, in config.json) is accepted"
    assert found["token"].verdict is verdict
    assert words in found["token"].told


async def test_no_login_and_a_wrong_one() -> None:
    wrong = Credential("alice", "other"), ALICE[1]
    async with lab(tokened()) as server:
        name, access = server.name("reg.example"), Access(plain_http=True)
        found = await examined(name, access)
        assert found["login"].verdict is Verdict.WARN
        assert f"kho login {name}" in (found["login"].advice or "")
        end = last(await examined(name, access, login=wrong))
        assert (end.step, isinstance(end.error, LoginNeeded)) == ("login", True)
        assert "se-cret" not in end.told
        end = last(await examined(name, access, login=ALICE, repository="team/app"))
        assert (end.step, isinstance(end.error, LoginNeeded)) == ("read", True)


async def test_a_realm_elsewhere() -> None:
    text = 'Bearer realm="https://evil.test/token"'
    async with lab(answering(401, WWW_Authenticate=text)) as server:
        end = last(await examined(server.name("reg.example"), Access(plain_http=True), login=ALICE))
    assert (end.step, "outside its own domain" in end.told) == ("challenge", True)


async def test_push_and_pull(khod: Server) -> None:
    found = await examined(khod.host, repository="doctor/app", push=True)
    assert all(one.verdict is not Verdict.FAIL for one in found.values())
    steps = ("push", "chunks", "pull", "ranges", "clean-up")
    assert [found[step].verdict for step in steps] == [Verdict.OK] * 5
    async with Registry(khod.host, lookup=anonymous) as registry:
        from kho.remote.tags import tags  # noqa: PLC0415

        assert [tag async for tag in tags(registry, "doctor/app")] == []


@pytest.mark.parametrize("status, kind", [(404, NotFound), (405, RemoteError)])
async def test_a_registry_that_may_only_be_read(status: int, kind: type[RemoteError]) -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.json_response({"tags": ["1"]})
        return web.Response(status=status)

    async with lab(answer) as server:
        access = Access(plain_http=True)
        name = server.name("reg.example")
        end = last(await examined(name, access, repository="a", push=True))
    assert (end.step, isinstance(end.error, kind)) == ("push", True)


async def test_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    async with lab(open_to_all) as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://user:word@127.0.0.1:{server.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        found = await examined("reg.example:81", Access(plain_http=True))
        told = f"requests to reg.example go through http://127.0.0.1:{server.port} (HTTP_PROXY)"
        assert found["proxy"].told == told
        assert found["ping"].verdict is Verdict.OK
        assert server.seen[0].host.startswith("reg.example")
