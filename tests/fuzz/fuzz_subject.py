"""Subjects of client certificates, as proxies write them; the writer is `cryptography`'s."""

from cryptography import x509
from cryptography.x509.oid import NameOID

from kho.server.web.subject import common_name
from tests.fuzz import texts


def check(data: bytes) -> None:
    found = common_name(texts.header(data))
    if found is not None:
        assert found in texts.header(data).replace("\\", "") or "\\" in texts.header(data)
        assert found.isascii()
    organization, name = (texts.unicode(one) for one in texts.split(data, 2))
    if not all(0 < len(one.encode()) <= 64 for one in (organization, name)):
        return
    attributes = [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
        x509.NameAttribute(NameOID.COMMON_NAME, name),
    ]
    read = common_name(x509.Name(attributes).rfc4514_string())
    # What another field holds must never be taken for the name.
    assert read in (None, name)
    if name.isascii() and name.isalnum() and name.islower() and organization.isalnum():
        expected = None if name in ("anonymous", "everyone", "operator") else name
        assert read == (expected if organization.isprintable() else None)
