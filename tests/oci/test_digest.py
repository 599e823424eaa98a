"""Digests are read strictly and written the same."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kho.oci.digest import HEX_LENGTH, Digest, empty_digest, parse_digest
from kho.oci.errors import DigestInvalid

HEX = "0123456789abcdef"
GOOD = f"sha256:{'a' * 64}"


@pytest.mark.parametrize("algorithm", HEX_LENGTH)
@given(data=st.data())
def test_what_is_read_is_written_the_same(algorithm: str, data: st.DataObject) -> None:
    value = data.draw(st.text(HEX, min_size=HEX_LENGTH[algorithm], max_size=HEX_LENGTH[algorithm]))
    digest = Digest.parse(f"{algorithm}:{value}")
    assert (digest.algorithm, digest.hex) == (algorithm, value)
    assert str(digest) == f"{algorithm}:{value}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "sha256",
        "sha256:",
        "sha256:totallywrong",
        GOOD + "\n",
        "\n" + GOOD,
        GOOD + "a",
        GOOD[:-1],
        " " + GOOD,
        GOOD.upper(),
        GOOD.replace("a", "A"),
        f"SHA256:{'a' * 64}",
        f"sha256:{'g' * 64}",
        f"sha256:{'٠' * 64}",  # Arabic digits
        f"sha256:{'a' * 128}",
        f"sha512:{'a' * 64}",
        f"sha384:{'a' * 96}",
        f"md5:{'a' * 32}",
        f"sha256:{'../' * 21}a",
        f"sha256:../../{'a' * 58}",
        f"sha256+sha256:{'a' * 64}",
        f"sha256:{'a' * 64}:{'a' * 64}",
        "sha256:" + "a" * 63 + "\x00",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(DigestInvalid):
        Digest.parse(text)


def test_the_refusal_tells_what_is_allowed_and_quotes_a_bounded_part() -> None:
    with pytest.raises(DigestInvalid, match="sha256:<64 hex digits> or sha512:<128") as caught:
        Digest.parse("x" * 100_000)
    assert caught.value.detail == "x" * 256


@given(st.text())
def test_any_text_is_a_digest_or_refused(text: str) -> None:
    try:
        digest = Digest.parse(text)
    except DigestInvalid:
        return
    assert str(digest) == text


@pytest.mark.parametrize("algorithm", HEX_LENGTH)
@given(content=st.binary())
def test_of_computes_what_hashlib_computes(algorithm: str, content: bytes) -> None:
    assert Digest.of(content, algorithm).hex == hashlib.new(algorithm, content).hexdigest()


def test_equal_digests_are_one_key() -> None:
    assert {Digest.parse(GOOD): 1}[parse_digest(GOOD)] == 1
    assert Digest.parse(GOOD) != Digest("sha512", "a" * 64)


def test_the_empty_digest_is_that_of_no_bytes() -> None:
    assert empty_digest() == Digest.of(b"")
