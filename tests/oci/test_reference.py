"""Names and tags are read strictly: RELIABILITY section 0 lists the traps."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kho.oci.digest import Digest
from kho.oci.errors import DigestInvalid, NameInvalid, TagInvalid
from kho.oci.reference import (
    NAME_LENGTH,
    Reference,
    ReferenceInvalid,
    parse_host,
    parse_name,
    parse_reference,
    parse_tag,
)

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


@pytest.mark.parametrize(
    "text, shown",
    [
        ("debian", "docker.io/library/debian:latest"),
        ("debian:12", "docker.io/library/debian:12"),
        ("team/app", "docker.io/team/app:latest"),
        ("index.docker.io/team/app", "docker.io/team/app:latest"),
        ("docker.io/debian", "docker.io/library/debian:latest"),
        ("localhost/a", "localhost/a:latest"),
        ("localhost:5000/a/b:1", "localhost:5000/a/b:1"),
        ("Registry.Example:5000/a", "registry.example:5000/a:latest"),
        ("[::1]:5000/a:1", "[::1]:5000/a:1"),
        (f"ghcr.io/a/b@{DIGEST}", f"ghcr.io/a/b@{DIGEST}"),
        (f"ghcr.io/a/b:1@{DIGEST}", f"ghcr.io/a/b:1@{DIGEST}"),
    ],
)
def test_references_are_read_as_docker_does(text: str, shown: str) -> None:
    found = Reference.parse(text)
    assert str(found) == shown
    assert Reference.parse(shown) == found
    assert found.target == (DIGEST if "@" in text else shown.rpartition(":")[2])


@pytest.mark.parametrize(
    "text",
    ["", ":1", "a:", "a@", "a@sha256:1", "Foo/bar", "a b", "reg.io/", "/a", "reg.io:0/a", "a:1:2",
     "reg.io:99999/a", "http://reg.io/a", "a\n", "-x.io/a", "reg..io/a", "user@reg.io/a"],
)  # fmt: skip
def test_references_that_are_refused(text: str) -> None:
    with pytest.raises(ReferenceInvalid):
        Reference.parse(text)


def test_a_repository_alone() -> None:
    found = Reference.parse_bare("reg.io/a")
    assert (found.tag, found.digest, found.where) == (None, None, "reg.io/a")
    assert str(found.tagged("1")) == "reg.io/a:1"
    assert str(found.at(Digest.parse(DIGEST))) == f"reg.io/a@{DIGEST}"


@pytest.mark.parametrize("text", ["", "a/b", "a b", ":5000", "a:", "a:70000", "http://a", "a@b"])
def test_hosts_that_are_refused(text: str) -> None:
    with pytest.raises(ReferenceInvalid, match="is no registry"):
        parse_host(text)


@given(st.text(max_size=80))
def test_a_reference_is_refused_or_read_back_as_the_same(text: str) -> None:
    try:
        found = Reference.parse(text)
    except ReferenceInvalid:
        return
    assert Reference.parse(str(found)) == found
