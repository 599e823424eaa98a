"""A request as handlers see it, and the answers that they give."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final
from urllib.parse import parse_qs

from kho.oci.digest import Digest
from kho.oci.errors import BlobUploadInvalid, RegistryError, RequestTimeout, UnsupportedEncoding
from kho.server.config import Config
from kho.server.policy.access import NOBODY, Caller
from kho.server.registry.blobs import BlobReader
from kho.server.registry.uploads import BodyCut
from kho.server.web import inflow
from kho.server.web.watchdog import Watchdog

Message = inflow.Message
Scope = inflow.Message
Receive = inflow.Receive
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

QUERY_FIELDS: Final = 256
_UNKNOWN: Final = Caller(NOBODY)


class Audience(Enum):
    """Who calls: what tells who they are, and how they are told what went wrong.

    CLIENTS    the Authorization header; error bodies of the distribution specification
    PROGRAMS   the same header, or a browser's session; problem+json (RFC 9457)
    PEOPLE     a browser's session; pages, and the way to the sign-in page
    """

    CLIENTS = "clients"
    PROGRAMS = "programs"
    PEOPLE = "people"


@dataclass(frozen=True, slots=True)
class Response:
    """A short answer, in memory."""

    status: int
    headers: Headers
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class BlobResponse:
    """A blob's bytes from `start` to `stop`; whoever sends it closes the reader."""

    status: int
    headers: Headers
    reader: BlobReader
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class StreamResponse:
    """An answer whose pieces are made while they are sent; whoever sends it closes them."""

    status: int
    headers: Headers
    pieces: AsyncGenerator[bytes, None]


Answer = Response | BlobResponse | StreamResponse


@dataclass(frozen=True, slots=True)
class Values:
    """What the URL says, parsed."""

    name: str = ""
    digest: Digest | None = None
    reference: Digest | str = ""
    upload_id: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)  # others, by their names


NO_VALUES: Final = Values()


def _is_api(path: str) -> bool:
    return path.startswith("/api/")


class Request:
    """One request. The body can be read once."""

    __slots__ = (
        "_headers",
        "_query",
        "audience",
        "body_done",
        "caller",
        "config",
        "inflow",
        "scope",
        "values",
    )

    def __init__(self, scope: Scope, receive: Receive, config: Config) -> None:
        self.scope = scope
        self.inflow = inflow.Inflow(receive)
        self.config = config
        self.caller = _UNKNOWN  # until auth.admit has found out
        self.values = NO_VALUES
        # Until the row of the URL table says it.
        self.audience = Audience.PROGRAMS if _is_api(self.path) else Audience.CLIENTS
        self.body_done = False
        self._headers: Headers = scope["headers"]
        self._query: dict[str, list[str]] | None = None

    @property
    def method(self) -> str:
        """In capitals."""
        return str(self.scope["method"])

    @property
    def path(self) -> str:
        """Decoded once, by the server."""
        return str(self.scope["path"])

    def header(self, name: bytes) -> str | None:
        """All lines of a header joined with commas; `name` in lower case."""
        found = [value for key, value in self._headers if key == name]
        return b",".join(found).decode("latin-1") if found else None

    def query_all(self, key: str) -> list[str]:
        """Every value of a query parameter."""
        if self._query is None:
            text = self.scope["query_string"].decode("latin-1")
            if "%00" in text:
                raise BlobUploadInvalid("a NUL character in the query")
            try:
                self._query = parse_qs(text, keep_blank_values=True, max_num_fields=QUERY_FIELDS)
            except ValueError as error:
                raise BlobUploadInvalid(
                    "more than %(most)s query parameters", most=QUERY_FIELDS
                ) from error
        return self._query.get(key, [])

    def query(self, key: str) -> str | None:
        """The first value of a query parameter."""
        found = self.query_all(key)
        return found[0] if found else None

    @property
    def content_length(self) -> int | None:
        """What the header announces; the server has checked that it is a number."""
        text = self.header(b"content-length")
        return int(text) if text is not None and text.isascii() and text.isdigit() else None

    @property
    def has_body(self) -> bool:
        """Whether bytes may follow the headers."""
        return self.header(b"transfer-encoding") is not None or bool(self.content_length)

    async def chunks(self, *, ahead: bool = False) -> AsyncIterator[bytes]:
        """The body as it comes; `ahead` takes more of it than was asked for, where that is cheaper.

        Raises BodyCut when the client leaves, RequestTimeout when it stalls or drips.
        """
        self._check_coding()
        http = self.config.http
        clock = asyncio.get_running_loop().time
        started, total, expected = clock(), 0, self.content_length
        watchdog = Watchdog(http.idle_seconds)
        try:
            while not self.body_done:
                message = await watchdog.wait(self.inflow.next())
                if message["type"] == "http.disconnect":
                    self.body_done = True
                    raise BodyCut
                self.body_done = not message.get("more_body", False)
                chunk: bytes = message.get("body", b"")
                total += len(chunk)
                if self.body_done:
                    if expected is not None and total != expected:
                        raise BodyCut
                elif ahead and expected is None:
                    self.inflow.look_ahead(len(chunk))
                if chunk:
                    yield chunk
                elapsed = clock() - started
                if elapsed > http.grace_seconds and total < elapsed * http.minimum_rate:
                    raise RequestTimeout("the client sends too slowly")
        except TimeoutError as error:
            raise RequestTimeout("the client stopped sending") from error
        finally:
            watchdog.close()

    def _check_coding(self) -> None:
        if self.header(b"content-encoding") not in (None, "identity"):
            raise UnsupportedEncoding("request bodies must not be compressed")
        if self.header(b"transfer-encoding") and self.header(b"content-length"):
            raise BlobUploadInvalid("Content-Length and Transfer-Encoding exclude each other")

    async def body(self, limit: int, too_large: RegistryError) -> bytes:
        """The whole body; raise `too_large` as soon as it is over `limit` bytes."""
        expected = limit if self.content_length is None else self.content_length
        if expected > limit:
            raise too_large
        await self.inflow.hold(expected if self.has_body else 0)
        parts: list[bytes] = []
        size = 0
        async for chunk in self.chunks():
            size += len(chunk)
            if size > limit:
                raise too_large
            parts.append(chunk)
        return b"".join(parts)
