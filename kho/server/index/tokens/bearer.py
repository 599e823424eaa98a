"""The tokens of `/token`: JWTs that our own keys sign and that only our own keys verify.

A token is a ceiling for its bearer, no more: what its subject may do is looked up at each request.
"""

import base64
import json
import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from kho.oci.errors import InvalidRequest, Unauthorized
from kho.oci.scope import Scope
from kho.server.config import Config
from kho.server.index.jose.jws import Jws, Key, Untrusted, check_signature, check_times, parse
from kho.server.index.tokens import keys
from kho.server.policy.identity import Claims
from kho.server.resources import Resources

LARGEST: Final = 8192  # characters
_UNNAMED: Final = "khod"
_TEXTS: Final = ("iss", "sub", "aud", "jti")
_TIMES: Final = ("exp", "nbf", "iat")


class Issued(NamedTuple):
    """A token, its lifetime in seconds, and when it began (RFC 3339, UTC)."""

    token: str
    expires_in: int
    issued_at: str


def issuer_of(config: Config) -> str:
    """What tokens of this registry name as their issuer."""
    return config.http.public_url or _UNNAMED


async def issue(
    resources: Resources,
    *,
    subject: str,
    source: str,
    credential: int | None,
    access: Sequence[Scope],
    rule: str | None = None,
) -> Issued:
    """Sign a token for `subject`, which is empty for nobody; `rule` lets a workload in.

    Raises InvalidRequest when so much access does not fit into a token.
    """
    key = await keys.signing(resources)
    config = resources.config
    now = int(time.time())
    lifetime = int(config.auth.token_seconds)
    claims = {
        "iss": issuer_of(config),
        "sub": subject,
        "aud": config.auth.service,
        "exp": now + lifetime,
        "nbf": now,
        "iat": now,
        "jti": secrets.token_urlsafe(16),
        "access": [scope.claim() for scope in access],
        "kho": {"source": source, "credential": credential, "rule": rule},
    }
    header = {"alg": keys.ALGORITHM, "kid": key.kid, "typ": "JWT"}
    signed = f"{_encoded(header)}.{_encoded(claims)}"
    token = f"{signed}.{_base64(_sign(signed.encode('ascii'), key))}"
    if len(token) > LARGEST:
        raise InvalidRequest(
            "the access asked for does not fit into a token of %(most)s characters; ask"
            " for fewer repositories at once",
            most=LARGEST,
        )
    began = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Issued(token, lifetime, began)


def _sign(content: bytes, key: keys.SigningKey) -> bytes:
    from jwt.algorithms import ECAlgorithm  # noqa: PLC0415

    return ECAlgorithm(ECAlgorithm.SHA256).sign(content, key.private)


def _encoded(value: object) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode("ascii"))


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")


async def verify(resources: Resources, token: str) -> Claims:
    """What a token of ours says. Raises Unauthorized."""
    try:
        jws = parse(token, LARGEST)
        if jws.header.get("typ", "JWT") != "JWT":
            raise Untrusted("the token's typ is not JWT")
        await _check_signature(resources, jws)
        return _claims(jws, resources.config)
    except Untrusted as error:
        raise Unauthorized("the token is not valid: %(error)s", error=error) from None


async def _check_signature(resources: Resources, jws: Jws) -> None:
    if jws.kid is None:
        raise Untrusted("the token names no key")
    if jws.algorithm != keys.ALGORITHM:  # before the key is looked for: that may cost a read
        raise Untrusted(f"the token's algorithm is not {keys.ALGORITHM}")
    key = await keys.believed(resources, jws.kid)
    if key is None:
        raise Untrusted("the token's key is unknown")
    check_signature(jws, Key(key.kid, key.public, (keys.ALGORITHM,)))


def _claims(jws: Jws, config: Config) -> Claims:
    claims = jws.claims
    for name in _TEXTS:
        if not isinstance(claims.get(name), str):
            raise Untrusted(f"the token's {name} is missing or not text")
    for name in _TIMES:
        if type(claims.get(name)) is not int:  # bool is an int, too
            raise Untrusted(f"the token's {name} is missing or not a whole number")
    if claims["iss"] != issuer_of(config):
        raise Untrusted("the token is of another issuer")
    if claims["aud"] != config.auth.service:
        raise Untrusted("the token is for another service")
    if not claims["jti"]:
        raise Untrusted("the token's jti is empty")
    end = check_times(claims, time.time(), _TIMES)
    source, credential, rule = _private(claims.get("kho"))
    return Claims(claims["sub"], source, credential, _access(claims.get("access")), end, rule)


def _private(value: object) -> tuple[str, int | None, str | None]:
    if isinstance(value, dict):
        source, credential, rule = (value.get(key) for key in ("source", "credential", "rule"))
        whole = isinstance(credential, int) and not isinstance(credential, bool)
        named = rule is None or isinstance(rule, str)
        if isinstance(source, str) and (credential is None or whole) and named:
            return source, credential, rule
    raise Untrusted("the token's kho is missing or malformed")


def _access(value: object) -> tuple[Scope, ...]:
    if not isinstance(value, list):
        raise Untrusted("the token's access is missing or not a list")
    return tuple(map(_scope, value))


def _scope(value: object) -> Scope:
    if isinstance(value, dict):
        kind, name, actions = (value.get(key) for key in ("type", "name", "actions"))
        texts = (kind, name, *actions) if isinstance(actions, list) else (None,)
        if all(isinstance(one, str) for one in texts):
            return Scope(str(kind), str(name), frozenset(texts[2:]))
    raise Untrusted("an entry of the token's access is malformed")
