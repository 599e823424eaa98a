"""E1 and E2 against kho: what a rogue registry gets to see of credentials and of bytes.

Every name leads to one server on the loopback; it tells what arrived under which name.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from aiohttp import web

from kho.oci.digest import Digest
from kho.remote import blobs, manifests, uploads
from kho.remote.credentials import Credential, Kind
from kho.remote.errors import CredentialsHeld, Garbled, RemoteError
from kho.remote.hosts import Access
from kho.remote.referrers import referrers
from kho.remote.registry import Registry
from kho.remote.tags import tags
from tests.remote.lab import Lab, Seen, lab, wires

SECRETS = (
    Credential("alice", "se-cret"),
    Credential("alice", "refresh-me", Kind.IDENTITY_TOKEN),
)
DIGEST = Digest.of(b"content")
OWN = "reg.example"
# Where nobody has sent his credentials to; {port} is the server's.
FOREIGN = (
    "http://evil.test:{port}",
    "//evil.test:{port}",
    "http://reg.example.evil.test:{port}",
    "http://127.0.0.1:{port}",
    "http://169.254.169.254:{port}",
    "http://[::1]:{port}",
    "http://notreg.example:{port}",
)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def client(
    server: Lab, credential: Credential, allowed: frozenset[str] = frozenset()
) -> AsyncIterator[Registry]:
    """A user who is logged in at reg.example."""

    async def lookup(_host: str, _repository: str | None) -> Credential | None:
        return credential

    access = Access(plain_http=True, auth_hosts=allowed)
    name = server.name(OWN)
    async with (
        wires() as transport,
        Registry(name, access=access, lookup=lookup, transport=transport) as registry,
    ):
        yield registry


def strayed(server: Lab) -> list[Seen]:
    """Requests under another name that carried a secret or a body."""
    private = ("authorization", "cookie", "proxy-authorization")
    return [
        one
        for one in server.seen
        if one.host != server.name(OWN)
        and (one.body or any(name.lower() in private for name in one.headers))
    ]


def challenging(realm: str) -> Handler:
    """Wants tokens of this realm, and takes any."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if "token" in request.path:
            return web.json_response({"token": "T"})
        if request.headers.get("Authorization") == "Bearer T":
            return web.Response(body=b"{}")
        text = f'Bearer realm="{realm.format(port=request.host.rpartition(":")[2])}",service="x"'
        return web.Response(status=401, headers={"WWW-Authenticate": text})

    return answer


@pytest.mark.parametrize("credential", SECRETS, ids=lambda one: one.kind.name)
@pytest.mark.parametrize("place", [*FOREIGN, "ftp://reg.example:{port}", "reg.example:{port}", ""])
async def test_E1_a_foreign_realm_gets_no_secret(place: str, credential: Credential) -> None:
    async with lab(challenging(f"{place}/token")) as server, client(server, credential) as registry:
        for _ in range(2):  # nothing was kept that helps the second time
            with pytest.raises((CredentialsHeld, Garbled)):
                await manifests.get(registry, "a", "1")
        assert strayed(server) == []
        assert all(one.authorization is None for one in server.seen)


async def test_E1_a_login_is_not_sent_to_a_foreign_realm() -> None:
    rogue = challenging("http://evil.test:{port}/token")
    async with lab(rogue) as server, client(server, SECRETS[0]) as registry:
        with pytest.raises(CredentialsHeld, match=r"--auth-host evil\.test"):
            await registry.login(SECRETS[0])
        assert strayed(server) == []


async def test_E1_a_realm_that_is_allowed_gets_it() -> None:
    allowed = frozenset({"evil.test"})
    rogue = challenging("http://evil.test:{port}/token")
    async with lab(rogue) as server, client(server, SECRETS[0], allowed) as registry:
        await registry.login(SECRETS[0])
        assert len(strayed(server)) == 1


async def test_E1_a_later_challenge_is_checked_as_the_first() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/v2/":
            return web.Response()
        text = f'Bearer realm="http://evil.test:{request.host.rpartition(":")[2]}/token"'
        return web.Response(status=401, headers={"WWW-Authenticate": text})

    async with lab(answer) as server, client(server, SECRETS[0]) as registry:
        with pytest.raises(CredentialsHeld):
            await manifests.get(registry, "a", "1")
        assert strayed(server) == []


async def test_E1_a_token_server_that_sends_on() -> None:
    """Its own realm is right; that one redirects."""

    async def answer(request: web.Request) -> web.StreamResponse:
        port = request.host.rpartition(":")[2]
        if request.path == "/token":
            return web.Response(status=307, headers={"Location": f"http://evil.test:{port}/t"})
        if request.path == "/t":
            return web.json_response({"token": "T"})
        text = f'Bearer realm="http://reg.example:{port}/token"'
        return web.Response(status=401, headers={"WWW-Authenticate": text})

    for credential in SECRETS:
        async with lab(answer) as server, client(server, credential) as registry:
            with pytest.raises(RemoteError):
                await manifests.get(registry, "a", "1")
            assert strayed(server) == []


Step = Callable[[Registry], Awaitable[object]]


async def _pieces() -> AsyncIterator[bytes]:
    yield b"content"


async def read_blob(registry: Registry) -> None:
    async with blobs.open_at(registry, "a", DIGEST) as stream:
        async for _ in stream.pieces:
            pass


async def patch(registry: Registry) -> None:
    session = uploads.Session(await registry.url("a/blobs/uploads/1"), 0)
    await uploads.append(registry, "a", session, _pieces(), 7, ranged=False)


async def finish(registry: Registry) -> None:
    session = uploads.Session(await registry.url("a/blobs/uploads/1"), 7)
    await uploads.finish(registry, "a", session, DIGEST)


STEPS: dict[str, Step] = {
    "GET": read_blob,
    "HEAD": lambda registry: blobs.size(registry, "a", DIGEST),
    "POST": lambda registry: uploads.start(registry, "a"),
    "PATCH": patch,
    "PUT": finish,
    "PUT manifest": lambda registry: manifests.put(registry, "a", "1", "x/y", b"content"),
    "DELETE": lambda registry: manifests.delete(registry, "a", "1"),
}


def redirecting(status: int, place: str) -> Handler:
    """Takes Basic, sends every request on, and has something there."""

    async def answer(request: web.Request) -> web.StreamResponse:
        port = request.host.rpartition(":")[2]
        if request.host != f"{OWN}:{port}" or request.path.startswith("/stolen"):
            return web.Response(body=b"content", headers={"Docker-Content-Digest": str(DIGEST)})
        if "Authorization" not in request.headers:
            return web.Response(status=401, headers={"WWW-Authenticate": "Basic"})
        location = place.format(port=port) + "/stolen"
        headers = {"Location": location, "Set-Cookie": "a=b"}
        return web.Response(status=status, headers=headers)

    return answer


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("step", STEPS)
async def test_E2_redirects_take_neither_secrets_nor_bodies_along(step: str, status: int) -> None:
    for place in FOREIGN[:3]:
        rogue = redirecting(status, place)
        async with lab(rogue) as server, client(server, SECRETS[0]) as registry:
            with suppress(RemoteError):
                await STEPS[step](registry)
            assert strayed(server) == []
            writes = [one for one in server.seen if one.method not in ("GET", "HEAD")]
            assert all(one.host == server.name(OWN) for one in writes)


@pytest.mark.parametrize("place", FOREIGN)
async def test_E2_an_upload_does_not_follow_its_location(place: str) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/v2/":
            return web.Response()
        headers = {"Location": place.format(port=request.host.rpartition(":")[2]) + "/steal"}
        return web.Response(status=202, headers=headers)

    async with lab(answer) as server, client(server, SECRETS[0]) as registry:
        with pytest.raises(CredentialsHeld, match="not followed"):
            await uploads.start(registry, "a")
        with pytest.raises(CredentialsHeld, match="not followed"):
            await patch(registry)
        assert not server.asked("/steal")


@pytest.mark.parametrize("what", ["tags", "referrers"])
@pytest.mark.parametrize("place", FOREIGN)
async def test_E2_lists_do_not_go_on_elsewhere(what: str, place: str) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/v2/":
            return web.Response()
        port = request.host.rpartition(":")[2]
        link = f'<{place.format(port=port)}/steal>; rel="next"'
        value = {"schemaVersion": 2, "manifests": [], "tags": ["1"]}
        return web.json_response(value, headers={"Link": link})

    async with lab(answer) as server, client(server, SECRETS[0]) as registry:
        with pytest.raises(Garbled, match=rf"{what} of {OWN}.*another host"):
            await _listed(registry, what)
        assert not server.asked("/steal")


async def _listed(registry: Registry, what: str) -> None:
    if what == "tags":
        async for _ in tags(registry, "a"):
            pass
    else:
        await referrers(registry, "a", DIGEST)
