"""Artifact Registry and GCR: access tokens of the cloud itself, as passwords and as they are."""

import json
import secrets
from dataclasses import dataclass, field

from aiohttp import web

from .shape import Shape, basic_of, refused


@dataclass
class Google(Shape):
    """`secret` is an OAuth access token; `key` is a service account's, the user `_json_key`."""

    name: str = "google"
    host: str = "europe-docker.pkg.dev"
    realm: str = "https://europe-docker.pkg.dev/v2/token"
    service: str = "europe-docker.pkg.dev"
    user: str = "oauth2accesstoken"
    own: str = "kholab/images/"
    key: str = field(
        default_factory=lambda: json.dumps(
            {"type": "service_account", "private_key": secrets.token_hex(16)}, indent=2
        )
    )

    async def token(self, request: web.Request) -> web.StreamResponse | None:
        if request.path != "/v2/token":
            return None
        if request.method != "GET":
            return web.Response(status=404, text="not found")
        found = basic_of(request)
        known = {(self.user, self.secret), ("_json_key", self.key)}
        if found is not None and found not in known:
            return refused(401, "UNAUTHORIZED", "authentication failed")
        user = self.user if found else "anonymous"
        text = self.issue(user, request.query.getall("scope", []))
        return web.json_response({"token": text, "expires_in": 3600})

    def refusal(self, request: web.Request) -> web.StreamResponse | None:
        if request.headers.get("Authorization") == f"Bearer {self.secret}":
            return None
        return super().refusal(request)
