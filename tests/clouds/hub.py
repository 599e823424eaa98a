"""Docker Hub: its token server is another host of the domain; it counts pulls, lists nothing."""

from dataclasses import dataclass, field
from typing import ClassVar

from aiohttp import web

from .shape import Shape, basic_of, refused


@dataclass
class Hub(Shape):
    """`busy` requests for manifests are refused first; a refresh token is given to who asks.

    Its search, which is not the registry's, knows one image.
    """

    lists: ClassVar[bool] = False

    name: str = "hub"
    host: str = "registry-1.docker.io"
    also: tuple[str, ...] = ("index.docker.io",)
    auth_host: str = "auth.docker.io"
    cdn_host: str = "production.cloudflare.docker.com"
    realm: str = "https://auth.docker.io/token"
    service: str = "registry.docker.io"
    user: str = "kholab"
    public: tuple[str, ...] = ("library/",)
    busy: int = 0
    rest: int = 1
    left: int = 100
    refresh: dict[str, str] = field(default_factory=dict)

    @property
    def reference(self) -> str:
        return "docker.io/kholab/app"

    async def token(self, request: web.Request) -> web.StreamResponse | None:
        if (request.host, request.path) == ("index.docker.io", "/v1/search"):
            return self._search(request.query.get("q", ""))
        return await self._token(request) if request.host == self.auth_host else None

    def _search(self, term: str) -> web.Response:
        name = f"{self.own}app"
        hit = {"name": name, "description": "of the lab", "star_count": 7}
        return web.json_response({"query": term, "results": [hit] if term in name else []})

    async def _token(self, request: web.Request) -> web.Response:
        if request.path != "/token":
            return web.Response(status=404)
        if request.method == "POST":
            form = await request.post()
            user = self.refresh.get(str(form.get("refresh_token", "")))
            if form.get("grant_type") != "refresh_token" or user is None:
                return refused(401, "UNAUTHORIZED", "incorrect username or password")
            return self._told(user, [str(form.get("scope", ""))], offline=False)
        found = basic_of(request)
        if found is not None and found != (self.user, self.secret):
            return web.json_response({"details": "incorrect username or password"}, status=401)
        offline = found is not None and request.query.get("offline_token") == "true"
        scopes = request.query.getall("scope", [])
        return self._told(found[0] if found else "", scopes, offline=offline)

    def _told(self, user: str, scopes: list[str], *, offline: bool) -> web.Response:
        text = self.issue(user, scopes)
        value: dict[str, object] = {"token": text, "access_token": text, "expires_in": 300}
        if offline:
            value["refresh_token"] = f"dckr_{text[4:]}"
            self.refresh[str(value["refresh_token"])] = user
        return web.json_response(value)

    async def registry(self, request: web.Request) -> web.StreamResponse:
        if "/manifests/" not in request.path or request.method not in ("GET", "HEAD"):
            return await super().registry(request)
        if self.busy:
            self.busy -= 1
            told = "You have reached your pull rate limit."
            return refused(429, "TOOMANYREQUESTS", told, {"Retry-After": str(self.rest)})
        self.left -= request.method == "GET"
        return await super().registry(request)
