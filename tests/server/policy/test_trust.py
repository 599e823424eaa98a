"""Which tokens a trust rule lets in, and which rules may be made at all."""

import time
from collections.abc import Mapping

import pytest

from kho.server.policy.trust import Conditions, Rule, check_conditions, matches, unmet
from kho.server.policy.trust_presets import EVENTS, github, gitlab, kubernetes

ISSUER = "https://issuer.example"
GITHUB = "https://token.actions.githubusercontent.com"


def rule(conditions: Conditions) -> Rule:
    return Rule("ci", ISSUER, "a", conditions, "robot")


def lets_in(claims: Mapping[str, object], **conditions: str) -> bool:
    one = rule({claim: (glob,) for claim, glob in conditions.items()})
    return not unmet(one, ISSUER, ["a"], claims)


@pytest.mark.parametrize(
    "glob, text, expected",
    [
        ("refs/heads/main", "refs/heads/main", True),
        ("refs/heads/main", "refs/heads/main2", False),
        ("refs/heads/main", "xrefs/heads/main", False),
        ("refs/heads/main", "refs/heads/main\n", False),
        ("refs/heads/main", "Refs/heads/main", False),
        ("refs/heads/*", "refs/heads/a/b", True),
        ("refs/heads/*", "refs/heads/", True),
        ("refs/heads/*", "refs/tags/refs/heads/x", False),
        ("v?.?", "v1.2", True),
        ("v?.?", "v1x2", False),
        ("v?.?", "v1.22", False),
        ("*a*b*", "xxaxxbxx", True),
        ("*a*b*", "xxbxxaxx", False),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("*", "", True),
        ("*ab*ab", "abab", True),
        ("[ab]", "a", False),
        ("[ab]", "[ab]", True),
        ("a.c", "abc", False),
        ("*main", "not-main/main", True),
        ("?", "é", True),
        ("*", "x" * 3000, False),
    ],
)
def test_a_glob_matches_the_whole_text(glob: str, text: str, expected: bool) -> None:
    assert matches(glob, text) is expected


def test_a_glob_takes_no_longer_for_text_that_was_made_to_make_it() -> None:
    begun = time.perf_counter()
    for glob in ("*a" * 16 + "b", "*aaaaaaaaaaaaaaaab" * 8, "*" + "?" * 100 + "b"):
        assert not matches(glob, "a" * 2048)
    assert time.perf_counter() - begun < 0.5


def test_claims_that_are_not_text_are_compared_as_json_has_them() -> None:
    claims: dict[str, object] = {"yes": True, "number": 17, "none": None, "object": {"a": "1"}}
    assert lets_in(claims, yes="true", number="17")
    assert not lets_in(claims, yes="True")
    assert not lets_in(claims, number="1")
    assert not lets_in(claims, none="*")
    assert not lets_in(claims, object="*")
    assert not lets_in(claims, absent="*")


def test_a_list_matches_by_one_of_its_elements() -> None:
    claims: dict[str, object] = {"groups": ["a", "b", 7, None, ["c"], {"d": "d"}], "empty": []}
    assert lets_in(claims, groups="b")
    assert lets_in(claims, groups="7")
    assert not lets_in(claims, groups="c")
    assert not lets_in(claims, groups="d")
    assert not lets_in(claims, groups="a,b")
    assert not lets_in(claims, empty="*")


def test_a_path_leads_into_nested_claims_and_a_claim_of_the_whole_name_comes_first() -> None:
    claims: dict[str, object] = {
        "kubernetes.io": {"namespace": "build", "serviceaccount": {"name": "pusher"}},
        "https://x.example/team": "red",
        "kubernetes.io/pod": "whole",
    }
    path = "kubernetes.io/serviceaccount/name"
    assert lets_in(claims, **{path: "pusher", "kubernetes.io/namespace": "build"})
    assert not lets_in(claims, **{path: "other"})
    assert not lets_in(claims, **{"kubernetes.io/serviceaccount": "*"})
    assert not lets_in(claims, **{"kubernetes.io/serviceaccount/name/more": "*"})
    assert lets_in(claims, **{"https://x.example/team": "red", "kubernetes.io/pod": "whole"})


def test_every_condition_must_hold_and_any_of_its_globs_may() -> None:
    one = rule({"ref": ("main", "v*"), "sub": ("x",)})
    assert [*map(str, unmet(one, ISSUER, ["a"], {"ref": "v1", "sub": "x"}))] == []
    assert [*map(str, unmet(one, ISSUER, ["a"], {"ref": "dev", "sub": "y"}))] == [
        "ref is 'dev', wanted is 'main', 'v*'",
        "sub is 'y', wanted is 'x'",
    ]
    assert [*map(str, unmet(one, ISSUER, ["b", "c"], {"ref": "main"}))] == [
        "aud is 'b', 'c', wanted is 'a'",
        "sub is absent, wanted is 'x'",
    ]
    assert [*map(str, unmet(one, ISSUER + "/", ["a"], {}))] == [
        f"iss is '{ISSUER}/', wanted is '{ISSUER}'"
    ]


def test_what_a_token_says_is_told_cut_and_escaped() -> None:
    claims = {"sub": "\x1b[2J\u202e" + "y" * 500}
    (reason,) = map(str, unmet(rule({"sub": ("x",)}), ISSUER, ["a"], claims))
    assert reason.isascii()
    assert reason.isprintable()
    assert len(reason) < 200


@pytest.mark.parametrize(
    "issuer, conditions",
    [
        (ISSUER, {"sub": ("repo:octo/*",)}),
        (ISSUER, {"repository_id": ("74",), "ref": ("*",)}),
        (ISSUER, {"project_id": ("20",)}),
        (ISSUER, {"kubernetes.io/serviceaccount/name": ("a",), "kubernetes.io/namespace": ("b",)}),
        (GITHUB, {"repository_owner_id": ("65",)}),
        ("https://gitlab.com", {"namespace_id": ("72",)}),
    ],
)
def test_a_rule_that_pins_the_workload_may_be_made(issuer: str, conditions: Conditions) -> None:
    check_conditions(issuer, conditions)


@pytest.mark.parametrize(
    "issuer, conditions",
    [
        (ISSUER, {}),
        (ISSUER, {"ref": ("refs/heads/main",)}),
        (ISSUER, {"sub": ("*",)}),
        (ISSUER, {"sub": ("repo:octo/app", "?*")}),
        (ISSUER, {"repository_id": ("7*",)}),
        (ISSUER, {"repository_id": ()}),
        (ISSUER, {"kubernetes.io/serviceaccount/name": ("a",)}),
        (ISSUER, {"kubernetes.io/serviceaccount/name": ("a",), "kubernetes.io/namespace": ("*",)}),
        (GITHUB, {"sub": ("repo:octo/app:ref:refs/heads/main",)}),
        (GITHUB + "/octo-inc", {"repository": ("octo/app",)}),
        ("https://token.actions.acme.ghe.com", {"sub": ("repo:octo/app:*",)}),
        ("https://ghes.example/_services/token", {"sub": ("repo:octo/app:*",)}),
        ("https://gitlab.com", {"sub": ("project_path:group/app:*",)}),
    ],
)
def test_a_rule_that_would_let_strangers_in_may_not(issuer: str, conditions: Conditions) -> None:
    with pytest.raises(ValueError, match="must pin"):
        check_conditions(issuer, conditions)


@pytest.mark.parametrize(
    "conditions",
    [
        {"sub": ("",)},
        {"sub": ("a\nb",)},
        {"sub": ("a" + "*b" * 17,)},
        {"a b": ("c",)},
        {"": ("c",)},
    ],
)
def test_conditions_that_cannot_be_meant_are_refused(conditions: Conditions) -> None:
    with pytest.raises(ValueError, match=r"condition|claim"):
        check_conditions(ISSUER, conditions)


def test_the_preset_of_github_never_matches_on_names_alone() -> None:
    with pytest.raises(ValueError, match=r"repository id, as `gh api repos/octo/app --jq \.id`"):
        github("octo/app")
    found = github("octo/app", repository_id="74", branches=["main", "release/*"], tags=["v*"])
    assert found == {
        "repository": ("octo/app",),
        "repository_id": ("74",),
        "ref": ("refs/heads/main", "refs/heads/release/*", "refs/tags/v*"),
        "ref_type": ("branch", "tag"),
        "event_name": EVENTS,
    }
    assert "pull_request_target" not in EVENTS
    check_conditions(GITHUB, found)
    assert "event_name" not in github("octo/app", owner_id="65", events=["*"])
    assert github("octo/app", owner_id="65", workflows=["release.yml"])["workflow_ref"] == (
        "octo/app/.github/workflows/release.yml@*",
    )


def test_the_preset_of_gitlab_wants_the_id_and_a_protected_ref() -> None:
    with pytest.raises(ValueError, match="its project id"):
        gitlab("group/app", project_id=None)
    assert gitlab("group/sub/app", project_id="20", branches=["main"]) == {
        "project_path": ("group/sub/app",),
        "project_id": ("20",),
        "ref_path": ("refs/heads/main",),
        "ref_type": ("branch",),
        "ref_protected": ("true",),
    }
    assert "ref_protected" not in gitlab("group/app", project_id="20", protected=False)


@pytest.mark.parametrize("account", ["", "build", "build/", "a/b/c", "*/pusher", "Build/x"])
def test_the_preset_of_kubernetes_takes_one_account(account: str) -> None:
    check_conditions(ISSUER, kubernetes("build/pusher"))
    with pytest.raises(ValueError, match="NAMESPACE/NAME"):
        kubernetes(account)


@pytest.mark.parametrize("name", ["octo", "octo/*", "octo/a/b", "*/app", "octo/app\n", ""])
def test_a_preset_takes_no_wildcards_in_names(name: str) -> None:
    with pytest.raises(ValueError, match="OWNER/REPO"):
        github(name, repository_id="74")
    with pytest.raises(ValueError, match="digits"):
        github("octo/app", repository_id="7*")
