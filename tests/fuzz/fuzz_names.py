"""Names, tags and references, against rules written without expressions."""

import string

from kho.oci.digest import Digest
from kho.oci.errors import DigestInvalid, NameInvalid, TagInvalid
from kho.oci.reference import parse_name, parse_reference, parse_tag
from tests.fuzz import texts

WORD = set(string.ascii_lowercase + string.digits)
TAG = set(string.ascii_letters + string.digits + "_.-")


def check(data: bytes) -> None:
    text = texts.path(data)
    try:
        assert parse_name(text) == text
        taken = True
    except NameInvalid:
        taken = False
    assert taken == is_name(text), text
    try:
        assert parse_tag(text) == text
        taken = True
    except TagInvalid:
        taken = False
    assert taken == is_tag(text), text
    try:
        found = parse_reference(text)
    except (TagInvalid, DigestInvalid):
        return
    assert str(found) == text
    assert isinstance(found, Digest) == (":" in text)


def is_name(text: str) -> bool:
    return len(text) <= 255 and all(map(is_component, text.split("/")))


def is_component(text: str) -> bool:
    """Words, between them one `.`, one or two `_`, or any number of `-`."""
    if not text or set(text) - WORD - set("._-") or not {text[0], text[-1]} <= WORD:
        return False
    between = "".join(" " if character in WORD else character for character in text).split()
    return all(one in (".", "_", "__") or set(one) == {"-"} for one in between)


def is_tag(text: str) -> bool:
    return 0 < len(text) <= 128 and set(text) <= TAG and text[0] not in ".-"
