"""A registry's logins, on the wire: what is asked in which order, and what is sent to whom."""

import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from kho.oci.digest import Digest
from kho.remote import manifests, uploads
from kho.remote.credentials import Credential, Kind, Lookup, anonymous
from kho.remote.errors import ContentMismatch, CredentialsHeld, Garbled, LoginNeeded, NotFound
from kho.remote.hosts import Access
from kho.remote.referrers import referrers
from kho.remote.registry import Registry
from kho.remote.tags import tags

from .lab import Lab, lab, wires

ALICE = Credential("alice", "secret")
BODY = b'{"schemaVersion":2}'
TYPE = "application/vnd.oci.image.manifest.v1+json"


async def _alice(_host: str, _repository: str | None) -> Credential | None:
    return ALICE


@asynccontextmanager
async def registry(server: Lab, *, lookup: Lookup = _alice) -> AsyncIterator[Registry]:
    """A client of `reg.example`, which knows Alice's password."""
    name, access = server.name("reg.example"), Access(plain_http=True)
    async with (
        wires() as transport,
        Registry(name, access=access, lookup=lookup, transport=transport) as reg,
    ):
        yield reg


class Tokened:
    """A registry with a token server; tokens are good for `uses` requests."""

    def __init__(self, realm: str = "http://auth.reg.example:{port}/token", uses: int = 99) -> None:
        self.realm, self.uses, self.given = realm, uses, 0
        self.left: dict[str, int] = {}

    async def __call__(self, request: web.Request) -> web.Response:
        port = request.host.rpartition(":")[2]
        if request.path == "/token":
            self.given += 1
            self.left[f"Bearer T{self.given}"] = self.uses
            return web.json_response({"token": f"T{self.given}", "expires_in": 300})
        token = request.headers.get("Authorization", "")
        if self.left.get(token, 0) == 0:
            challenge = f'Bearer realm="{self.realm.format(port=port)}",service="reg"'
            if request.path != "/v2/":
                challenge += ',scope="repository:team/app:pull"'
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})
        self.left[token] -= 1
        return web.Response(body=BODY, content_type=TYPE)


async def test_one_token_for_many_requests() -> None:
    async with lab(Tokened()) as server, registry(server) as reg:
        for _ in range(3):
            found = await manifests.get(reg, "team/app", "v1")
        assert found.content == BODY
        (asked,) = server.asked("/token")
        assert asked.path == (
            "/token?service=reg&scope=repository%3Ateam%2Fapp%3Apull&account=alice&client_id=kho"
        )
        assert asked.authorization == "Basic " + base64.b64encode(b"alice:secret").decode()
        assert [one.path for one in server.seen].count("/v2/") == 1


async def test_a_refused_token_is_renewed_once() -> None:
    async with lab(Tokened(uses=1)) as server, registry(server) as reg:
        for _ in range(3):
            await manifests.get(reg, "team/app", "v1")
        assert len(server.asked("/token")) == 3

    async with lab(Tokened(uses=0)) as server, registry(server) as reg:
        with pytest.raises(LoginNeeded):
            await manifests.get(reg, "team/app", "v1")
        assert len(server.asked("/token")) == 2


async def test_a_foreign_realm_sees_nothing() -> None:
    rogue = Tokened("http://evil.test:{port}/token")
    async with lab(rogue) as server, registry(server) as reg:
        with pytest.raises(CredentialsHeld, match="outside its own domain"):
            await manifests.get(reg, "team/app", "v1")
        assert not server.asked("/token")
        assert all(one.authorization is None for one in server.seen)


async def basic_only(request: web.Request) -> web.Response:
    if (
        request.headers.get("Authorization")
        != "Basic " + base64.b64encode(b"alice:secret").decode()
    ):
        return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})
    return web.Response(body=BODY, content_type=TYPE)


async def test_basic_as_ecr_has_it() -> None:
    async with lab(basic_only) as server:
        async with registry(server) as reg:
            assert (await manifests.get(reg, "team/app", "v1")).content == BODY
        async with registry(server, lookup=anonymous) as reg:
            with pytest.raises(LoginNeeded, match=r"log in to reg\.example"):
                await manifests.get(reg, "team/app", "v1")


async def test_login_tells_a_wrong_password() -> None:
    async with lab(basic_only) as server, registry(server) as reg:
        assert await reg.login(ALICE) is None
        with pytest.raises(LoginNeeded):
            await reg.login(Credential("alice", "wrong"))
    async with lab(Tokened()) as server, registry(server) as reg:
        token = await reg.login(ALICE)
        assert token is not None
        assert "offline_token=true" in server.asked("/token")[0].path


async def test_a_registry_token_goes_as_it_is() -> None:
    async def token(_host: str, _repository: str | None) -> Credential | None:
        return Credential("", "RT", Kind.REGISTRY_TOKEN)

    server_side = Tokened()
    server_side.left["Bearer RT"] = 9
    async with lab(server_side) as server, registry(server, lookup=token) as reg:
        await manifests.get(reg, "team/app", "v1")
        assert not server.asked("/token")


async def test_a_login_by_something_unknown() -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=401, headers={"WWW-Authenticate": "Negotiate"})

    async with lab(answer) as server, registry(server) as reg:
        with pytest.raises(Garbled, match="wants a login by negotiate"):
            await manifests.get(reg, "team/app", "v1")


Answering = Callable[[web.Request], Awaitable[web.Response]]


def manifest(content: bytes, **headers: str) -> Answering:
    async def answer(request: web.Request) -> web.Response:
        if request.path == "/v2/":
            return web.Response()
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        return web.Response(body=content, content_type=TYPE, headers=named)

    return answer


async def test_bytes_are_checked_against_the_digest() -> None:
    async with lab(manifest(BODY)) as server, registry(server) as reg:
        assert (await manifests.get(reg, "a", str(Digest.of(BODY)))).content == BODY
        with pytest.raises(ContentMismatch, match="the bytes that came are"):
            await manifests.get(reg, "a", str(Digest.of(b"other")))
    other = str(Digest.of(b"other"))
    async with lab(manifest(BODY, Docker_Content_Digest=other)) as server, registry(server) as reg:
        with pytest.raises(ContentMismatch):
            await manifests.get(reg, "a", "v1")
        with pytest.raises(ContentMismatch):
            await manifests.find(reg, "a", str(Digest.of(BODY)))
        found = await manifests.find(reg, "a", "v1")
        assert found is not None
        assert str(found.digest) == other


async def test_a_head_that_tells_no_digest_is_asked_by_get() -> None:
    async with lab(manifest(BODY)) as server, registry(server) as reg:
        found = await manifests.find(reg, "a", "v1")
        assert found is not None
        assert (found.digest, found.size) == (Digest.of(BODY), len(BODY))


@pytest.mark.parametrize("what", ["tags", "referrers"])
@pytest.mark.parametrize("growing", ["same", "new"])
async def test_a_list_without_end(what: str, growing: str) -> None:
    """The same page for ever, and a new one for ever."""

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/v2/":
            return web.Response()
        number = int(request.query.get("last", "0")) + 1 if growing == "new" else 0
        link = f'<{request.path}?last={number}>; rel="next"'
        one = {"mediaType": "x/y", "digest": str(Digest.of(BODY)), "size": 1}
        value = {"schemaVersion": 2, "manifests": [one] * 500, "tags": [f"t{number}"]}
        return web.json_response(value, headers={"Link": link})

    async with lab(answer) as server, registry(server) as reg:
        end = rf"{what} of reg\.example:\d+/a.*(does not end|more than 10000)"
        with pytest.raises(Garbled, match=end) as caught:
            await _listed(reg, what)
        assert "\n" not in str(caught.value)
        assert len(server.seen) < 40


async def _listed(reg: Registry, what: str) -> None:
    if what == "tags":
        async for _ in tags(reg, "a", most=30):
            pass
    else:
        await referrers(reg, "a", Digest.of(BODY))


@pytest.mark.parametrize(
    "location, followed",
    [
        ("/v2/a/blobs/uploads/1", True),
        ("http://reg.example:{port}/v2/a/blobs/uploads/1", True),
        ("https://reg.example/v2/a/blobs/uploads/1", True),
        ("http://evil.test:{port}/v2/a/blobs/uploads/1", False),
        ("ftp://reg.example/x", False),
        ("//evil.test:{port}/x", False),
    ],
)
async def test_an_upload_stays_with_its_registry(location: str, followed: bool) -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.method == "POST":
            port = request.host.rpartition(":")[2]
            return web.Response(status=202, headers={"Location": location.format(port=port)})
        return web.Response(status=201 if request.method == "PUT" else 200)

    async with lab(answer) as server, registry(server) as reg:
        if not followed:
            with pytest.raises(CredentialsHeld):
                await uploads.start(reg, "a")
            return
        session = await uploads.start(reg, "a")
        await uploads.finish(reg, "a", session, Digest.of(b""))
        (put,) = [one for one in server.seen if one.method == "PUT"]
        assert put.host == server.name("reg.example")


async def test_what_is_not_there() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=200 if request.path == "/v2/" else 404)

    async with lab(answer) as server, registry(server) as reg:
        assert await manifests.find(reg, "a", "v1") is None
        with pytest.raises(NotFound, match=r"manifest reg\.example:\d+/a:v1"):
            await manifests.get(reg, "a", "v1")


async def test_this_machine_without_tls_is_spoken_to_plainly() -> None:
    async with (
        lab(manifest(BODY)) as server,
        wires() as transport,
        Registry(f"127.0.0.1:{server.port}", transport=transport) as reg,
    ):
        assert (await reg.base()).startswith("http://127.0.0.1:")
