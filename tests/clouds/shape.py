"""What the clouds have in common: hosts, tokens, blobs at a CDN; each differs where it says so.

registry host ─► right token? ─► khod            blob GET ─► 307 ─► CDN, by a ticket in the URL
token host    ─► Basic, form ─► token                         └► 400 where Authorization comes too
"""

import base64
import binascii
import secrets
from abc import ABC
from collections.abc import Callable
from dataclasses import dataclass, field
from time import time
from typing import ClassVar

from aiohttp import web

from .upstream import Upstream, name_of

Scopes = dict[str, set[str]]
_NEEDS = {"GET": {"pull"}, "HEAD": {"pull"}, "DELETE": {"delete"}}
_READS = {"GET", "HEAD"}
_CATALOG = "/v2/_catalog"


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that arrived."""

    method: str
    host: str
    path: str
    query: dict[str, list[str]]
    authorization: str | None


@dataclass(frozen=True, slots=True)
class Given:
    """A token: whose, for what, until when."""

    user: str
    scopes: Scopes
    ends: float


@dataclass
class Shape(ABC):
    """One cloud. `user` and `secret` may do everything in `own`; what is `public` all may pull.

    `part` is its part of khod.
    """

    hides: ClassVar[frozenset[str]] = frozenset()
    # Whether users are told which repositories there are.
    lists: ClassVar[bool] = True

    upstream: Upstream
    name: str = ""
    part: str = ""
    host: str = ""
    auth_host: str = ""
    cdn_host: str = ""
    # Other names of the registry.
    also: tuple[str, ...] = ()
    user: str = "alice"
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    own: str = "kholab/"
    public: tuple[str, ...] = ()
    clock: Callable[[], float] = time
    seen: list[Seen] = field(default_factory=list)
    given: dict[str, Given] = field(default_factory=dict)
    tickets: dict[str, str] = field(default_factory=dict)

    @property
    def hosts(self) -> tuple[str, ...]:
        """Every name that it answers to."""
        return tuple(
            dict.fromkeys(filter(None, (self.host, self.auth_host, self.cdn_host, *self.also)))
        )

    @property
    def reference(self) -> str:
        """How users write a repository of theirs."""
        return f"{self.host}/{self.own}app"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """What comes back."""
        query = {key: request.query.getall(key) for key in request.query}
        sent = request.headers.get("Authorization")
        self.seen.append(Seen(request.method, request.host, request.path, query, sent))
        if request.host == self.cdn_host:
            return await self._from_cdn(request)
        token = await self.token(request)
        if token is not None:
            return token
        if request.host not in (self.host, *self.also) or not request.path.startswith("/v2/"):
            return web.Response(status=404, text="no such page")
        return self.refusal(request) or await self.registry(request)

    async def token(self, _request: web.Request) -> web.StreamResponse | None:
        """The token server's answer, where it is asked."""
        return None

    def refusal(self, request: web.Request) -> web.StreamResponse | None:
        """None for those who may."""
        scheme, _, text = (request.headers.get("Authorization") or "").partition(" ")
        given = self.given.get(text) if scheme.lower() == "bearer" else None
        if given is None or given.ends <= self.clock():
            return self.challenge(request, self.required(request))
        name = "registry:catalog" if request.path == _CATALOG else name_of(request.path)
        if name and not self.needs(request) <= given.scopes.get(name, set()):
            return self.challenge(request, self.required(request), "insufficient_scope")
        return None

    def needs(self, request: web.Request) -> set[str]:
        """The actions of a method."""
        if request.path == _CATALOG:
            return {"*"}
        return _NEEDS.get(request.method, {"pull", "push"})

    def required(self, request: web.Request) -> str:
        """The scope that the challenge tells."""
        if request.path == _CATALOG:
            return "registry:catalog:*"
        name = name_of(request.path)
        return f"repository:{name}:{','.join(sorted(self.needs(request)))}" if name else ""

    def challenge(self, _request: web.Request, scope: str, error: str = "") -> web.Response:
        """401 as this cloud says it."""
        parts = f'Bearer realm="{self.realm}",service="{self.service}"'
        parts += f',scope="{scope}"' if scope else ""
        parts += f',error="{error}"' if error else ""
        return refused(401, "UNAUTHORIZED", "authentication required", {"WWW-Authenticate": parts})

    realm: str = ""
    service: str = ""

    async def registry(self, request: web.Request) -> web.StreamResponse:
        """The content; blobs are read elsewhere."""
        if self.cdn_host and "/blobs/sha256:" in request.path and request.method == "GET":
            ticket = secrets.token_urlsafe(8)
            self.tickets[ticket] = request.path
            place = f"https://{self.cdn_host}/data/{ticket}"
            return web.Response(status=307, headers={"Location": place})
        return await self.upstream.pass_on(request, self.part)

    async def _from_cdn(self, request: web.Request) -> web.StreamResponse:
        if "Authorization" in request.headers:
            return web.Response(status=400, text="Only one auth mechanism allowed")
        path = self.tickets.get(request.path.removeprefix("/data/"))
        if path is None:
            return web.Response(status=403, text="no such ticket")
        return await self.upstream.pass_on(request, self.part, path)

    def issue(self, user: str, scopes: list[str], seconds: float = 300) -> str:
        """A token for what the user may of what he asked."""
        text = f"tok-{secrets.token_urlsafe(24)}"
        allowed: Scopes = {}
        for scope in " ".join(scopes).split():
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            if kind == "repository":
                allowed.setdefault(name, set()).update(
                    set(actions.split(",")) & self.may(user, name)
                )
            elif scope == "registry:catalog:*" and self.lists and user == self.user:
                allowed["registry:catalog"] = {"*"}
        self.given[text] = Given(user, allowed, self.clock() + seconds)
        return text

    def may(self, user: str, name: str) -> set[str]:
        """Everything in one's own part, reading what is public."""
        if user == self.user and name.startswith(self.own):
            return {"pull", "push", "delete"}
        return {"pull"} if name.startswith(self.public) and self.public else set()


def basic_of(request: web.Request) -> tuple[str, str] | None:
    """Name and password of a request."""
    scheme, _, text = (request.headers.get("Authorization") or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(text).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return user, password


def refused(
    status: int, code: str, message: str, headers: dict[str, str] | None = None
) -> web.Response:
    """An error body of the distribution specification."""
    value = {"errors": [{"code": code, "message": message}]}
    return web.json_response(value, status=status, headers=headers)
