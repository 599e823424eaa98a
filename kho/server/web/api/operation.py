"""An operation of the API: a row of its table, and how its answer is made.

request ─► path, query, body, each checked ─► function ─► struct ─► JSON with its ETag
                └── Mistakes ─► 400                └── Refused, RegistryError ─► problem+json
"""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

import msgspec
from msgspec import Struct

from kho.oci.digest import Digest
from kho.server.index.errors import NotFound
from kho.server.policy.access import Action, By, Caller
from kho.server.resources import Resources
from kho.server.web.api.paging import link_next
from kho.server.web.api.problems import Mistakes
from kho.server.web.api.reading import JSON, body_of, query_of
from kho.server.web.request import Answer, Audience, Request, Response, StreamResponse
from kho.server.web.route import Route
from kho.server.web.v2.answers import etag_matches

PREFIX: Final = "/api/v1"
BODY_BYTES: Final = 64 * 1024

Q = TypeVar("Q")
B = TypeVar("B")


class Given(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What callers send: a query or a body."""


class Told(Struct, frozen=True, kw_only=True):
    """What callers are told."""


class Nothing(Given, frozen=True):
    """No query, or no body."""


@dataclass(frozen=True, slots=True)
class Call(Generic[Q, B]):
    """A request as an operation's function sees it: all that it says was checked."""

    request: Request
    query: Q
    body: B

    @property
    def caller(self) -> Caller:
        """Who asks, and from where."""
        return self.request.caller

    @property
    def by(self) -> By:
        """Whom the audit trail names."""
        return self.request.caller.by

    @property
    def name(self) -> str:
        """The repository that the path names."""
        return self.request.values.name

    @property
    def digest(self) -> Digest:
        """The digest that the path names."""
        assert self.request.values.digest is not None
        return self.request.values.digest

    def part(self, name: str) -> str:
        """Another part of the path."""
        return self.request.values.parts[name]


Function = Callable[[Resources, Call[Any, Any]], Awaitable[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A row: `id` is what generated clients call it, `noun` what lists and metrics file it under.

    `function` returns what `answer` says, a struct; None is 204. It may return a Response or a
    StreamResponse itself: `media_types` says then what they are.
    """

    id: str
    noun: str
    method: str
    path: str
    action: Action
    summary: str
    function: Function
    query: type[Struct] = Nothing
    body: type[Struct] | None = None
    answer: Any = None
    status: int = 200
    media_types: tuple[str, ...] = (JSON,)
    most_bytes: int = BODY_BYTES
    more: dict[str, Any] = field(default_factory=dict)  # further facts for the OpenAPI document

    @property
    def template(self) -> str:
        """The whole path."""
        return PREFIX + self.path

    @property
    def route(self) -> Route:
        """The row of the URL table."""
        return Route(
            f"api.{self.noun}",
            self.method,
            self.template,
            self.action,
            self.handle,
            Audience.PROGRAMS,
            index=True,
        )

    async def handle(self, resources: Resources, request: Request) -> Answer:
        """Decode, call, encode."""
        parts = request.values.parts.items()
        if not all(text.isprintable() for part, text in parts if part != "path"):
            raise NotFound("there is no such thing: the path has characters that no name has")
        call = Call(request, query_of(request, self.query), await self._body(request))
        found = await self.function(resources, call)
        if isinstance(found, Response | StreamResponse):
            return found
        if self.answer is None:
            return Response(204, [(b"cache-control", b"no-store")])
        return self._encoded(request, found)

    async def _body(self, request: Request) -> Struct | None:
        if self.body is not None:
            return await body_of(request, self.body, self.most_bytes)
        if request.has_body and self.method != "GET":
            raise Mistakes("the body is not right", ["the body: none is taken here"])
        return None

    def _encoded(self, request: Request, found: object) -> Response:
        body = msgspec.json.encode(found)
        headers = [
            (b"content-type", JSON.encode("ascii")),
            (b"content-length", b"%d" % len(body)),
            (b"x-content-type-options", b"nosniff"),
        ]
        following = getattr(found, "next", None)
        if isinstance(following, str):
            name, text = link_next(request, following)
            headers.append((name.lower().encode("ascii"), text.encode("ascii")))
        if self.method != "GET":
            return Response(self.status, [*headers, (b"cache-control", b"no-store")], body)
        tag = hashlib.sha256(body).hexdigest()[:32]
        kept = [
            (b"etag", f'"{tag}"'.encode("ascii")),
            (b"cache-control", b"private, no-cache"),
            (b"vary", b"Authorization, Cookie"),
        ]
        if etag_matches(request.header(b"if-none-match"), tag):
            return Response(304, kept)
        return Response(self.status, [*headers, *kept], body)
