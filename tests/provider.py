"""An OpenID Connect provider on a loopback port that checks what it is sent, and may misbehave."""

import base64
import hashlib
import hmac
import secrets
import time
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from aiohttp import web
from cryptography.hazmat.primitives import serialization

from tests.issuer import Issuer, part

CLIENT = "kho client"
SECRET = "s3cret:+ %"


class Provider(Issuer):
    """One user, whose claims are `person`; `change` overrides claims of the ID token.

    What the client did wrong stands in `wrongs`; the provider is as strict as the good ones are.
    """

    def __init__(self, **person: object) -> None:
        super().__init__()
        self.person: dict[str, object] = {"sub": "1", "preferred_username": "alice", **person}
        self.change: dict[str, object] = {}
        self.header: dict[str, object] = {}
        self.hidden: tuple[str, ...] = ()  # claims that only the user info has
        self.methods: list[str] | None = None
        self.secret = SECRET
        self.info_sub: object = None
        self.nonce: str | None = None
        self.forged: bytes | None = None
        self.wrongs: list[str] = []
        self.forms: list[dict[str, str]] = []
        self._codes: dict[str, dict[str, str]] = {}

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/token", self._token)
        app.router.add_get("/userinfo", self._user_info)
        app.router.add_get("/{rest:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    def _configuration(self) -> dict[str, object]:
        found = {
            **super()._configuration(),
            "authorization_endpoint": f"{self.url}/authorize?tenant=1",
            "token_endpoint": f"{self.url}/token",
            "userinfo_endpoint": f"{self.url}/userinfo",
        }
        if self.methods is not None:
            found["token_endpoint_auth_methods_supported"] = self.methods
        return found

    def approve(self, url: str) -> str:
        """The person says yes: where the browser is sent back to, with a code."""
        assert url.startswith(f"{self.url}/authorize?tenant=1&"), url
        query = {key: values[0] for key, values in parse_qs(urlsplit(url).query).items()}
        assert query["response_type"] == "code"
        assert query["client_id"] == CLIENT
        assert "openid" in query["scope"].split()
        assert query["code_challenge_method"] == "S256"
        assert min(len(query[key]) for key in ("state", "nonce", "code_challenge")) >= 43
        code = secrets.token_urlsafe(16)
        self._codes[code] = query
        back = {"state": query["state"], "code": code, "iss": self.url}
        return f"{query['redirect_uri']}?{urlencode(back)}"

    async def _token(self, request: web.Request) -> web.Response:
        form = {key: str(value) for key, value in (await request.post()).items()}
        self.forms.append(form)
        wrong = self._check_client(request, form) or self._check_code(form)
        if wrong:
            self.wrongs.append(wrong)
            error = "invalid_client" if wrong == "client" else "invalid_grant"
            return web.json_response({"error": error}, status=400)
        asked = self._codes.pop(form["code"])
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.url,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": self.nonce or asked["nonce"],
            **{key: value for key, value in self.person.items() if key not in self.hidden},
            **self.change,
        }
        claims = {key: value for key, value in claims.items() if value is not None}
        answer = {"access_token": "access", "token_type": "Bearer"}
        return web.json_response({**answer, "id_token": self._id_token(claims)})

    def pem(self) -> bytes:
        """The public key as a file would have it."""
        kinds = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        pem: bytes = self.key.public_key().public_bytes(*kinds)
        return pem

    def sign_as(self, algorithm: str, secret: bytes) -> None:
        """Sign with something that is no key of ours."""
        self.header["alg"] = algorithm
        self.forged = secret

    def _id_token(self, claims: dict[str, Any]) -> str:
        if self.forged is None:
            return self.token(claims, **self.header)
        head = {"typ": "JWT", "kid": self.kid, **self.header}
        text = f"{part(head)}.{part(claims)}"
        digest = hmac.digest(self.forged, text.encode(), "sha256") if self.forged else b"-"
        return f"{text}.{part(digest)}"

    def _check_client(self, request: web.Request, form: dict[str, str]) -> str:
        name, secret = form.get("client_id", ""), form.get("client_secret", "")
        header = request.headers.get("Authorization", "")
        if header:
            text = base64.b64decode(header.removeprefix("Basic ")).decode()
            name, _, secret = (unquote(part) for part in text.partition(":"))
        return "" if (name, secret) == (CLIENT, self.secret) else "client"

    def _check_code(self, form: dict[str, str]) -> str:
        asked = self._codes.get(form.get("code", ""))
        if asked is None:
            return "code"
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != asked["code_challenge"]:
            return "verifier"
        return "" if form.get("redirect_uri") == asked["redirect_uri"] else "redirect_uri"

    async def _user_info(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != "Bearer access":
            return web.Response(status=401)
        return web.json_response({**self.person, "sub": self.info_sub or self.person["sub"]})
