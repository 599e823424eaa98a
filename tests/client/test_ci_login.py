"""Tokens of CI jobs and pods: found where each system has them, told from what is none."""

import base64
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme
from aiohttp import web

from kho.client.errors import Missing, Misused
from kho.client.logins import ci_login
from kho.client.logins.ci_login import NoToken
from kho.client.logins.claims import read_claims, subject_of
from kho.remote.transport import Transport
from tests.remote.lab import lab, wires

NOW = 1_000_000.0
AUDIENCE = "https://reg.example"


def jwt(**claims: object) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'RS256'})}.{part({'exp': NOW + 300, **claims})}.c2ln"


async def found(
    environment: dict[str, str],
    *files: Path,
    variable: str | None = None,
    transport: Transport | None = None,
) -> ci_login.Found:
    async with wires() as usual:
        return await ci_login.find(
            environment,
            AUDIENCE,
            transport or usual,
            variable=variable,
            files=files,
            clock=lambda: NOW,
        )


async def test_variables_and_files(tmp_path: Path) -> None:
    one, two = jwt(sub="one"), jwt(sub="two")
    projected = tmp_path / "token"
    projected.write_text(f"{two}\n")
    env = {"KHO_TOKEN": one}
    assert (await found(env, projected)).token == one
    assert (await found({"KHO_ID_TOKEN": f" {one} "}, projected)).token == one
    assert (await found({}, projected)).token == two
    assert (await found({**env, "KHO_TOKEN_FILE": str(projected)})).token == two
    named = await found({**env, "MY_TOKEN": two}, variable="MY_TOKEN")
    assert (named.token, named.origin, named.ends) == (two, "the variable MY_TOKEN", NOW + 300)
    assert two not in repr(named)


@pytest.mark.parametrize(
    "environment, words",
    [
        ({}, r"looked for KHO_TOKEN_FILE, KHO_TOKEN, KHO_ID_TOKEN, ACTIONS_ID_TOKEN_REQUEST_URL"),
        ({"GITHUB_ACTIONS": "true"}, r"permissions: id-token: write"),
        ({"GITLAB_CI": "true"}, r"id_tokens: {KHO_TOKEN: {aud: https://reg\.example}}"),
        ({"KHO_TOKEN_FILE": "/nowhere/token"}, r"/nowhere/token: No such file"),
    ],
)
async def test_nothing_is_there(environment: dict[str, str], words: str) -> None:
    with pytest.raises(Missing, match=words):
        await found(environment)


async def test_what_is_no_token() -> None:
    for text in ("secret", "a.b", "a.!.c", "é.é.é", "a.W10.c"):
        with pytest.raises(NoToken, match="KHO_TOKEN holds no signed token") as caught:
            await found({"KHO_TOKEN": text})
        assert "secret" not in str(caught.value)
    with pytest.raises(NoToken, match="ended 10 s ago"):
        await found({"KHO_TOKEN": jwt(exp=NOW - 10)})


async def test_names_of_variables() -> None:
    with pytest.raises(Missing, match="MINE is not set"):
        await found({}, variable="MINE")
    with pytest.raises(Misused, match="give the name, not the token"):
        await found({}, variable=jwt())


async def test_the_clusters_own_token_is_never_taken() -> None:
    own = "/var/run/secrets/kubernetes.io/serviceaccount/token"
    assert all(str(file) != own for file in ci_login.PROJECTED)


@asynccontextmanager
async def github(
    answer: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[dict[str, str], list[web.Request]]]:
    """GitHub's service, over TLS; the variables of a job."""
    asked: list[web.Request] = []

    async def handle(request: web.Request) -> web.Response:
        asked.append(request)
        return web.json_response(answer)

    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    variables = {
        "ACTIONS_ID_TOKEN_REQUEST_URL": f"https://127.0.0.1:{port}/token?api-version=2.0",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "request-token",
    }
    try:
        yield variables, asked
    finally:
        await runner.cleanup()


async def test_github_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = jwt(sub="repo:octo/app")
    async with github({"value": token}, tmp_path, monkeypatch) as (variables, asked):
        assert (await found(variables)).token == token
    (request,) = asked
    assert request.path_qs == "/token?api-version=2.0&audience=https%3A%2F%2Freg.example"
    assert request.headers["Authorization"] == "bearer request-token"


async def test_github_says_something_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with github({"odd": 1}, tmp_path, monkeypatch) as (variables, _):
        with pytest.raises(NoToken, match="GitHub Actions holds no signed token"):
            await found(variables)
    async with lab(lambda _: web.Response()) as server:  # type: ignore[arg-type,return-value]
        plain = {
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"http://127.0.0.1:{server.port}/",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "request-token",
        }
        with pytest.raises(NoToken, match="is no https address"):
            await found(plain)
        assert server.seen == []


def test_claims() -> None:
    assert (read_claims(jwt(a=1)) or {})["a"] == 1
    assert subject_of(jwt(sub="user:alice")) == "user:alice"
    assert subject_of(jwt(sub="a\nb")) is None
    assert subject_of("opaque") is None
