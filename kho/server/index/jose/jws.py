"""Signed tokens of others: taken apart with care, verified with keys that we chose.

Nothing in a token says which key or which algorithm to believe: the header only names a key that
is known already, and each key has its algorithms. `jwk`, `jku` and `x5u` are never looked at.
"""

import base64
import binascii
import math
import re
from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

from kho.oci.errors import Worded
from kho.oci.strict_json import JsonRefused, parse_object

LEEWAY_SECONDS: Final = 60
_SHAPE: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)", re.ASCII)
# Each changes what was signed, or nests something else inside.
_REFUSED: Final = ("crit", "b64", "enc", "zip", "cty")
_TYPES: Final = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})


class Untrusted(Worded):
    """Why a token is not believed; one line, safe to log."""


class Jws(NamedTuple):
    """A token taken apart; nothing in it is believed yet."""

    header: Mapping[str, object]
    claims: Mapping[str, Any]
    signed: bytes
    signature: bytes

    @property
    def algorithm(self) -> str:
        """The `alg` of the header."""
        return str(self.header["alg"])

    @property
    def kid(self) -> str | None:
        """The `kid` of the header."""
        kid = self.header.get("kid")
        return kid if isinstance(kid, str) else None


class Key(NamedTuple):
    """A public key, and the algorithms with which it may have signed."""

    kid: str | None
    public: Any
    algorithms: Collection[str]


def parse(token: str, most: int) -> Jws:
    """Take a compact JWS of at most `most` characters apart. Raises Untrusted."""
    if len(token) > most:
        raise Untrusted("the token is longer than %(most)s characters", most=most)
    shape = _SHAPE.fullmatch(token)
    if shape is None:
        raise Untrusted("not a signed token: three parts of base64url with dots between")
    header, claims = (_object(part, name) for part, name in ((shape[1], "header"), (shape[2], "")))
    _check_header(header)
    signed = token.rpartition(".")[0].encode("ascii")
    return Jws(header, claims, signed, _decoded(shape[3]))


def _object(part: str, name: str) -> dict[str, object]:
    try:
        return parse_object(_decoded(part))
    except JsonRefused as error:
        raise Untrusted(
            "the token's %(part)s: %(error)s", part=name or "payload", error=error
        ) from error


def _decoded(part: str) -> bytes:
    try:
        content = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError) as error:
        raise Untrusted("a part of the token is not base64url") from error
    # Unused bits must be zero: else one token has several spellings.
    if base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii") != part:
        raise Untrusted("a part of the token is not base64url as it is written")
    return content


def _check_header(header: Mapping[str, object]) -> None:
    found = [name for name in _REFUSED if name in header]
    if found:
        raise Untrusted("the token's header has %(found)s, which is not taken here", found=found[0])
    if not isinstance(header.get("alg"), str):
        raise Untrusted("the token's header names no algorithm")
    if "kid" in header and not isinstance(header["kid"], str):
        raise Untrusted("the token's kid is not text")
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise Untrusted("the token's typ is not JWT")


def check_signature(token: Jws, key: Key) -> None:
    """Raises Untrusted unless the key signed the token with an algorithm of its own."""
    from jwt.algorithms import get_default_algorithms  # noqa: PLC0415

    if token.algorithm not in key.algorithms:
        allowed = ", ".join(sorted(key.algorithms)) or "none"
        raise Untrusted(
            "the algorithm %(algorithm)s is not the key's (%(allowed)s)",
            algorithm=ascii(token.algorithm)[:24],
            allowed=allowed,
        )
    if not get_default_algorithms()[token.algorithm].verify(
        token.signed, key.public, token.signature
    ):
        raise Untrusted("the signature does not match")


def check_times(claims: Mapping[str, object], now: float, required: Collection[str]) -> float:
    """When the token ends, in seconds since the epoch. Raises Untrusted outside of its time.

    `exp` must be there, and so must what is `required` of `iat` and `nbf`.
    """
    times = {name: _time(claims, name) for name in ("exp", "nbf", "iat")}
    for name in ("exp", *required):
        if times[name] is None:
            raise Untrusted("the token has no %(name)s", name=name)
    end = times["exp"]
    assert end is not None
    if end + LEEWAY_SECONDS <= now:
        raise Untrusted("the token expired %(seconds)s s ago", seconds=format(now - end, ".0f"))
    for name in ("nbf", "iat"):
        begin = times[name]
        if begin is not None and begin - LEEWAY_SECONDS > now:
            raise Untrusted(
                "the token's %(name)s is %(seconds)s s in the future",
                name=name,
                seconds=format(begin - now, ".0f"),
            )
    return end


def _time(claims: Mapping[str, object], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Untrusted("the token's %(name)s is not a time", name=name)
    return float(value)


def audiences(claims: Mapping[str, object]) -> tuple[str, ...]:
    """The `aud` of a token, which is a text or a list of them."""
    value = claims.get("aud")
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list):
        return tuple(one for one in value if isinstance(one, str))
    return ()
