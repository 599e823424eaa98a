"""An issuer of tokens on a loopback port: discovery, JWKS, and claims as CI services make them."""

import asyncio
import base64
import gzip
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Self

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

AUDIENCE = "https://registry.example"
_CURVES: dict[str, Callable[[], ec.EllipticCurve]] = {
    "ES256": ec.SECP256R1,
    "ES384": ec.SECP384R1,
    "ES512": ec.SECP521R1,
}


def make_key(algorithm: str) -> Any:
    """A private key for an algorithm."""
    if algorithm in _CURVES:
        return ec.generate_private_key(_CURVES[algorithm]())
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def part(value: object) -> str:
    """A part of a token."""
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def signed(header: Mapping[str, object], claims: Mapping[str, object], key: Any) -> str:
    """A token with that header, whatever it says; `alg` chooses how it is signed."""
    text = f"{part(header)}.{part(claims)}"
    algorithm = jwt.algorithms.get_default_algorithms()[str(header["alg"])]
    return f"{text}.{part(algorithm.sign(text.encode(), algorithm.prepare_key(key)))}"


class Issuer:
    """A server of one issuer. `misbehave` says how it answers: see `_answer`."""

    def __init__(self, algorithm: str = "RS256", path: str = "") -> None:
        self.algorithm = algorithm
        self.path = path
        self.url = ""
        self.kid = "key-1"
        self.key = make_key(algorithm)
        self.misbehave = ""
        self.named = ""  # what it calls itself, if not by its URL
        self.elsewhere = "http://127.0.0.2:1"
        self.asked: list[str] = []
        self.extra_keys: list[dict[str, object]] = []
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/{rest:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}{self.path}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Answer nobody any more."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def fetches(self) -> int:
        """How often the keys were asked for."""
        return sum(path.endswith("/openid-configuration") for path in self.asked)

    def rotate(self, kid: str) -> None:
        """Sign with a new key from now on."""
        self.kid, self.key = kid, make_key(self.algorithm)

    def jwk(self) -> dict[str, Any]:
        """The public key as the JWKS has it."""
        algorithm: Any = jwt.algorithms.get_default_algorithms()[self.algorithm]
        public: dict[str, Any] = algorithm.to_jwk(self.key.public_key(), as_dict=True)
        wanted: dict[str, Any] = {
            name: public[name] for name in ("kty", "n", "e", "crv", "x", "y") if name in public
        }
        return {**wanted, "kid": self.kid, "use": "sig", "alg": self.algorithm}

    def token(self, claims: Mapping[str, object], **header: object) -> str:
        """A token of this issuer."""
        head = {"typ": "JWT", "alg": self.algorithm, "kid": self.kid, **header}
        return signed(head, claims, self.key)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        wrong = self._wrong(request.path)
        if self.misbehave == "slow":
            await asyncio.sleep(30)
        if wrong is not None:
            return wrong
        if request.path.endswith("/.well-known/openid-configuration"):
            document = self._configuration()
        else:
            document = {"keys": [self.jwk(), *self.extra_keys]}
        if self.misbehave == "huge":
            document["pad"] = "x" * 2**20
        if self.misbehave == "packed":
            body, how = gzip.compress(json.dumps(document).encode()), {"Content-Encoding": "gzip"}
            return web.Response(body=body, headers=how)
        return web.json_response(document)

    def _wrong(self, path: str) -> web.Response | None:
        moved = None if self.misbehave == "moved" and "/moved" in path else f"/moved{path}"
        places = {"elsewhere": f"{self.elsewhere}{path}", "round": f"/moved{path}", "moved": moved}
        place = places.get(self.misbehave)
        if place is not None:
            return web.Response(status=302, headers={"Location": place})
        if self.misbehave == "text":
            return web.Response(text="<html>")
        return web.Response(status=500) if self.misbehave == "error" else None

    def _configuration(self) -> dict[str, object]:
        issuer = (
            "https://another.example" if self.misbehave == "stranger" else self.named or self.url
        )
        keys = "file:///etc/passwd" if self.misbehave == "file" else f"{self.url}/keys"
        return {"issuer": issuer, "jwks_uri": keys, "response_types_supported": ["id_token"]}


def _times(seconds: float = 300) -> dict[str, object]:
    now = int(time.time())
    return {"iat": now, "nbf": now - 5, "exp": int(now + seconds), "jti": f"jti-{time.time_ns()}"}


def github_claims(issuer: str, **changes: object) -> dict[str, object]:
    """The claims of a job of GitHub Actions, pushed to main; None takes a claim away."""
    repository = "octo/app"
    workflow = f"{repository}/.github/workflows/release.yml@refs/heads/main"
    claims: dict[str, object] = {
        "iss": issuer,
        "aud": AUDIENCE,
        "sub": f"repo:{repository}:ref:refs/heads/main",
        "repository": repository,
        "repository_id": "74",
        "repository_owner": "octo",
        "repository_owner_id": "65",
        "repository_visibility": "private",
        "ref": "refs/heads/main",
        "ref_type": "branch",
        "ref_protected": "true",
        "sha": "6f5902ac237024bdd0c176cb93063dc4",
        "workflow": "release",
        "workflow_ref": workflow,
        "workflow_sha": "6f5902ac237024bdd0c176cb93063dc4",
        "job_workflow_ref": workflow,
        "job_workflow_sha": "6f5902ac237024bdd0c176cb93063dc4",
        "event_name": "push",
        "actor": "octocat",
        "actor_id": "12",
        "base_ref": "",
        "head_ref": "",
        "run_id": "30433642",
        "run_number": "10",
        "run_attempt": "2",
        "runner_environment": "github-hosted",
        "check_run_id": "3",
        "enterprise": "octo-inc",
        "enterprise_id": "9",
        "repo_property_tier": "gold",
        **_times(),
        **changes,
    }
    return {name: value for name, value in claims.items() if value is not None}


def gitlab_claims(issuer: str, **changes: object) -> dict[str, object]:
    """The claims of a job of GitLab CI on the protected branch main."""
    claims: dict[str, object] = {
        "iss": issuer,
        "aud": AUDIENCE,
        "sub": "project_path:group/app:ref_type:branch:ref:main",
        "namespace_id": "72",
        "namespace_path": "group",
        "project_id": "20",
        "project_path": "group/app",
        "user_id": "1",
        "user_login": "sample-user",
        "user_email": "sample-user@example.com",
        "user_access_level": "developer",
        "user_identities": [{"provider": "github", "extern_uid": "2435223452345"}],
        "pipeline_id": "574",
        "pipeline_source": "push",
        "job_id": "302",
        "ref": "main",
        "ref_type": "branch",
        "ref_path": "refs/heads/main",
        "ref_protected": "true",
        "groups_direct": ["group", "group/sub"],
        "environment": "test-environment2",
        "environment_protected": "false",
        "deployment_tier": "testing",
        "environment_action": "start",
        "runner_id": 1,
        "runner_environment": "self-hosted",
        "sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
        "project_visibility": "public",
        "ci_config_ref_uri": "gitlab.example/group/app//.gitlab-ci.yml@refs/heads/main",
        "ci_config_sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
        **_times(),
        **changes,
    }
    return {name: value for name, value in claims.items() if value is not None}


def kubernetes_claims(issuer: str, **changes: object) -> dict[str, object]:
    """The claims of a pod's projected service account token."""
    namespace, account = "build", "pusher"
    claims: dict[str, object] = {
        "iss": issuer,
        "aud": [AUDIENCE],
        "sub": f"system:serviceaccount:{namespace}:{account}",
        "kubernetes.io": {
            "namespace": namespace,
            "node": {"name": "node-1", "uid": "e1b2"},
            "pod": {"name": "builder-7d", "uid": "a3c4"},
            "serviceaccount": {"name": account, "uid": "14ee3fa4-a7e2-420f-9f9a-dbc4507c3798"},
            "warnafter": int(time.time()) + 3607,
        },
        **_times(3600),
        **changes,
    }
    return {name: value for name, value in claims.items() if value is not None}
