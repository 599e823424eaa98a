"""A private CA for a lab, and the certificate of one server. Keys are ECDSA on P-256."""

import ipaddress
import os
import re
import secrets
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

CA_DAYS: Final = 3650
ALWAYS: Final = ("localhost", "127.0.0.1", "::1")
_DNS: Final = re.compile(
    r"(?:\*\.)?[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*"
)


class Refused(Exception):
    """Why nothing was made, in one line; `exists` when something is there already."""

    def __init__(self, text: str, *, exists: bool = False) -> None:
        super().__init__(text)
        self.exists = exists


class Files(NamedTuple):
    """What stands in the folder."""

    ca: Path
    ca_key: Path
    cert: Path
    key: Path


def files_in(folder: Path) -> Files:
    """The names of the four files."""
    return Files(*(folder / name for name in ("ca.crt", "ca.key", "server.crt", "server.key")))


def make(folder: Path, names: Sequence[str], days: int) -> "x509.Certificate":
    """Write a certificate for `names` and its key; a CA too, unless the folder has one.

    Raises Refused, and nothing was written then. The CA signs for these names alone.
    """
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415

    files = files_in(folder)
    for path in (files.cert, files.key):
        if path.exists():
            text = f"{path} is there already; nothing is overwritten"
            raise Refused(f"{text}. Remove it to renew: the CA is kept", exists=True)
    if files.ca.exists() != files.ca_key.exists():
        alone = files.ca if files.ca.exists() else files.ca_key
        raise Refused(
            f"{alone} is there without its other half; nothing is overwritten", exists=True
        )
    wanted = [_general_name(name) for name in dict.fromkeys((*names, *ALWAYS))]
    new = not files.ca.exists()
    ca, ca_key = _new_ca(wanted) if new else _old_ca(files, wanted)
    key = ec.generate_private_key(ec.SECP256R1())
    cert = _issue(ca, ca_key, key, wanted, days)
    written = [(files.cert, cert.public_bytes(Encoding.PEM), 0o644), (files.key, _pem(key), 0o600)]
    if new:
        written[:0] = [
            (files.ca, ca.public_bytes(Encoding.PEM), 0o644),
            (files.ca_key, _pem(ca_key), 0o600),
        ]
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    for path, content, mode in written:
        _write(path, content, mode)
    return cert


def _general_name(name: str) -> "x509.GeneralName":
    from cryptography import x509  # noqa: PLC0415

    try:
        return x509.IPAddress(ipaddress.ip_address(name.strip("[]")))
    except ValueError:
        pass
    if len(name) > 253 or not _DNS.fullmatch(name.lower()):  # noqa: PLR2004  the limit of DNS
        text = f"{name[:80]!a} is neither a host name nor an address; allowed is for example"
        raise Refused(f"{text} kho.example.com, *.example.com, 192.0.2.1, 2001:db8::1")
    return x509.DNSName(name.lower())


def _permitted(names: "Iterable[x509.GeneralName]") -> "list[x509.GeneralName]":
    """What a CA must allow so that it may sign for `names`."""
    from cryptography import x509  # noqa: PLC0415

    found: list[x509.GeneralName] = []
    for name in names:
        if isinstance(name, x509.IPAddress):
            found.append(x509.IPAddress(ipaddress.ip_network(str(name.value))))
        else:
            found.append(x509.DNSName(str(name.value).removeprefix("*.")))
    return found


def _new_ca(
    names: "list[x509.GeneralName]",
) -> "tuple[x509.Certificate, EllipticCurvePrivateKey]":
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
    from cryptography.x509.oid import NameOID  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    # Another CA of the same name would make clients take one for the other.
    text = f"Kho lab CA {secrets.token_hex(4)}"
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
    builder = _builder(name, name, key, CA_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    limits = x509.NameConstraints(_permitted(names), None)
    builder = builder.add_extension(limits, critical=True)
    return builder.sign(key, SHA256()), key


def _old_ca(
    files: Files, names: "list[x509.GeneralName]"
) -> "tuple[x509.Certificate, EllipticCurvePrivateKey]":
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        ca = x509.load_pem_x509_certificate(files.ca.read_bytes())
        key = load_pem_private_key(files.ca_key.read_bytes(), None)
    except OSError as error:
        raise Refused(f"{error.filename} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError):
        raise Refused(f"{files.ca} and {files.ca_key} are not of khod's making") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != ca.public_key():
        raise Refused(f"{files.ca_key} is not the key of {files.ca}")
    try:
        limits = ca.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return ca, key
    allowed = set(limits.permitted_subtrees or ())
    for name, needed in zip(names, _permitted(names), strict=True):
        if needed not in allowed:
            text = f"the CA {files.ca} does not sign for {name.value}"
            raise Refused(f"{text}: it is bound to the names that it was made with")
    return ca, key


def _issue(
    ca: "x509.Certificate",
    ca_key: "EllipticCurvePrivateKey",
    key: "EllipticCurvePrivateKey",
    names: "list[x509.GeneralName]",
    days: int,
) -> "x509.Certificate":
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
    from cryptography.x509.oid import ExtendedKeyUsageOID  # noqa: PLC0415

    builder = _builder(x509.Name([]), ca.subject, key, days)
    # Without a subject the names count alone, and the extension is critical (RFC 5280, 4.2.1.6).
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
    builder = builder.add_extension(
        x509.BasicConstraints(ca=False, path_length=None), critical=True
    )
    builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
    purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    builder = builder.add_extension(purpose, critical=False)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    return builder.add_extension(issuer, critical=False).sign(ca_key, SHA256())


def _builder(
    subject: "x509.Name", issuer: "x509.Name", key: "EllipticCurvePrivateKey", days: int
) -> "x509.CertificateBuilder":
    from cryptography import x509  # noqa: PLC0415

    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(issuer, subject, key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(hours=1))  # clocks differ
    builder = builder.not_valid_after(now + timedelta(days=days))
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return builder.add_extension(own, critical=False)


def _usage(*, signs_certificates: bool) -> "x509.KeyUsage":
    from cryptography import x509  # noqa: PLC0415

    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: "EllipticCurvePrivateKey") -> bytes:
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(path: Path, content: bytes, mode: int) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "wb") as opened:
        opened.write(content)
        os.fchmod(file, mode)
