"""Scopes in every spelling that clients use (PROTOCOL 8.3, 8.4)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kho.oci.scope import Scope, parse_scope, parse_scopes

NAMES = st.from_regex(r"[a-z0-9]+([._-][a-z0-9]+)*(:[0-9]{1,5})?(/[a-z0-9]+){0,3}", fullmatch=True)
SCOPES = st.builds(
    Scope,
    st.sampled_from(["repository", "registry"]),
    NAMES,
    st.frozensets(st.from_regex(r"[a-z]{1,8}|\*", fullmatch=True), max_size=5),
)


def scope(text: str) -> Scope:
    """One that must be understood."""
    found = parse_scope(text)
    assert found is not None, text
    return found


@pytest.mark.parametrize(
    "text, kind, name, actions",
    [
        ("repository:team/app:pull", "repository", "team/app", {"pull"}),
        ("repository:team/app:pull,push", "repository", "team/app", {"pull", "push"}),
        ("repository:team/app:push,pull,pull", "repository", "team/app", {"pull", "push"}),
        ("repository(plugin):team/app:pull", "repository", "team/app", {"pull"}),
        ("repository:host:5000/app:pull", "repository", "host:5000/app", {"pull"}),
        ("repository:x:*", "repository", "x", {"*"}),
        ("repository:x:delete,pull", "repository", "x", {"delete", "pull"}),
        ("registry:catalog:*", "registry", "catalog", {"*"}),
        ("registry:catalog:search", "registry", "catalog", {"search"}),
        ("repository:x:", "repository", "x", set()),
        ("repository:x:,pull,", "repository", "x", {"pull"}),
        ("repository:x:pull,PULL,a.b", "repository", "x", {"pull", "PULL", "a.b"}),
    ],
)
def test_what_clients_send(text: str, kind: str, name: str, actions: set[str]) -> None:
    assert scope(text) == Scope(kind, name, frozenset(actions))


@pytest.mark.parametrize(
    "text",
    [
        *("", ":", "::", "repository", "repository:", "repository:x", "repository::pull"),
        *(":x:pull", "repository(:x:pull", "repository(a)b:x:pull", "repository():x:pull"),
        *("Repository:x:pull", "repository:x:pull push"),
        *('repository:x":pull', "repository:x\\:pull", "repository:x\n:pull", "repository:é:pull"),
        *("repository:x:pull\n", "repository:\ud800:pull", "\u0661:x:pull", "repository:x:pu ll"),
    ],
)
def test_what_breaks_the_grammar_is_dropped(text: str) -> None:
    assert parse_scope(text) is None


@given(SCOPES)
def test_what_is_printed_is_read_back(one: Scope) -> None:
    assert parse_scope(str(one)) == one
    claim = json.loads(json.dumps(one.claim()))
    assert claim == {"type": one.type, "name": one.name, "actions": claim["actions"]}
    assert frozenset(claim["actions"]) == one.actions
    assert len(claim["actions"]) == len(one.actions)


@given(st.lists(SCOPES, max_size=6))
def test_every_way_of_repeating_is_the_same(many: list[Scope]) -> None:
    repeated = parse_scopes(map(str, many))
    joined = parse_scopes([" ".join(map(str, many))])
    doubled = parse_scopes([str(one) for one in many] * 2)
    assert repeated == joined == doubled
    assert len({(one.type, one.name) for one in repeated}) == len(repeated)
    assert {one.name for one in repeated} == {one.name for one in many}


@given(st.text())
def test_no_text_is_an_error(text: str) -> None:
    one = parse_scope(text)
    if one is not None:
        assert scope(str(one)) == one
    for each in parse_scopes([text]):
        assert str(each).isascii()


def test_actions_are_printed_in_one_order() -> None:
    assert str(scope("repository:x:push,*,delete,pull")) == "repository:x:pull,push,delete,*"
    assert str(scope("repository:x:zeta,push,alpha,pull")) == "repository:x:pull,push,alpha,zeta"


def test_scopes_of_one_resource_are_merged_in_the_order_of_their_coming() -> None:
    found = parse_scopes(["repository:b:pull repository:a:pull", "junk", "repository:b:push"])
    assert list(map(str, found)) == ["repository:b:pull,push", "repository:a:pull"]


def test_nothing_granted_is_an_empty_list() -> None:
    assert Scope("repository", "x", frozenset()).claim()["actions"] == []
