"""The OpenID Connect provider over HTTP: what it says of itself, its tokens, its user info."""

import base64
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from urllib.parse import quote, urlsplit

from kho.oci.errors import Unauthorized, Unavailable, Worded
from kho.oci.strict_json import JsonRefused, parse_object
from kho.server import telemetry
from kho.server.index.workloads.discovery import check_url
from kho.server.resources import Resources

MOST_BYTES: Final = 1024 * 1024
SECONDS: Final = 10.0
KEPT_SECONDS: Final = 3600.0
_RETRY_SECONDS: Final = 30

Fields = Mapping[str, str]


class Provider(NamedTuple):
    """What its discovery document says."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    userinfo_endpoint: str | None
    basic: bool  # whether the client's secret travels in a header, else in the form


@dataclass(slots=True)
class _Known:
    """The provider as it was last seen; `until` is monotonic."""

    provider: Provider | None = None
    until: float = field(default=0.0)


class _Reply(NamedTuple):
    status: int
    document: dict[str, object]


async def discover(resources: Resources) -> Provider:
    """The configured provider, asked once an hour. Raises Unavailable."""
    known = resources.memory.keep(_Known)
    issuer = resources.config.oidc.issuer
    found = known.provider
    if found is not None and found.issuer == issuer and time.monotonic() < known.until:
        return found
    try:
        check_url(issuer)
    except ValueError as error:
        raise _unfit("oidc.issuer: %(error)s", error=error) from error
    reply = await _ask("GET", issuer.rstrip("/") + "/.well-known/openid-configuration")
    known.provider = _provider(issuer, reply)
    known.until = time.monotonic() + KEPT_SECONDS
    return known.provider


def _provider(issuer: str, reply: _Reply) -> Provider:
    document = reply.document
    if reply.status != 200:  # noqa: PLR2004
        raise _unfit("its discovery document answers with status %(status)s", status=reply.status)
    if document.get("issuer") != issuer:
        raise _unfit(
            "it calls itself %(itself)s, oidc.issuer is %(issuer)s",
            itself=ascii(document.get("issuer"))[:200],
            issuer=ascii(issuer),
        )
    urls = {
        name: _endpoint(issuer, name, document.get(name))
        for name in ("authorization_endpoint", "token_endpoint")
    }
    info = "userinfo_endpoint"
    methods = document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    return Provider(
        issuer,
        **urls,
        userinfo_endpoint=_endpoint(issuer, info, document[info]) if info in document else None,
        basic=not isinstance(methods, list) or "client_secret_basic" in methods,
    )


def _endpoint(issuer: str, name: str, url: object) -> str:
    """A URL of the document; where the issuer has TLS, each of them must."""
    if not isinstance(url, str) or not url.isascii() or not url.isprintable() or " " in url:
        raise _unfit("its %(name)s is no URL", name=name)
    scheme = urlsplit(url).scheme
    if scheme != "https" and (scheme != "http" or issuer.startswith("https:")):
        raise _unfit("its %(name)s is not https", name=name)
    return url


async def exchange(
    resources: Resources, provider: Provider, code: str, redirect_uri: str, verifier: str
) -> dict[str, object]:
    """The tokens for a code. Raises Unauthorized when the provider refuses, and Unavailable."""
    config = resources.config.oidc
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "code_verifier": verifier,
    }
    headers = {}
    if config.client_secret and provider.basic:
        pair = f"{quote(config.client_id, safe='')}:{quote(config.client_secret, safe='')}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    else:
        form["client_id"] = config.client_id
        if config.client_secret:
            form["client_secret"] = config.client_secret
    reply = await _ask("POST", provider.token_endpoint, headers, form)
    if reply.status != 200:  # noqa: PLR2004
        error = reply.document.get("error", "")
        telemetry.log_event(
            "oidc: no token for the code", "warning", status=reply.status, error=f"{error!a:.100}"
        )
        if error == "invalid_client":
            raise _unfit("it refuses our client id or secret")
        raise Unauthorized("The sign-in service did not accept the answer: please start again.")
    return reply.document


async def user_info(provider: Provider, access_token: object) -> dict[str, object]:
    """What the provider says of the user beside the ID token; nothing when it does not say.

    Raises Unavailable.
    """
    if provider.userinfo_endpoint is None or not isinstance(access_token, str):
        return {}
    if not access_token.isascii() or not access_token.isprintable():
        return {}
    reply = await _ask(
        "GET", provider.userinfo_endpoint, {"Authorization": f"Bearer {access_token}"}
    )
    return reply.document if reply.status == 200 else {}  # noqa: PLR2004


async def _ask(
    method: str, url: str, headers: Fields | None = None, form: Fields | None = None
) -> _Reply:
    """One request: no redirect is followed, no more than a mebibyte is read."""
    import aiohttp  # noqa: PLC0415

    # A body is taken as it was sent: inflating it could make it any size.
    sent = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "khod"}
    try:
        async with (
            aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=SECONDS),
                headers=sent,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
            ) as session,
            session.request(
                method, url, headers=headers, data=form, allow_redirects=False
            ) as response,
        ):
            content = bytearray()
            async for chunk in response.content.iter_any():
                content += chunk
                if len(content) > MOST_BYTES:
                    raise _unfit("it answers with more than 1 MiB")
            return _Reply(response.status, _document(response.status, bytes(content)))
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        reason = str(error) or type(error).__name__
        telemetry.log_event("oidc: provider not reached", "warning", url=url, reason=reason)
        raise _unfit("it cannot be reached") from error


def _document(status: int, content: bytes) -> dict[str, object]:
    try:
        return parse_object(content)
    except JsonRefused as error:
        if status == 200:  # noqa: PLR2004
            raise _unfit("its answer is no JSON object") from error
        return {}


def _unfit(template: str, **values: object) -> Unavailable:
    return Unavailable(
        "The sign-in service does not work at the moment: %(reason)s. Try again"
        " later, or tell your administrator.",
        reason=Worded(template, **values),
        retry_after=_RETRY_SECONDS,
    )
