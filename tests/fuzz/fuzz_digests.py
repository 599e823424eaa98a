"""Digests."""

from kho.oci.digest import HEX_LENGTH, Digest
from kho.oci.errors import DigestInvalid
from tests.fuzz import texts


def check(data: bytes) -> None:
    text = texts.path(data)
    algorithm, _, value = text.partition(":")
    fits = len(value) == HEX_LENGTH.get(algorithm) and set(value) <= set("0123456789abcdef")
    try:
        found = Digest.parse(text)
    except DigestInvalid:
        assert not fits
    else:
        assert fits
        assert str(found) == text
        assert Digest.parse(str(found)) == found
    for one in HEX_LENGTH:
        assert Digest.parse(str(Digest.of(data, one))) == Digest.of(data, one)
