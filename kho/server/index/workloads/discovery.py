"""Asks an issuer for its keys: bounded in time and size, and never led elsewhere.

issuer + /.well-known/openid-configuration ──> jwks_uri ──> JWKS
"""

import asyncio
import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, urljoin, urlsplit

from kho.oci.errors import Worded
from kho.oci.strict_json import JsonRefused, parse_object
from kho.server.policy.errors import Disallowed

if TYPE_CHECKING:
    from aiohttp import ClientSession

SECONDS: Final = 5.0
BYTES: Final = 2**20
_HOPS: Final = 3
_PIECE: Final = 65536
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_OK: Final = 200
_PORTS: Final = {"https": 443, "http": 80}


class FetchFailed(Worded):
    """The issuer's keys could not be had; one line that says why."""


def check_url(url: str, *, keys: bool = False) -> None:
    """Raise ValueError unless it may be asked: https, or http on this machine.

    For `keys`, in place of an issuer, a file and a query will do too.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise Disallowed(
            "%(url)s is not a URL: %(error)s", url=ascii(url)[:200], error=error
        ) from error
    if keys and parts.scheme == "file" and parts.path.startswith("/") and not parts.netloc:
        return
    private = parts.scheme == "http" and _is_loopback(parts.hostname or "")
    plain = url.isascii() and url.isprintable() and " " not in url
    if not plain or not parts.hostname or not (parts.scheme == "https" or private):
        if keys:
            raise Disallowed(
                "%(url)s is not allowed; allowed is https://host/path, or http:// on this"
                " machine's loopback address, or file:///path",
                url=ascii(url)[:200],
            )
        raise Disallowed(
            "%(url)s is not allowed; allowed is https://host/path, or http:// on this machine's"
            " loopback address",
            url=ascii(url)[:200],
        )
    if parts.username is not None or parts.fragment or (parts.query and not keys):
        raise Disallowed(
            "%(url)s has a user, query or fragment, which is not allowed", url=ascii(url)[:200]
        )


async def fetch_keys(issuer: str, jwks_url: str | None) -> str:
    """The issuer's JWKS as JSON text, from `jwks_url` where discovery is not wanted.

    Takes at most 5 s. Raises FetchFailed.
    """
    try:
        async with asyncio.timeout(SECONDS):
            return await _fetch(issuer, jwks_url)
    except TimeoutError as error:
        raise FetchFailed("no answer within %(seconds)s s", seconds=format(SECONDS, "g")) from error


async def _fetch(issuer: str, jwks_url: str | None) -> str:
    if jwks_url is not None and jwks_url.startswith("file:"):
        return _checked(_read_file(Path(urlsplit(jwks_url).path)))
    from aiohttp import ClientError, ClientSession, DummyCookieJar  # noqa: PLC0415

    # A body is taken as it was sent: inflating it could make it any size.
    headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "khod"}
    try:
        async with ClientSession(
            headers=headers, auto_decompress=False, cookie_jar=DummyCookieJar()
        ) as session:
            url = jwks_url or await _discovered(session, issuer)
            return _checked(await _get(session, url))
    except (ClientError, OSError, ValueError) as error:
        raise FetchFailed(
            "%(kind)s: %(error)s", kind=type(error).__name__, error=str(error)[:200]
        ) from error


async def _discovered(session: "ClientSession", issuer: str) -> str:
    """The `jwks_uri` of the issuer's configuration, which must name the issuer itself."""
    text = await _get(session, issuer.rstrip("/") + "/.well-known/openid-configuration")
    document = parse_object(text)
    if document.get("issuer") != issuer:
        raise FetchFailed(
            "its configuration is of another issuer: %(found)s",
            found=ascii(document.get("issuer"))[:200],
        )
    url = document.get("jwks_uri")
    if not isinstance(url, str):
        raise FetchFailed("its configuration has no jwks_uri")
    scheme = url.partition(":")[0]
    if scheme != "https" and (scheme != "http" or issuer.startswith("https:")):
        raise FetchFailed("its jwks_uri is not https: %(url)s", url=ascii(url)[:200])
    return url


async def _get(session: "ClientSession", url: str) -> bytes:
    """A body; redirects are followed within one origin only."""
    here = url
    for _ in range(_HOPS + 1):
        async with session.get(here, allow_redirects=False) as answer:
            if answer.status in _REDIRECTS:
                there = urljoin(here, answer.headers.get("Location", ""))
                if _origin(urlsplit(there)) != _origin(urlsplit(url)):
                    raise FetchFailed(
                        "%(url)s leads to another origin: %(there)s",
                        url=url,
                        there=ascii(there)[:200],
                    )
                here = there
                continue
            if answer.status != _OK:
                raise FetchFailed("%(here)s answers %(status)s", here=here, status=answer.status)
            content = bytearray()
            async for piece in answer.content.iter_chunked(_PIECE):
                content += piece
                if len(content) > BYTES:
                    raise FetchFailed(
                        "%(here)s answers more than %(bytes)s bytes", here=here, bytes=BYTES
                    )
            return bytes(content)
    raise FetchFailed("%(url)s leads on more than %(hops)s times", url=url, hops=_HOPS)


def _checked(content: bytes) -> str:
    """The text of a JWKS that has a key at least. Raises FetchFailed."""
    from kho.server.index.jose.jwk import keys_of  # noqa: PLC0415

    try:
        keys = keys_of(parse_object(content), rsa=("RS256",))
    except (JsonRefused, ValueError) as error:
        raise FetchFailed("its JWKS cannot be read: %(error)s", error=error) from error
    if not keys:
        raise FetchFailed("its JWKS has no key that signs with an algorithm known here")
    return content.decode("utf-8")


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(BYTES + 1)
    except OSError as error:
        raise FetchFailed(
            "%(path)s cannot be read: %(strerror)s", path=ascii(str(path)), strerror=error.strerror
        ) from error
    if len(content) > BYTES:
        raise FetchFailed(
            "%(path)s has more than %(bytes)s bytes", path=ascii(str(path)), bytes=BYTES
        )
    return content


def _origin(url: SplitResult) -> tuple[str, str | None, int | None]:
    return url.scheme, url.hostname, url.port or _PORTS.get(url.scheme)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
