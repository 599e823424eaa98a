"""Certificate, key and the certificates of clients: read, checked, and made what Granian takes.

Granian panics in its worker on what it cannot use, so all of that is told here, before.
"""

import math
import os
import re
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from kho.server.identity_settings import TlsSettings

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

LARGEST_FILE: Final = 1024 * 1024
KEYS: Final = "RSA of 2048 to 4096 bits, ECDSA on P-256 or P-384, Ed25519"
_RSA_BITS: Final = (2048, 4096)
_CURVES: Final = {"secp256r1", "secp384r1"}
_BLOCK: Final = re.compile(
    rb"-----BEGIN ([A-Z0-9 ]{1,40})-----[ \t]*\r?\n.{0,1000000}?-----END \1-----", re.DOTALL
)


class Unusable(Exception):
    """What is wrong with a file, in one line."""


class Certificates(NamedTuple):
    """What a worker needs to speak TLS, all PEM; the key is PKCS#8. Times in UTC."""

    chain: bytes
    key: bytes
    client_ca: bytes
    valid_from: datetime
    valid_until: datetime

    def __repr__(self) -> str:
        return f"Certificates(valid_until={self.valid_until:%Y-%m-%d})"

    @property
    def days_left(self) -> int:
        """Whole days until the server's certificate expires; negative when it has."""
        return math.floor((self.valid_until - datetime.now(UTC)).total_seconds() / 86400)


def read(settings: TlsSettings) -> Certificates | None:
    """What the files hold, checked; None when TLS is not configured. Raises Unusable."""
    if not settings.cert and not settings.key:
        if settings.client_ca:
            raise Unusable("tls.client_ca is set, but tls.cert and tls.key are not: nothing checks")
        return None
    if not settings.cert or not settings.key:
        given, missing = ("cert", "key") if settings.cert else ("key", "cert")
        raise Unusable(f"tls.{given} is set, but tls.{missing} is not; both are needed")
    chain = _chain(settings)
    key = _key(settings)
    _check_pair(settings, chain, key)
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    return Certificates(
        chain=b"".join(one.public_bytes(Encoding.PEM) for one in chain),
        key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        client_ca=_client_ca(settings),
        valid_from=chain[0].not_valid_before_utc,
        valid_until=chain[0].not_valid_after_utc,
    )


def _read(name: str, path: str) -> bytes:
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            content = file.read(LARGEST_FILE + 1) or b""
    except OSError as error:
        raise Unusable(f"{name}: {path} cannot be read: {error.strerror}") from None
    if len(content) > LARGEST_FILE:
        raise Unusable(f"{name}: {path} is larger than 1 MiB")
    return content


def _without_waiting(path: str, flags: int) -> int:
    """Open; a named pipe would be waited for otherwise."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def _blocks(content: bytes) -> Iterator[tuple[str, bytes]]:
    """The label and the whole of each PEM block."""
    for found in _BLOCK.finditer(content):
        yield found[1].decode("ascii"), found[0] + b"\n"


def _certificates(name: str, path: str, content: bytes) -> "list[x509.Certificate]":
    from cryptography import x509  # noqa: PLC0415

    found = []
    for label, block in _blocks(content):
        if label not in {"CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"}:
            continue
        try:
            with warnings.catch_warnings(action="ignore"):
                found.append(x509.load_pem_x509_certificate(block))
        except (ValueError, x509.InvalidVersion):
            number = len(found) + 1
            raise Unusable(f"{name}: certificate {number} of {path} is damaged") from None
    return found


def _chain(settings: TlsSettings) -> "list[x509.Certificate]":
    from cryptography.x509 import Version  # noqa: PLC0415

    path = settings.cert
    content = _read("tls.cert", path)
    chain = _certificates("tls.cert", path, content)
    if not chain:
        if any(label.endswith("PRIVATE KEY") for label, _ in _blocks(content)):
            text = f"{path} holds a key and no certificate; are tls.cert and tls.key swapped?"
            raise Unusable(f"tls.cert: {text}")
        raise Unusable(f"tls.cert: {path} holds no certificate (PEM)")
    if chain[0].version is not Version.v3:
        text = f"{path} holds a certificate of X.509 version 1, which clients refuse too"
        raise Unusable(f"tls.cert: {text}; make one of version 3, with a subjectAltName")
    return chain


def _key(settings: TlsSettings) -> "PrivateKeyTypes":
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    path = settings.key
    content = _read("tls.key", path)
    blocks = list(_blocks(content))
    keys = [block for label, block in blocks if label.endswith("PRIVATE KEY")]
    if not keys:
        if any(label == "CERTIFICATE" for label, _ in blocks):
            text = f"{path} holds a certificate and no key; are tls.cert and tls.key swapped?"
            raise Unusable(f"tls.key: {text}")
        raise Unusable(f"tls.key: {path} holds no key (PEM: PKCS#8, PKCS#1 or SEC1)")
    try:
        return load_pem_private_key(keys[0], None)
    except TypeError:
        text = f"{path} is encrypted; decrypt it: openssl pkey -in ENCRYPTED -out PLAIN"
    except UnsupportedAlgorithm:
        text = f"{path} is of a kind that cannot be used; allowed is {KEYS}"
    except ValueError:
        text = f"{path} is damaged"
    raise Unusable(f"tls.key: {text}")


def _check_pair(
    settings: TlsSettings, chain: "list[x509.Certificate]", key: "PrivateKeyTypes"
) -> None:
    wanted = _identity(key.public_key())
    places = [n for n, one in enumerate(chain, 1) if _identity(one.public_key()) == wanted]
    if not places:
        text = f"the key {settings.key} is not that of the certificate {settings.cert}"
        raise Unusable(f"tls.key: {text}")
    if places[0] > 1:
        text = f"the server's own certificate must be the first of {settings.cert}"
        raise Unusable(f"tls.cert: {text}; it is certificate {places[0]}")
    if not _is_usable(key):
        raise Unusable(f"tls.key: {settings.key} is of a kind that cannot be used; allowed: {KEYS}")


def _identity(key: "PublicKeyTypes") -> bytes:
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        Encoding,
        PublicFormat,
    )

    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _is_usable(key: "PrivateKeyTypes") -> bool:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: PLC0415

    if isinstance(key, rsa.RSAPrivateKey):
        return _RSA_BITS[0] <= key.key_size <= _RSA_BITS[1]
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.curve.name in _CURVES
    return isinstance(key, ed25519.Ed25519PrivateKey)


def _client_ca(settings: TlsSettings) -> bytes:
    if not settings.client_ca:
        return b""
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415

    path = settings.client_ca
    found = _certificates("tls.client_ca", path, _read("tls.client_ca", path))
    if not found:
        raise Unusable(f"tls.client_ca: {path} holds no certificate (PEM)")
    return b"".join(one.public_bytes(Encoding.PEM) for one in found)
