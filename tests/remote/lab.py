"""Servers that answer as told, under any name: every name leads to this machine's loopback."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from kho.remote.transport import Transport

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Everywhere(AbstractResolver):
    """All names are 127.0.0.1."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        del family
        return [
            {
                "hostname": host,
                "host": "127.0.0.1",
                "port": port,
                "family": socket.AF_INET,
                "proto": 0,
                "flags": socket.AI_NUMERICHOST,
            }
        ]

    async def close(self) -> None:
        """Nothing is held."""


@dataclass(frozen=True)
class Seen:
    """A request that arrived."""

    method: str
    host: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def authorization(self) -> str | None:
        return self.headers.get("Authorization")


@dataclass
class Lab:
    """One server; what it saw."""

    port: int
    seen: list[Seen] = field(default_factory=list)

    def name(self, host: str = "127.0.0.1") -> str:
        """What a client calls it."""
        return f"{host}:{self.port}"

    def asked(self, path: str) -> list[Seen]:
        """Requests whose path begins so."""
        return [one for one in self.seen if one.path.startswith(path)]


@asynccontextmanager
async def lab(answer: Handler) -> AsyncIterator[Lab]:
    """Start a server on a free port."""
    found = Lab(0)

    async def handle(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        found.seen.append(
            Seen(request.method, request.host, request.path_qs, dict(request.headers), body)
        )
        return await answer(request)

    app = web.Application(client_max_size=2**30)
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    sockets = site._server.sockets  # type: ignore[union-attr]
    found.port = sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        await runner.cleanup()


@asynccontextmanager
async def wires() -> AsyncIterator[Transport]:
    """A transport for which every name leads here, and which does not wait long."""
    async with Transport(silence=5.0, resolver=Everywhere(), pause=0.01) as transport:
        yield transport
