"""Sign in with a browser elsewhere, without a password here (RFC 8628, the device flow).

    begin ─► a code and an address, for the person
    wait  ─► asked again every `interval` seconds: pending ... slow_down ... ─► Token

The codes come from the registry's own token server, as khod has it; a realm of another domain is
not asked, as what it gives would be a login for somebody else (E1).
"""

import asyncio
import platform
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Final
from urllib.parse import SplitResult, urlencode, urlsplit, urlunsplit

from kho import __version__
from kho.oci.strict_json import JsonRefused, parse_object
from kho.remote.auth import FORM, Token, TokenAnswer, TokenRequest, check_realm, read_token
from kho.remote.credentials import Credential
from kho.remote.errors import Garbled, LoginNeeded, printable
from kho.remote.registry import Registry

PATH: Final = "/auth/device/code"
_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
_OK: Final = 200
_NO_SUCH: Final = frozenset({404, 405, 501})
_SLOWER: Final = 5.0
# Bounds of what a server may ask for, in seconds.
_INTERVALS: Final = (1.0, 60.0)
_LONGEST: Final = 3600.0
_ENDS: Final = {
    "access_denied": "the person said no",
    "expired_token": "nobody approved it in time: start again",
    "invalid_grant": "the code is not known any more: start again",
}

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the person is shown: `user_code` and `page`, or `complete`, which has the code in it."""

    user_code: str
    page: str
    complete: str | None
    seconds: float
    interval: float
    device_code: str = field(repr=False)


def client_name() -> str:
    """What the page shows of who asks."""
    node = "".join(sign for sign in platform.node() if sign.isascii() and sign.isprintable())
    return f"kho {__version__} on {node or 'a device'}"[:64]


async def begin(registry: Registry, client: str) -> Asked:
    """Ask for codes; raise Garbled where the registry has no such login."""
    step = f"device login to {registry.name}"
    realm, _ = await _realm(registry, step)
    body = urlencode({"client_id": client}).encode("ascii")
    url = urlunsplit((realm.scheme, realm.netloc, PATH, "", ""))
    answer = await registry.ask_token_server(
        TokenRequest("POST", url, {"Content-Type": FORM}, body)
    )
    if answer.status in _NO_SUCH:
        raise Garbled(f"{step}: it has none; log in with a password or an access token")
    value = _object(answer, step)
    if answer.status != _OK:
        raise Garbled(f"{step}: {_words(value) or f'status {answer.status}'}")
    complete = value.get("verification_uri_complete")
    return Asked(
        _text(value, "user_code", step),
        _web(_text(value, "verification_uri", step), step),
        _web(complete, step) if isinstance(complete, str) and complete else None,
        min(_number(value, "expires_in", 600.0), _LONGEST),
        min(max(_number(value, "interval", _SLOWER), _INTERVALS[0]), _INTERVALS[1]),
        _text(value, "device_code", step),
    )


async def wait(
    registry: Registry,
    asked: Asked,
    client: str,
    *,
    sleep: Sleep = asyncio.sleep,
    clock: Callable[[], float] = monotonic,
) -> Token:
    """Ask until the person has decided; raise LoginNeeded when it is no, or too late."""
    step = f"device login to {registry.name}"
    realm, service = await _realm(registry, step)
    form = {"grant_type": _GRANT, "device_code": asked.device_code, "client_id": client}
    form |= {"service": service} if service else {}
    body = urlencode({**form, "access_type": "offline"}).encode("ascii")
    request = TokenRequest("POST", realm.geturl(), {"Content-Type": FORM}, body)
    ends, interval = clock() + asked.seconds, asked.interval
    while True:
        await sleep(interval)
        answer = await registry.ask_token_server(request)
        if answer.status == _OK:
            return read_token(answer.body, step)
        error = _object(answer, step).get("error")
        if error == "slow_down":
            interval = min(interval + _SLOWER, _INTERVALS[1])
        elif error != "authorization_pending":
            words = _ENDS.get(error) if isinstance(error, str) else None
            words = words or _words(_object(answer, step)) or f"status {answer.status}"
            raise LoginNeeded(step, answer.status, ("UNAUTHORIZED",), words)
        if clock() >= ends:
            raise LoginNeeded(step, answer.status, ("UNAUTHORIZED",), _ENDS["expired_token"])


async def _realm(registry: Registry, step: str) -> tuple[SplitResult, str]:
    challenge = await registry.challenge()
    if challenge is None:
        raise Garbled(f"{step}: the registry asks nobody for a login")
    if challenge.scheme != "bearer":
        raise Garbled(f"{step}: it takes names and passwords alone")
    realm = check_realm(registry.host, challenge.parameters.get("realm", ""), Credential("", ""))
    return realm, challenge.parameters.get("service", "")


def _object(answer: TokenAnswer, step: str) -> dict[str, object]:
    try:
        return parse_object(answer.body)
    except JsonRefused as error:
        raise Garbled(f"{step}: status {answer.status}: {error}") from error


def _words(value: dict[str, object]) -> str:
    found = value.get("error_description") or value.get("error")
    return printable(found) if isinstance(found, str) else ""


def _text(value: dict[str, object], name: str, step: str) -> str:
    found = value.get(name)
    if not isinstance(found, str) or not found or not found.isascii() or not found.isprintable():
        raise Garbled(f"{step}: the answer has no {name}")
    return found


def _web(text: str, step: str) -> str:
    """An address that can be shown on a terminal and opened."""
    try:
        url = urlsplit(text)
    except ValueError:
        url = urlsplit("")
    shown = text.isascii() and text.isprintable() and " " not in text
    if url.scheme not in ("http", "https") or not url.hostname or not shown:
        raise Garbled(f"{step}: the answer has no web address")
    return text


def _number(value: dict[str, object], name: str, usual: float) -> float:
    found = value.get(name)
    return float(found) if isinstance(found, int | float) and found > 0 else usual
