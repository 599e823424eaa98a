"""All clouds at one port, told apart by the names that they are asked under; a CA of their own."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme
from aiohttp import web

from .amazon import Ecr, EcrPublic
from .azure import Azure
from .github import Github
from .google import Google
from .hub import Hub
from .shape import Shape
from .upstream import Upstream

NAMES = ("ecr", "google", "azure", "hub", "github")


@dataclass(frozen=True)
class Sky:
    """Every cloud by its name, where they listen, and whom to trust."""

    shapes: dict[str, Shape]
    port: int
    ca: Path

    @property
    def hosts(self) -> list[str]:
        """Every name that leads here."""
        return [host for shape in self.shapes.values() for host in shape.hosts]


@asynccontextmanager
async def sky(khod: str, folder: Path, port: int = 0, part: str = "") -> AsyncIterator[Sky]:
    """Serve all clouds over TLS, before the khod at this address."""
    kinds = (Ecr, EcrPublic, Google, Azure, Hub, Github)
    shapes: list[Shape] = [kind(Upstream(khod, kind.hides)) for kind in kinds]
    for one in shapes:
        one.part = part + one.name
    by_host = {host: shape for shape in shapes for host in shape.hosts}

    async def handle(request: web.Request) -> web.StreamResponse:
        shape = by_host.get(request.host)
        return web.Response(status=421) if shape is None else await shape.answer(request)

    app = web.Application(client_max_size=2**30)
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    ca = folder / "clouds.pem"
    authority.cert_pem.write_to_path(ca)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*by_host).configure_cert(context)
    site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=context)
    await site.start()
    sockets = site._server.sockets  # type: ignore[union-attr]
    try:
        yield Sky({one.name: one for one in shapes}, sockets[0].getsockname()[1], ca)
    finally:
        await runner.cleanup()
        for one in shapes:
            await one.upstream.close()
