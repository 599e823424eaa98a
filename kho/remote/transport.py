"""One HTTP client for all registries: retries, deadlines, redirects that drop credentials.

    request ─► 429, 502 to 504, broken connection: again after a while, where nothing is lost by it
            ─► 3xx: followed by hand, five times at most; another origin gets no credentials (E2),
                    a body goes nowhere but to the origin it was meant for; never from https to http
            ─► answer, whose body the caller reads

A body that can be sent again is bytes; any other is sent once, and its sender decides what next.
"""

import asyncio
import logging
import os
import random
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from time import time
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import SplitResult, urljoin, urlsplit

from kho.remote.errors import (
    CredentialsHeld,
    Garbled,
    Refused,
    RemoteError,
    Unreachable,
    UntrustedServer,
    printable,
    refused,
)
from kho.remote.hosts import Host, is_loopback, tls_context

if TYPE_CHECKING:
    from aiohttp.abc import AbstractResolver

    from kho.remote.http import Connections, Response

Body = bytes | AsyncIterator[bytes]

ATTEMPTS: Final = 6
# Of these, at a host that has never answered.
STRANGERS: Final = 3
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
# A registry that asks for a longer rest than this is told about instead.
PATIENCE: Final = 120.0
SILENCE_SECONDS: Final = 60.0
ERROR_BYTES: Final = 64 * 1024
_HOPS: Final = 5
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PASSING: Final = frozenset({408, 429, 500, 502, 503, 504})
_READS: Final = frozenset({"GET", "HEAD"})
_PORTS: Final = {"https": 443, "http": 80}
# What belongs to the origin that it was meant for, and to no other.
_PRIVATE: Final = frozenset({"authorization", "cookie", "proxy-authorization"})

log = logging.getLogger("kho.remote")


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked; `step` says it in words for errors ("pull host/name:tag")."""

    method: str
    url: str
    step: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None
    # Answers that the caller reads himself, beside the good ones.
    expected: frozenset[int] = frozenset()
    # Whether asking twice may do harm, or needs thought, even if nothing was answered.
    once: bool = False

    @property
    def repeatable(self) -> bool:
        """Whether the transport may send it again by itself."""
        return not self.once and (self.body is None or isinstance(self.body, bytes))


class Answer:
    """Status, headers and a body that is read once."""

    def __init__(self, response: "Response", step: str) -> None:
        self._response = response
        self._step = step
        self.status = response.status
        self.url = response.url

    def header(self, name: str) -> str | None:
        """The value of a header, its lines joined."""
        values = self.headers(name)
        return ", ".join(values) if values else None

    def headers(self, name: str) -> list[str]:
        """Every line of a header."""
        return self._response.headers(name)

    @property
    def length(self) -> int | None:
        """Content-Length, where it is told."""
        return self._response.length

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes; raise Unreachable when it breaks off."""
        try:
            async for piece in self._response.pieces():
                yield piece
        except OSError as error:
            raise Unreachable(f"{self._step}: the answer broke off: {_told(error)}") from error

    async def read(self, limit: int) -> bytes:
        """The whole body; raise Garbled when it is longer than `limit` bytes."""
        parts, size = [], 0
        async for piece in self.pieces():
            size += len(piece)
            if size > limit:
                raise Garbled(f"{self._step}: the answer is longer than {limit} bytes")
            parts.append(piece)
        return b"".join(parts)

    async def refusal(self) -> Refused:
        """The error that this answer is."""
        body = b""
        with suppress(OSError):
            async with aclosing(self._response.pieces()) as pieces:
                async for piece in pieces:
                    body += piece
                    if len(body) >= ERROR_BYTES:
                        break
        return refused(self._step, self.status, self._response.content_type, body)


class Transport:
    """Connections to all hosts; made and used on one event loop, closed by `async with`."""

    def __init__(
        self,
        *,
        silence: float = SILENCE_SECONDS,
        attempts: int = ATTEMPTS,
        pause: float = FIRST_PAUSE,
        resolver: "AbstractResolver | None" = None,
    ) -> None:
        # Seconds after which a registry that says nothing is given up.
        self.silence = silence
        self._attempts = attempts
        self._pause = pause
        self._resolver = resolver
        self._connections: Connections | None = None
        # Hosts that have answered in this run.
        self._met: set[str] = set()
        self._contexts: dict[str, ssl.SSLContext] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._connections is not None:
            await self._connections.close()

    def _open(self) -> "Connections":
        if self._connections is None:
            from kho.remote.http import Connections  # noqa: PLC0415

            self._connections = Connections(self.silence, self._resolver)
        return self._connections

    async def is_plain(self, url: str) -> bool:
        """Whether something answers there, and it is no TLS; False where that is not certain."""
        return await self._open().is_plain(url)

    @asynccontextmanager
    async def send(self, host: Host, request: Request) -> AsyncIterator[Answer]:
        """The answer, good or expected; raise RemoteError for any other, and when none comes."""
        async with AsyncExitStack() as stack:
            yield await self._insist(stack, host, request)

    async def _insist(self, stack: AsyncExitStack, host: Host, request: Request) -> Answer:
        """Ask until there is an answer, which the stack then closes."""
        pause = self._pause
        for left in reversed(range(self._attempts)):
            error, rest = await self._try(stack, host, request)
            if isinstance(error, Answer):
                return error
            if host.name not in self._met and left < self._attempts - STRANGERS:
                left = 0  # noqa: PLW2901 - more likely a wrong name than a bad moment
            passing = isinstance(error, Unreachable) or (
                isinstance(error, Refused) and error.status in _PASSING
            )
            if not (left and passing and request.repeatable) or (rest or 0) > PATIENCE:
                raise error
            wait = rest if rest is not None else pause * random.uniform(0.5, 1.0)  # noqa: S311
            log.info("%s; again in %.1f s", error, wait)
            await asyncio.sleep(wait)
            pause = min(pause * 2, LONGEST_PAUSE)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _try(
        self, stack: AsyncExitStack, host: Host, request: Request
    ) -> tuple[Answer | RemoteError, float | None]:
        """One attempt: the answer or what is wrong, and how long the registry wants to rest."""
        try:
            async with AsyncExitStack() as own:
                answer = await own.enter_async_context(self._follow(host, request))
                self._met.add(host.name)
                if _is_good(answer, request):
                    await stack.enter_async_context(own.pop_all())
                    return answer, None
                refusal = await answer.refusal()
                refusal.retry_after = _rest(answer)
                return refusal, refusal.retry_after
        except Unreachable as cut:
            return cut, None

    @asynccontextmanager
    async def _follow(self, host: Host, request: Request) -> AsyncIterator[Answer]:
        """One attempt: the request, and where it is sent on to."""
        origin = url = urlsplit(request.url)
        headers = dict(request.headers)
        for _ in range(_HOPS + 1):
            async with self._ask(host, request, url, headers) as response:
                answer = Answer(response, request.step)
                target = answer.header("Location")
                if answer.status not in _REDIRECTS or target is None:
                    yield answer
                    return
            url = _next(request, url, target)
            if not same_origin(url, origin):
                headers = {k: v for k, v in headers.items() if k.lower() not in _PRIVATE}
        raise Garbled(f"{request.step}: redirected more than {_HOPS} times")

    @asynccontextmanager
    async def _ask(
        self, host: Host, request: Request, url: SplitResult, headers: Mapping[str, str]
    ) -> AsyncIterator["Response"]:
        try:
            response = await self._open().ask(
                request.method,
                url.geturl(),
                headers,
                request.body,
                tls=self._context(host) if url.scheme == "https" else None,
                proxy=_proxy(url),
            )
        except ssl.SSLCertVerificationError as error:
            raise UntrustedServer(
                f"{request.step}: the certificate of {url.netloc} does not hold:"
                f" {printable(error.verify_message or str(error))}"
            ) from error
        except OSError as error:
            where = "" if url.netloc in request.step else f"{url.netloc}: "
            raise Unreachable(f"{request.step}: {where}{_told(error)}") from error
        log.debug("%s %s://%s%s %s", request.method, *url[:3], response.status)
        try:
            yield response
        finally:
            response.end()

    def _context(self, host: Host) -> ssl.SSLContext:
        """The registry's own trust, which holds for where it redirects to as well."""
        found = self._contexts.get(host.name)
        if found is None:
            try:
                found = self._contexts[host.name] = tls_context(host)
            except (OSError, ssl.SSLError) as error:
                raise UntrustedServer(f"certificates for {host.name}: {error}") from error
        return found


def same_origin(one: SplitResult, other: SplitResult) -> bool:
    """Scheme, host and port."""
    return origin(one) == origin(other)


def origin(url: SplitResult) -> tuple[str, str | None, int | None]:
    """What a secret is bound to."""
    return url.scheme, url.hostname, url.port or _PORTS.get(url.scheme)


def _is_good(answer: Answer, request: Request) -> bool:
    return 200 <= answer.status < 300 or answer.status in request.expected  # noqa: PLR2004


def _next(request: Request, url: SplitResult, target: str) -> SplitResult:
    """Where a redirect leads; raise where it must not be followed."""
    try:
        found = urlsplit(urljoin(url.geturl(), target))
        _ = found.port
    except ValueError as error:
        raise Garbled(f"{request.step}: redirected to no URL") from error
    shown = f"{found.scheme}://{printable(found.netloc)}"
    if found.scheme not in _PORTS or not found.hostname or found.username is not None:
        raise Garbled(f"{request.step}: redirected to {shown}, which is no web address")
    if url.scheme == "https" and found.scheme == "http":
        raise Garbled(f"{request.step}: redirected from https to {shown}")
    if request.method not in _READS and not same_origin(found, url):
        raise CredentialsHeld(f"{request.step}: the upload was sent on to {shown}: not followed")
    if request.method not in _READS and not request.repeatable:
        raise Garbled(f"{request.step}: redirected in mid-upload")
    return found._replace(fragment="")


def _proxy(url: SplitResult) -> str | None:
    """What HTTPS_PROXY, HTTP_PROXY and NO_PROXY say of this address."""
    if url.hostname is None or is_loopback(url.hostname):
        return None
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415 - 30 ms

    if proxy_bypass(url.hostname):
        return None
    return getproxies().get(url.scheme)


def _rest(answer: Answer) -> float | None:
    """Retry-After in seconds, from either of its forms."""
    text = (answer.header("Retry-After") or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - 10 ms

    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time())
    except (ValueError, TypeError):
        return None


def _told(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return printable(str(error)) or type(error).__name__
