"""Public keys of others, as JWKS, certificates and key ids name them."""

import base64
import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from kho.server.identity_settings import ALGORITHMS
from kho.server.index.jose.jws import Key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

RSA_ALGORITHMS: Final = tuple(one for one in ALGORITHMS if one[:2] in {"RS", "PS"})
_MOST_KEYS: Final = 256
_RSA_BITS: Final = (2048, 8192)  # a longer one costs too much for each token that names it
_BY_CURVE: Final = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "Ed25519": "EdDSA"}
_CURVE_NAMES: Final = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
# Members of RFC 7638 for each type: what a key is, and nothing private.
_MEMBERS: Final = {
    "RSA": ("e", "kty", "n"),
    "EC": ("crv", "kty", "x", "y"),
    "OKP": ("crv", "kty", "x"),
}


def keys_of(document: Mapping[str, object], rsa: Collection[str]) -> list[Key]:
    """The signature keys of a JWKS that can be used; others are passed over.

    `rsa` are the algorithms of an RSA key that names none. Raises ValueError for what is no JWKS.
    """
    listed = document.get("keys")
    if not isinstance(listed, list) or len(listed) > _MOST_KEYS:
        raise ValueError(f"not a JWKS: keys must be a list of at most {_MOST_KEYS}")
    found = (_key(one, rsa) for one in listed if isinstance(one, dict))
    return [one for one in found if one is not None]


def _key(jwk: Mapping[str, object], rsa: Collection[str]) -> Key | None:
    if jwk.get("use", "sig") != "sig":
        return None
    try:
        public = _public(jwk)
    except (ValueError, TypeError, KeyError):
        return None
    fitting = algorithms_of(public, rsa) if "alg" not in jwk else algorithms_of(public)
    if "alg" in jwk:
        fitting = tuple(one for one in fitting if one == jwk["alg"])
    kid = jwk.get("kid")
    return Key(kid if isinstance(kid, str) else None, public, fitting) if fitting else None


def _public(jwk: Mapping[str, object]) -> Any:  # noqa: ANN401  one of three unrelated classes
    from jwt import algorithms  # noqa: PLC0415
    from jwt.exceptions import InvalidKeyError  # noqa: PLC0415

    kinds: dict[str, Any] = {
        "RSA": algorithms.RSAAlgorithm,
        "EC": algorithms.ECAlgorithm,
        "OKP": algorithms.OKPAlgorithm,
    }
    kind = str(jwk.get("kty"))
    members = {name: jwk[name] for name in _MEMBERS[kind]}
    try:
        return kinds[kind].from_jwk(members)
    except InvalidKeyError as error:
        raise ValueError(str(error)) from error


def algorithms_of(public: object, rsa: Collection[str] = RSA_ALGORITHMS) -> tuple[str, ...]:
    """The algorithms that fit a key: for a curve there is one; none when it is too weak."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey  # noqa: PLC0415

    if isinstance(public, RSAPublicKey):
        least, most = _RSA_BITS
        return tuple(rsa) if least <= public.key_size <= most else ()
    if isinstance(public, EllipticCurvePublicKey):
        curve = _CURVE_NAMES.get(public.curve.name)
        return () if curve is None else (_BY_CURVE[curve],)
    return ("EdDSA",) if isinstance(public, Ed25519PublicKey) else ()


def names_of(public: "CertificatePublicKeyTypes") -> Iterator[str]:
    """What token servers call a certificate's key: its RFC 7638 thumbprint, its libtrust id."""
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        Encoding,
        PublicFormat,
    )

    yield thumbprint(public)
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    text = base64.b32encode(hashlib.sha256(der).digest()[:30]).decode("ascii")
    yield ":".join(text[at : at + 4] for at in range(0, len(text), 4))


def thumbprint(public: object) -> str:
    """The RFC 7638 thumbprint of a key with an algorithm (see `algorithms_of`)."""
    from jwt.algorithms import get_default_algorithms  # noqa: PLC0415

    algorithm = get_default_algorithms()[algorithms_of(public)[0]]
    jwk = algorithm.to_jwk(public, as_dict=True)
    members = {name: jwk[name] for name in _MEMBERS[jwk["kty"]]}
    text = json.dumps(members, separators=(",", ":"), sort_keys=True)
    digest = hashlib.sha256(text.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
