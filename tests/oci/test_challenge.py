"""WWW-Authenticate as clients parse it by hand (PROTOCOL 7.1)."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kho.oci.challenge import basic_challenge, bearer_challenge, parse_challenges
from kho.oci.scope import Scope

REALM = "https://registry.example/token"
PULL = Scope("repository", "team/app", frozenset({"pull"}))
PUSH = Scope("repository", "team/app", frozenset({"push", "pull"}))
OTHER = Scope("repository", "team/base", frozenset({"pull"}))
FORM = re.compile(r'Bearer realm="[^"]*",service="[^"]*"(,scope="[^"]*")?(,error="[^"]*")?')


@pytest.mark.parametrize(
    "scopes, error, expected",
    [
        ((), None, ""),
        ((PULL,), None, ',scope="repository:team/app:pull"'),
        ((PUSH,), None, ',scope="repository:team/app:pull,push"'),
        (
            (PUSH, OTHER),
            "insufficient_scope",
            f',scope="{PUSH} {OTHER}",error="insufficient_scope"',
        ),
        ((), "invalid_token", ',error="invalid_token"'),
    ],
)
def test_the_parts_stand_in_one_order_with_commas_alone(
    scopes: tuple[Scope, ...], error: str | None, expected: str
) -> None:
    found = bearer_challenge(REALM, "kho", scopes, error)
    assert found == f'Bearer realm="{REALM}",service="kho"{expected}'


def test_basic() -> None:
    assert basic_challenge("My registry") == 'Basic realm="My registry"'


@given(st.text(), st.text())
def test_nothing_ends_a_string_or_a_header(realm: str, service: str) -> None:
    for error in (None, "invalid_token"):
        found = bearer_challenge(realm, service, (PULL,), error)
        assert FORM.fullmatch(found), found
        assert re.fullmatch(r"[ -~]+", found)
        assert "\\" not in found
    assert re.fullmatch(r'Basic realm="[ !#-\[\]-~]*"', basic_challenge(realm))


@pytest.mark.parametrize(
    "lines, found",
    [
        (
            [f'Bearer realm="{REALM}",service="s",scope="repository:a/b:pull,push"'],
            [("bearer", {"realm": REALM, "service": "s", "scope": "repository:a/b:pull,push"})],
        ),
        (['BASIC realm="x"'], [("basic", {"realm": "x"})]),
        (["Negotiate"], [("negotiate", {})]),
        (
            ['Negotiate, Basic realm="a, b=c", Bearer  realm = x , error="e"'],
            [
                ("negotiate", {}),
                ("basic", {"realm": "a, b=c"}),
                ("bearer", {"realm": "x", "error": "e"}),
            ],
        ),
        (['Basic realm="a\\"b\\\\"'], [("basic", {"realm": 'a"b\\'})]),
        (["Basic realm=a, realm=b"], [("basic", {"realm": "a"})]),
        (["realm=x"], []),
        (['Basic realm="open'], [("basic", {})]),
        (
            ["Basic realm=x", "Bearer realm=y"],
            [("basic", {"realm": "x"}), ("bearer", {"realm": "y"})],
        ),
        ([""], []),
    ],
)
def test_what_registries_write_is_read(
    lines: list[str], found: list[tuple[str, dict[str, str]]]
) -> None:
    assert [tuple(one) for one in parse_challenges(lines)] == found


@given(st.text(alphabet='Bearer realm="\\,= \t', max_size=200))
def test_reading_never_fails(text: str) -> None:
    for challenge in parse_challenges([text]):
        assert challenge.scheme == challenge.scheme.lower()


def test_what_is_written_is_read_back() -> None:
    (found,) = parse_challenges([bearer_challenge(REALM, "kho", (PUSH, OTHER), "invalid_token")])
    assert found.parameters == {
        "realm": REALM,
        "service": "kho",
        "scope": f"{PUSH} {OTHER}",
        "error": "invalid_token",
    }
