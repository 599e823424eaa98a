"""E1: credentials go where the registry is, and nowhere else; tokens in each registry's way."""

import base64
import json
from collections.abc import Generator
from typing import Any

import pytest

from kho.oci.challenge import Challenge
from kho.oci.scope import Scope
from kho.remote.auth import (
    MARGIN_SECONDS,
    Token,
    TokenAnswer,
    TokenRequest,
    Tokens,
    ask,
    check_realm,
)
from kho.remote.credentials import Credential, Kind
from kho.remote.errors import CredentialsHeld, Garbled, LoginNeeded, RemoteError
from kho.remote.hosts import Access, Host

ALICE = Credential("alice", "se:cret")
IDENTITY = Credential("", "refresh-me", Kind.IDENTITY_TOKEN)
PULL = Scope("repository", "team/app", frozenset({"pull"}))
PUSH = Scope("repository", "team/app", frozenset({"pull", "push"}))
OTHER = Scope("repository", "team/base", frozenset({"pull"}))


def bearer(realm: str, **more: str) -> Challenge:
    return Challenge("bearer", {"realm": realm, "service": "reg", **more})


def played(
    asking: Generator[TokenRequest, TokenAnswer, Token], *answers: tuple[int, Any]
) -> tuple[list[TokenRequest], Token]:
    """What was asked, and the token at the end."""
    asked = [next(asking)]
    try:
        for status, value in answers:
            body = value if isinstance(value, bytes) else json.dumps(value).encode()
            asked.append(asking.send(TokenAnswer(status, body)))
    except StopIteration as done:
        return asked, done.value
    raise AssertionError("no token after all answers")


@pytest.mark.parametrize(
    "registry, realm",
    [
        ("registry-1.docker.io", "https://auth.docker.io/token"),
        ("docker.io", "https://auth.docker.io/token"),
        ("registry.gitlab.com", "https://gitlab.com/jwt/auth"),
        ("ghcr.io", "https://ghcr.io/token"),
        ("registry.example.co.uk", "https://auth.example.co.uk/t?x=1"),
        ("reg.example:5000", "https://reg.example:5001/token"),
        ("localhost:5000", "http://127.0.0.1:5001/token"),
        ("10.0.0.5:5000", "https://10.0.0.5/token"),
    ],
)
def test_E1_realms_that_get_the_credentials(registry: str, realm: str) -> None:
    assert check_realm(Host.named(registry), realm, ALICE).geturl() == realm


@pytest.mark.parametrize(
    "registry, realm, kind",
    [
        ("reg.example", "https://evil.test/token", CredentialsHeld),
        ("reg.example.co.uk", "https://evil.co.uk/token", CredentialsHeld),
        ("team.github.io", "https://evil.github.io/token", CredentialsHeld),
        ("reg.example", "https://10.0.0.1/token", CredentialsHeld),
        ("10.0.0.5", "https://10.0.0.6/token", CredentialsHeld),
        ("reg.example", "https://reg.example.evil.test/token", CredentialsHeld),
        ("reg.example", "http://reg.example/token", CredentialsHeld),
        ("reg.example", "http://127.0.0.1/token", CredentialsHeld),
        ("reg.example", "https://[::1]/token", CredentialsHeld),
        ("reg.example", "https://alice@reg.example/token", Garbled),
        ("reg.example", "ftp://reg.example/token", Garbled),
        ("reg.example", "file:///etc/passwd", Garbled),
        ("reg.example", "//reg.example/token", Garbled),
        ("reg.example", "", Garbled),
        ("reg.example", "https://reg.example:99999/", Garbled),
        ("reg.example", "https://reg.example/\r\nHost: x", Garbled),
        ("com", "https://evil.com/token", CredentialsHeld),
    ],
)
def test_E1_realms_that_do_not(registry: str, realm: str, kind: type[RemoteError]) -> None:
    asking = ask(Host.named(registry), bearer(realm), (PULL,), ALICE)
    with pytest.raises(kind):
        next(asking)


def test_E1_a_realm_elsewhere_that_the_user_has_named() -> None:
    access = Access(auth_hosts=frozenset({"login.test"}))
    assert check_realm(Host.named("reg.example", access), "https://login.test/t", ALICE)
    with pytest.raises(CredentialsHeld, match=r"--auth-host other\.test"):
        check_realm(Host.named("reg.example", access), "https://other.test/t", ALICE)


def test_E1_nobody_is_sent_to_a_service_without_tls_even_without_credentials() -> None:
    assert check_realm(Host.named("reg.example"), "https://evil.test/token", None)
    with pytest.raises(CredentialsHeld):
        check_realm(Host.named("reg.example"), "http://169.254.169.254/latest", None)


def test_a_password_goes_by_get_with_all_scopes() -> None:
    asking = ask(
        Host.named("reg.example"), bearer("https://reg.example/t?a=b"), (PUSH, OTHER), ALICE
    )
    (asked,), token = played(asking, (200, {"token": "T", "expires_in": 300}))
    assert asked.method == "GET"
    assert asked.url == (
        "https://reg.example/t?a=b&service=reg&scope=repository%3Ateam%2Fapp%3Apull%2Cpush"
        "&scope=repository%3Ateam%2Fbase%3Apull&account=alice&client_id=kho"
    )
    assert (
        base64.b64decode(asked.headers["Authorization"].removeprefix("Basic ")) == b"alice:se:cret"
    )
    assert (token.text, token.seconds) == ("T", 300)
    assert "se:cret" not in repr((asked, ALICE, token))


def test_anonymous_sends_no_credentials() -> None:
    asking = ask(Host.named("ghcr.io"), bearer("https://ghcr.io/token"), (PULL,), None)
    (asked,), token = played(asking, (200, {"access_token": "A"}))
    assert "Authorization" not in asked.headers
    assert (token.text, token.seconds) == ("A", 60)


def test_an_identity_token_goes_by_post() -> None:
    asking = ask(
        Host.named("az.azurecr.io"),
        bearer("https://az.azurecr.io/oauth2/token"),
        (PUSH, OTHER),
        IDENTITY,
    )
    (asked,), token = played(asking, (200, {"access_token": "A", "refresh_token": "R"}))
    assert asked.method == "POST"
    assert asked.body == (
        b"service=reg&scope=repository%3Ateam%2Fapp%3Apull%2Cpush+repository%3Ateam%2Fbase%3Apull"
        b"&grant_type=refresh_token&client_id=kho&refresh_token=refresh-me"
    )
    assert token.refresh == "R"
    assert "refresh-me" not in repr(asked)


@pytest.mark.parametrize(
    "status, value, kind, words",
    [
        (401, {}, LoginNeeded, "user name and password not accepted"),
        (400, {}, LoginNeeded, "user name and password not accepted"),
        (404, {}, Garbled, "status 404"),
        (200, {}, Garbled, "no token"),
        (200, {"token": 3}, Garbled, "no token"),
        (200, {"token": "a\nb"}, Garbled, "no token"),
        (200, {"token": "é"}, Garbled, "no token"),
        (200, b"<html>", Garbled, "JSON"),
        (200, b"[]", Garbled, "object"),
    ],
)
def test_answers_that_are_no_token(
    status: int, value: object, kind: type[RemoteError], words: str
) -> None:
    asking = ask(Host.named("reg.example"), bearer("https://reg.example/t"), (PULL,), ALICE)
    with pytest.raises(kind, match=words):
        played(asking, (status, value))


@pytest.mark.parametrize("status", [404, 405])
def test_an_identity_token_that_nobody_takes(status: int) -> None:
    asking = ask(Host.named("reg.example"), bearer("https://reg.example/t"), (PULL,), IDENTITY)
    with pytest.raises(Garbled, match="log in again with a password"):
        played(asking, (status, {}))


def test_a_token_is_kept_for_its_scopes_and_its_owner() -> None:
    tokens = Tokens()
    tokens.keep((PUSH, OTHER), ALICE, Token("T", 300))
    assert tokens.find((OTHER, PUSH), ALICE) == "T"
    assert tokens.find((PUSH,), ALICE) is None
    assert tokens.find((PUSH, OTHER), None) is None
    tokens.forget((PUSH, OTHER), ALICE)
    assert tokens.find((PUSH, OTHER), ALICE) is None


def test_a_token_is_not_used_in_its_last_seconds() -> None:
    now = [1000.0]
    tokens = Tokens(clock=lambda: now[0])
    tokens.keep((PULL,), None, Token("T", 60))
    now[0] += 60 - MARGIN_SECONDS - 0.1
    assert tokens.find((PULL,), None) == "T"
    now[0] += 0.2
    assert tokens.find((PULL,), None) is None
