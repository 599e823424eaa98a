"""Tokens of an external token server, as registry:2's `auth.token` believes them.

    x5c in the header ──> chain to rootcertbundle ──> the first certificate's key
    kid in the header ──> JWKS file, or a certificate of rootcertbundle by thumbprint or libtrust id

A key that the header itself carries (`jwk`) is never believed (CVE-2025-24976).
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from kho.oci.errors import Unauthorized, Unavailable
from kho.oci.scope import Scope
from kho.oci.strict_json import JsonRefused, parse_object
from kho.server import telemetry
from kho.server.config import Config
from kho.server.identity_settings import TokenSettings
from kho.server.index.jose import jws
from kho.server.index.jose.jwk import RSA_ALGORITHMS, algorithms_of, keys_of, names_of
from kho.server.index.jose.jws import Jws, Key, Untrusted
from kho.server.index.tokens import certificates
from kho.server.policy.access import ANONYMOUS
from kho.server.policy.identity import Claims
from kho.server.resources import Resources

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

# A token with a chain of certificates in its header is larger than others.
MOST_CHARACTERS: Final = 32768
_FILE_BYTES: Final = 2**20
LOOK_SECONDS: Final = 1.0
_SUB_CHARACTERS: Final = 255

_Stamp = tuple[tuple[int, int, int], ...]


class _Keys(NamedTuple):
    roots: Sequence["Certificate"]
    by_name: Mapping[str, Key]


@dataclass(slots=True)
class _Trusted:
    """The files as they were last read; `until` is monotonic."""

    settings: TokenSettings | None = None
    keys: _Keys | None = None
    stamp: _Stamp = ()
    until: float = field(default=0.0)


def check(config: Config) -> None:
    """Raise ValueError when the settings of an external token server cannot work."""
    token = config.token
    parts = {name: getattr(token, name) for name in ("service", "issuer", "rootcertbundle", "jwks")}
    if not token.realm:
        given = [name for name, value in parts.items() if value]
        if given:
            raise ValueError(f"token.{given[0]} is given, but not token.realm, the server's URL")
        return
    for name in ("service", "issuer"):
        if not parts[name]:
            raise ValueError(f"token.realm is given, but not token.{name}, which tokens must name")
    if not (token.rootcertbundle or token.jwks):
        raise ValueError(
            "token.realm is given, but no keys: token.rootcertbundle (certificates), token.jwks, or"
            " both"
        )
    if not token.algorithms:
        raise ValueError("token.algorithms is empty: no token could be believed")
    _read(token)


async def verify(resources: Resources, token: str) -> Claims:
    """What a token of the external server says; the subject is `external:SUB`.

    Raises Unauthorized, Unavailable.
    """
    settings = resources.config.token
    try:
        keys = _trusted(resources, settings)
    except ValueError as error:
        telemetry.log_failure("token server: keys cannot be read", error)
        raise Unavailable("the keys of the token server cannot be read") from error
    try:
        return _claims(token, settings, keys, time.time())
    except Untrusted as error:
        telemetry.log_event("token server: token not believed", "debug", reason=str(error))
        raise Unauthorized("the token is not valid here: %(error)s", error=error) from error


def _claims(token: str, settings: TokenSettings, keys: _Keys, now: float) -> Claims:
    parsed = jws.parse(token, MOST_CHARACTERS)
    if parsed.algorithm not in settings.algorithms:
        raise Untrusted(f"its algorithm {parsed.algorithm!a:.24} is not one of token.algorithms")
    jws.check_signature(parsed, _key(parsed, keys, now))
    claims = parsed.claims
    if claims.get("iss") != settings.issuer:
        raise Untrusted("its issuer is another one")
    if settings.service not in jws.audiences(claims):
        raise Untrusted("it is for another service")
    expires_at = jws.check_times(claims, now, ())
    access = _access(claims.get("access"))
    return Claims(_subject(claims.get("sub", "")), "external", None, access, expires_at)


def _subject(sub: object) -> str:
    """Whom the token is of: a kind of its own, so that no name means an account of ours.

    A token of nobody has a subject too: what it may do stands in it, not in our grants.
    """
    if not isinstance(sub, str) or len(sub) > _SUB_CHARACTERS or not sub.isprintable():
        raise Untrusted(f"its sub is not a line of text of at most {_SUB_CHARACTERS} characters")
    return f"external:{sub or ANONYMOUS}"


def _key(parsed: Jws, keys: _Keys, now: float) -> Key:
    chain = parsed.header.get("x5c")
    if chain is not None:
        if not isinstance(chain, list) or not all(isinstance(one, str) for one in chain):
            raise Untrusted("its x5c is not a list of certificates")
        public = certificates.verified_key(chain, keys.roots, now)
        return Key(None, public, algorithms_of(public))
    found = None if parsed.kid is None else keys.by_name.get(parsed.kid)
    if found is None:
        raise Untrusted(f"it is signed with a key that is not known ({parsed.kid!a:.200})")
    return found


def _access(value: object) -> tuple[Scope, ...]:
    """The `access` claim; absent and null are no access."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise Untrusted("its access is not a list")
    merged: dict[tuple[str, str], frozenset[str]] = {}
    for entry in value:
        kind, name, actions = _entry(entry)
        key = kind.partition("(")[0], name
        merged[key] = merged.get(key, frozenset()) | actions
    return tuple(Scope(*key, actions) for key, actions in merged.items())


def _entry(entry: object) -> tuple[str, str, frozenset[str]]:
    if isinstance(entry, dict):
        kind, name, actions = entry.get("type"), entry.get("name"), entry.get("actions") or []
        texts = [kind, name, *actions] if isinstance(actions, list) else [None]
        if all(isinstance(one, str) for one in texts):
            return str(kind), str(name), frozenset(actions)
    raise Untrusted("an entry of its access is not type, name and actions")


def _trusted(resources: Resources, settings: TokenSettings) -> _Keys:
    """The keys; the files are looked at once a second. Raises ValueError, with nothing known.

    A file that is broken while it is being replaced changes nothing.
    """
    known = resources.memory.keep(_Trusted)
    now = time.monotonic()
    if known.keys is not None and known.settings == settings and now < known.until:
        return known.keys
    known.until = now + LOOK_SECONDS
    try:
        stamp = _stamp(settings)
        if known.keys is None or known.settings != settings or known.stamp != stamp:
            known.keys, known.settings, known.stamp = _read(settings), settings, stamp
    except (ValueError, OSError) as error:
        if known.keys is None or known.settings != settings:
            raise ValueError(str(error)) from error
        telemetry.log_event("token server: keys not read again", "warning", reason=str(error))
    return known.keys


def _stamp(settings: TokenSettings) -> _Stamp:
    found = [Path(path).stat() for path in (settings.rootcertbundle, settings.jwks) if path]
    return tuple((one.st_ino, one.st_size, one.st_mtime_ns) for one in found)


def _read(settings: TokenSettings) -> _Keys:
    """Read both files. Raises ValueError."""
    roots: Sequence[Certificate] = ()
    by_name: dict[str, Key] = {}
    if settings.rootcertbundle:
        content = _content("token.rootcertbundle", settings.rootcertbundle)
        try:
            roots = certificates.read(content)
        except ValueError as error:
            raise ValueError(
                f"token.rootcertbundle {settings.rootcertbundle!a}: {error}"
            ) from error
        for root in roots:
            public: Any = root.public_key()
            fitting = algorithms_of(public)
            if fitting:
                by_name |= dict.fromkeys(names_of(public), Key(None, public, fitting))
    if settings.jwks:
        try:
            document = parse_object(_content("token.jwks", settings.jwks))
            listed = keys_of(document, RSA_ALGORITHMS)
        except JsonRefused as error:
            raise ValueError(f"token.jwks {settings.jwks!a}: {error}") from error
        by_name |= {one.kid: one for one in reversed(listed) if one.kid is not None}
        if not any(one.kid is not None for one in listed):
            raise ValueError(f"token.jwks {settings.jwks!a} has no key with a kid that is usable")
    return _Keys(roots, by_name)


def _content(name: str, path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            content = file.read(_FILE_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{name} {path!a} cannot be read: {error.strerror}") from error
    if len(content) > _FILE_BYTES:
        raise ValueError(f"{name} {path!a} has more than {_FILE_BYTES} bytes")
    return content
