"""Certificates and keys in files, as operators have them."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509 import (
    CertificateBuilder,
    DNSName,
    Name,
    NameAttribute,
    ObjectIdentifier,
    SubjectAlternativeName,
    UnrecognizedExtension,
    load_pem_x509_certificates,
    random_serial_number,
)
from cryptography.x509.oid import NameOID


class Pair:
    """A server's certificate and key in a folder, and the authority that issued them."""

    def __init__(self, folder: Path, authority: trustme.CA | None = None) -> None:
        folder.mkdir(exist_ok=True)
        self.authority = authority or trustme.CA()
        self.cert, self.key = folder / "server.crt", folder / "server.key"
        self.ca = folder / "ca.crt"
        self.authority.cert_pem.write_to_path(str(self.ca))
        self.issue()

    def issue(self, *, expired: bool = False, kind: trustme.KeyType = trustme.KeyType.ECDSA) -> int:
        """Write a new pair over the old one; the serial number."""
        until = datetime.now(UTC) - timedelta(days=3) if expired else None
        issued = self.authority.issue_cert("localhost", "127.0.0.1", not_after=until, key_type=kind)
        issued.private_key_pem.write_to_path(str(self.key))
        chain = b"".join(one.bytes() for one in issued.cert_chain_pems)
        self.cert.write_bytes(chain)
        return serial(chain)

    @property
    def settings(self) -> dict[str, object]:
        """For `serving`."""
        return {"tls.cert": self.cert, "tls.key": self.key}

    def context(self) -> ssl.SSLContext:
        """A client's, which believes the authority."""
        context = ssl.create_default_context(cafile=str(self.ca))
        context.set_alpn_protocols(["h2", "http/1.1"])
        return context


def serial(pem: bytes) -> int:
    """Of the first certificate."""
    return load_pem_x509_certificates(pem)[0].serial_number


def key_pem(
    key: CertificateIssuerPrivateKeyTypes, form: PrivateFormat, password: bytes = b""
) -> bytes:
    """A key as OpenSSL writes it."""
    locked: KeySerializationEncryption = NoEncryption()
    if password:
        locked = BestAvailableEncryption(password)
    return key.private_bytes(Encoding.PEM, form, locked)


def self_signed(key: CertificateIssuerPrivateKeyTypes, *, strange: bool = False) -> bytes:
    """A certificate for localhost; a `strange` one has a critical extension that nobody knows."""
    name = Name([NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    builder = CertificateBuilder(name, name, key.public_key(), random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1))
    builder = builder.not_valid_after(now + timedelta(days=30))
    names = SubjectAlternativeName([DNSName("localhost")])
    if strange:
        unknown = UnrecognizedExtension(ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
        builder = builder.add_extension(unknown, critical=True)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else SHA256()
    return (
        builder.add_extension(names, critical=False).sign(key, algorithm).public_bytes(Encoding.PEM)
    )


def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """A key."""
    return rsa.generate_private_key(65537, bits)


def ec_key(curve: ec.EllipticCurve | None = None) -> ec.EllipticCurvePrivateKey:
    """A key."""
    return ec.generate_private_key(curve or ec.SECP256R1())
