"""RFC 8628 as a device plays it: codes shown, asked again and again, and how it ends."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl

import pytest
from aiohttp import web

from kho.client.logins import device_login
from kho.client.logins.device_login import Asked
from kho.remote.auth import Token
from kho.remote.errors import CredentialsHeld, Garbled, LoginNeeded
from kho.remote.hosts import Access
from kho.remote.registry import Registry
from tests.remote.lab import Lab, lab, wires

CODES = {
    "device_code": "secret-device-code",
    "user_code": "WDJB-MJHT",
    "verification_uri": "http://reg.example/auth/device",
    "verification_uri_complete": "http://reg.example/auth/device?user_code=WDJB-MJHT",
    "expires_in": 600,
    "interval": 5,
}
GOOD = {"access_token": "T", "refresh_token": "R", "expires_in": 300}


def error(name: str, status: int = 400) -> tuple[int, dict[str, Any]]:
    return status, {"error": name}


class Khod:
    """Gives codes, then these answers in turn."""

    def __init__(self, *answers: tuple[int, Any], codes: Any = None, status: int = 200) -> None:
        self.answers = list(answers)
        self.codes = CODES if codes is None else codes
        self.status = status
        self.realm = "http://reg.example:{port}/token"

    async def __call__(self, request: web.Request) -> web.Response:
        port = request.host.rpartition(":")[2]
        if request.path == "/auth/device/code":
            return web.json_response(self.codes, status=self.status)
        if request.path == "/token":
            status, value = self.answers.pop(0)
            return web.Response(status=status, body=json.dumps(value).encode())
        text = f'Bearer realm="{self.realm.format(port=port)}",service="reg"'
        return web.Response(status=401, headers={"WWW-Authenticate": text})


@asynccontextmanager
async def registry(khod: Any) -> AsyncIterator[tuple[Lab, Registry]]:
    async with lab(khod) as server, wires() as transport:
        access = Access(plain_http=True)
        yield server, Registry(server.name("reg.example"), access=access, transport=transport)


class Time:
    """Passes when somebody sleeps."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def now(self) -> float:
        return sum(self.slept)


async def played(found: Registry, time: Time) -> Token:
    asked = await device_login.begin(found, "kho on a test")
    return await device_login.wait(found, asked, "kho on a test", sleep=time.sleep, clock=time.now)


async def test_a_person_approves_after_a_while() -> None:
    time = Time()
    pending = error("authorization_pending")
    khod = Khod(pending, error("slow_down"), pending, (200, GOOD))
    async with registry(khod) as (server, found):
        token = await played(found, time)
        assert (token.text, token.refresh, token.seconds) == ("T", "R", 300)
        assert time.slept == [5, 5, 10, 10]
        (begun,) = server.asked("/auth/device/code")
        assert dict(parse_qsl(begun.body.decode())) == {"client_id": "kho on a test"}
        polls = server.asked("/token")
        assert dict(parse_qsl(polls[0].body.decode())) == {
            "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
            "device_code": "secret-device-code",
            "client_id": "kho on a test",
            "service": "reg",
            "access_type": "offline",
        }
        assert all(one.authorization is None for one in server.seen)


async def test_what_is_shown() -> None:
    async with registry(Khod()) as (_, found):
        asked = await device_login.begin(found, "kho")
    assert (asked.user_code, asked.page) == ("WDJB-MJHT", "http://reg.example/auth/device")
    assert asked.complete == CODES["verification_uri_complete"]
    assert "secret-device-code" not in repr(asked)


@pytest.mark.parametrize(
    "answer, words",
    [
        (error("access_denied"), "the person said no"),
        (error("expired_token"), "nobody approved it in time"),
        (error("invalid_grant", 401), "the code is not known any more"),
        ((400, {"error": "odd", "error_description": "come\nback"}), "come back"),
        ((418, {}), "status 418"),
    ],
)
async def test_how_it_ends_otherwise(answer: tuple[int, Any], words: str) -> None:
    async with registry(Khod(answer)) as (_, found):
        with pytest.raises(LoginNeeded, match=rf"device login to reg\.example:\d+: .*{words}"):
            await played(found, Time())


async def test_nobody_comes() -> None:
    time = Time()
    khod = Khod(*(error("authorization_pending"),) * 200)
    async with registry(khod) as (_, found):
        with pytest.raises(LoginNeeded, match="nobody approved it in time"):
            await played(found, time)
    assert time.now() == 600


@pytest.mark.parametrize(
    "codes, status, words",
    [
        ({}, 404, "it has none; log in with a password"),
        ({}, 405, "it has none"),
        ({"error": "invalid_client"}, 400, "invalid_client"),
        ({**CODES, "device_code": 3}, 200, "no device_code"),
        ({**CODES, "user_code": "a\x1b[31m"}, 200, "no user_code"),
        ({**CODES, "verification_uri": "javascript:1"}, 200, "no web address"),
        ({**CODES, "verification_uri_complete": "https://x y"}, 200, "no web address"),
    ],
)
async def test_answers_that_are_no_codes(codes: Any, status: int, words: str) -> None:
    async with registry(Khod(codes=codes, status=status)) as (_, found):
        with pytest.raises(Garbled, match=words):
            await device_login.begin(found, "kho")


async def test_bounds_of_what_a_server_may_ask() -> None:
    codes = {**CODES, "interval": 0.001, "expires_in": 10**9}
    async with registry(Khod(codes=codes)) as (_, found):
        asked: Asked = await device_login.begin(found, "kho")
    assert (asked.interval, asked.seconds) == (1.0, 3600.0)


async def test_a_realm_elsewhere_is_not_asked() -> None:
    khod = Khod()
    khod.realm = "http://evil.test:{port}/token"
    async with registry(khod) as (server, found):
        with pytest.raises(CredentialsHeld):
            await device_login.begin(found, "kho")
        assert not server.asked("/auth")


def challenging(text: str | None) -> Callable[[web.Request], Any]:
    async def answer(_request: web.Request) -> web.Response:
        if text is None:
            return web.Response()
        return web.Response(status=401, headers={"WWW-Authenticate": text})

    return answer


@pytest.mark.parametrize(
    "text, words", [(None, "asks nobody for a login"), ("Basic realm=x", "passwords alone")]
)
async def test_registries_without_tokens(text: str | None, words: str) -> None:
    async with registry(challenging(text)) as (_, found):
        with pytest.raises(Garbled, match=words):
            await device_login.begin(found, "kho")


def test_what_a_client_calls_itself() -> None:
    name = device_login.client_name()
    assert name.startswith("kho ")
    assert len(name) <= 64
    assert name.isascii()
