"""Names and tags are read strictly: RELIABILITY section 0 lists the traps."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kho.oci.digest import Digest
from kho.oci.errors import DigestInvalid, NameInvalid, TagInvalid
from kho.oci.reference import NAME_LENGTH, parse_name, parse_reference, parse_tag

DIGEST = f"sha256:{'0' * 64}"
# The grammar as the specification prints it.
SPEC_NAME = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"
SPEC_TAG = r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}"


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "library/debian",
        "blobs/uploads",
        "foo/manifests/bar",
        "tags/list",
        "a--b/c__d/e.f_g",
        "0/1/2",
        "/".join("a" * 128),
        "x" * NAME_LENGTH,
    ],
)
def test_names_that_are_taken(name: str) -> None:
    assert parse_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "repo\n",
        "repo\r\n",
        "Repo",
        "_uploads",
        "a/_uploads/b",
        "-a",
        "a-",
        "a..b",
        "a___b",
        "a._b",
        "/a",
        "a/",
        "a//b",
        "a/../b",
        "..",
        "a b",
        "a\x00b",
        "a\u00e9",
        "٣",
        "ⅷ",
        "\u212a",
        "ſ",
        "ａ",
        "a%2fb",
        "a:b",
        "a@b",
        "a\\b",
        "x" * (NAME_LENGTH + 1),
        "x/" * 5000 + "x",
        "a" + "-" * 100_000,
        "a-" * 50_000,
    ],
)
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(NameInvalid) as caught:
        parse_name(name)
    assert len(str(caught.value.detail)) < NAME_LENGTH + 30


@pytest.mark.parametrize(
    "tag", ["a", "_", "1.0", "v1.2.3-rc_1", "latest", "A" * 128, "sha256-abc.sig"]
)
def test_tags_that_are_taken(tag: str) -> None:
    assert parse_tag(tag) == tag


@pytest.mark.parametrize(
    "tag", ["", "a\n", ".a", "-a", "a/b", "a:b", "a b", "a" * 129, "٣", "é", "a\x00", "ſ", "+"]
)
def test_tags_that_are_refused(tag: str) -> None:
    with pytest.raises(TagInvalid):
        parse_tag(tag)


@given(st.one_of(st.text(max_size=40), st.from_regex(SPEC_NAME), st.from_regex(SPEC_TAG)))
def test_the_grammar_is_that_of_the_specification(text: str) -> None:
    for spec, parse, error, limit in (
        (SPEC_NAME, parse_name, NameInvalid, NAME_LENGTH),
        (SPEC_TAG, parse_tag, TagInvalid, 128),
    ):
        legal = re.fullmatch(spec, text, re.ASCII) is not None and len(text) <= limit
        if legal:
            assert parse(text) == text
        else:
            with pytest.raises(error):
                parse(text)


def test_a_reference_with_a_colon_is_a_digest_never_a_tag() -> None:
    assert parse_reference(DIGEST) == Digest("sha256", "0" * 64)
    assert parse_reference("latest") == "latest"
    for text in ("sha256:totallywrong", "latest:", ":", "sha256:", "a:b"):
        with pytest.raises(DigestInvalid):
            parse_reference(text)
