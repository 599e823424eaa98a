"""GHCR: even what is public wants a token, and the ping's challenge names somebody else's image."""

from dataclasses import dataclass
from typing import ClassVar

from aiohttp import web

from .shape import Shape, basic_of, refused

PLACEHOLDER = "repository:user/image:pull"


@dataclass
class Github(Shape):
    """No expires_in; 403 for a wrong secret; no referrers, but by tag."""

    hides: ClassVar[frozenset[str]] = frozenset({"oci-subject"})

    name: str = "github"
    host: str = "ghcr.io"
    cdn_host: str = "pkg-containers.githubusercontent.com"
    realm: str = "https://ghcr.io/token"
    service: str = "ghcr.io"
    public: tuple[str, ...] = ("public/",)

    def required(self, request: web.Request) -> str:
        return super().required(request) or PLACEHOLDER

    async def token(self, request: web.Request) -> web.StreamResponse | None:
        if request.path != "/token":
            return None
        found = basic_of(request)
        scopes = request.query.getall("scope", [])
        if PLACEHOLDER in scopes or (found is not None and found != (self.user, self.secret)):
            return refused(403, "DENIED", "denied")
        return web.json_response({"token": self.issue(found[0] if found else "", scopes, 60)})

    async def registry(self, request: web.Request) -> web.StreamResponse:
        if "/referrers/" in request.path:
            return web.Response(status=404, text="404 page not found")
        return await super().registry(request)
