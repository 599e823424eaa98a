"""ACR: refresh tokens under a user name of zeros, and forms that want nothing else."""

import secrets
from dataclasses import dataclass, field

from aiohttp import web

from .shape import Shape, basic_of, refused

ZEROS = "00000000-0000-0000-0000-000000000000"


def no() -> web.Response:
    """Wrong name or password."""
    return refused(401, "UNAUTHORIZED", "authentication required")


@dataclass
class Azure(Shape):
    """`secret` is a refresh token, which `exchange` gives for an access token of the directory."""

    name: str = "azure"
    host: str = "kholab.azurecr.io"
    cdn_host: str = "weureplstore10.blob.core.windows.net"
    realm: str = "https://kholab.azurecr.io/oauth2/token"
    service: str = "kholab.azurecr.io"
    user: str = ZEROS
    own: str = ""
    directory_token: str = field(default_factory=lambda: f"aad-{secrets.token_hex(16)}")

    @property
    def reference(self) -> str:
        return f"{self.host}/kholab/app"

    async def token(self, request: web.Request) -> web.StreamResponse | None:
        if request.path == "/oauth2/exchange" and request.method == "POST":
            return await self._exchange(request)
        if request.path != "/oauth2/token":
            return None
        if request.method == "GET":
            right = basic_of(request) == (self.user, self.secret)
            return self._access(request.query.getall("scope", [])) if right else no()
        return await self._form(request)

    async def _form(self, request: web.Request) -> web.Response:
        form = await request.post()
        if form.get("grant_type") != "refresh_token" or "service" not in form:
            return refused(400, "UNSUPPORTED", "grant_type is not supported")
        if form.get("refresh_token") != self.secret:
            return refused(401, "UNAUTHORIZED", "refresh token is not valid")
        return self._access([str(form.get("scope", ""))])

    def _access(self, scopes: list[str]) -> web.Response:
        return web.json_response({"access_token": self.issue(self.user, scopes)})

    async def _exchange(self, request: web.Request) -> web.Response:
        form = await request.post()
        right = form.get("grant_type") == "access_token" and form.get("service") == self.host
        if not right or form.get("access_token") != self.directory_token:
            return refused(401, "UNAUTHORIZED", "the token of the directory is not valid")
        return web.json_response({"refresh_token": self.secret})
