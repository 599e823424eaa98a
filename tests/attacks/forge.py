"""A forger of tokens: the registry's key, the attacker's own, and the parts of a JWS."""

import base64
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

from kho.oci.scope import Scope
from kho.server.index.tokens import bearer as tokens
from kho.server.index.tokens import keys
from kho.server.index.tokens.keys import SigningKey
from kho.server.resources import Resources

Json = dict[str, Any]

ABSENT = object()
EVERYTHING = Scope("repository", "team/app", frozenset({"pull", "push", "delete", "*"}))


def encode(content: bytes | str) -> str:
    """base64url without padding."""
    data = content if isinstance(content, bytes) else content.encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def es256(private: ec.EllipticCurvePrivateKey, content: bytes) -> bytes:
    """Sign as JWS does: r and s, 32 bytes each."""
    r, s = decode_dss_signature(private.sign(content, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def public_jwk(private: ec.EllipticCurvePrivateKey) -> Json:
    """The public half."""
    numbers = private.public_key().public_numbers()
    x, y = (encode(one.to_bytes(32, "big")) for one in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": "P-256", "x": x, "y": y, "alg": "ES256", "use": "sig"}


def thumbprint(jwk: Json) -> str:
    """RFC 7638."""
    members = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    text = json.dumps(members, separators=(",", ":"))
    return encode(hashlib.sha256(text.encode()).digest())


def certificate(private: ec.EllipticCurvePrivateKey) -> str:
    """A self-signed certificate, as x5c has it."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "registry")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(private, hashes.SHA256())
    )
    return base64.b64encode(made.public_bytes(serialization.Encoding.DER)).decode()


@dataclass
class Forge:
    """The registry's key and what a right token of it says."""

    key: SigningKey
    issuer: str
    service: str
    subject: str = "user:alice"
    url: str = "https://attacker.example/keys"
    own: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def header(self, **changed: object) -> Json:
        """A right header, but for what is changed (ABSENT takes away)."""
        right = {"alg": "ES256", "kid": self.key.kid, "typ": "JWT"}
        return {key: one for key, one in {**right, **changed}.items() if one is not ABSENT}

    def claims(self, **changed: object) -> Json:
        """Right claims, but for what is changed."""
        now = int(time.time())
        right = {
            "iss": self.issuer,
            "sub": self.subject,
            "aud": self.service,
            "exp": now + 3600,
            "nbf": now,
            "iat": now,
            "jti": "forged",
            "access": [EVERYTHING.claim()],
            "kho": {"source": "local", "credential": None},
        }
        return {key: one for key, one in {**right, **changed}.items() if one is not ABSENT}

    def token(
        self,
        header: Json | str | bytes,
        claims: Json | str | bytes,
        sign: Callable[[bytes], bytes],
    ) -> str:
        """The three parts; texts are taken as they are."""
        first, second = (
            encode(json.dumps(one) if isinstance(one, Mapping) else one) for one in (header, claims)
        )
        content = f"{first}.{second}"
        return f"{content}.{encode(sign(content.encode()))}"

    def trusted(self, content: bytes) -> bytes:
        """A signature of the registry."""
        return es256(self.key.private, content)

    def foreign(self, content: bytes) -> bytes:
        """A signature of the attacker."""
        return es256(self.own, content)

    def right(self, **changed: object) -> str:
        """What the registry would believe, but for what is changed in the claims."""
        return self.token(self.header(), self.claims(**changed), self.trusted)


async def forge(resources: Resources, **given: Any) -> Forge:
    """For the key that signs in a registry; `subject` and `url` (the attacker's) may be given."""
    key = await keys.signing(resources)
    config = resources.config
    return Forge(key, tokens.issuer_of(config), config.auth.service, **given)
