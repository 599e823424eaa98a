"""CI jobs and pods come in with their own token: the right one, and no other (issue's show 3)."""

import dataclasses
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from kho.oci.errors import Unauthorized, Unavailable
from kho.server.database import audit as audit_rows
from kho.server.database.audit import Filter
from kho.server.database.identities import robots
from kho.server.index import audit
from kho.server.index.errors import Conflict, Invalid, NotFound
from kho.server.index.workloads import trust, workload
from kho.server.policy import trust_presets
from kho.server.policy.trust import Conditions, Rule
from kho.server.resources import Memory, Resources
from tests.flows.databases import on_both_databases
from tests.flows.registry import Registry
from tests.issuer import AUDIENCE, Issuer, github_claims, gitlab_claims, kubernetes_claims


@pytest.fixture
async def resources(registry: Registry) -> Resources:
    """A worker with a memory of its own, and a robot to come in as."""
    found = registry.workers[-1].app.resources
    assert found is not None
    await found.database.write(robots.add, "ci", "")
    return dataclasses.replace(found, memory=Memory())


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with Issuer() as running:
        yield running


async def trusted(resources: Resources, of: Issuer, conditions: Conditions, **changes: Any) -> Rule:
    """A rule of the issuer."""
    rule = Rule("rule", of.url, AUDIENCE, conditions, "ci")._replace(**changes)
    await trust.add(resources, rule, "operator")
    resources.memory.forget()
    return rule


async def refusal(resources: Resources, token: str) -> str:
    """Why the token is refused, as the audit trail has it; the client learns nothing of it."""
    with pytest.raises(Unauthorized) as caught:
        await workload.identify(resources, token)
    assert caught.value.message == "the token is not trusted here"
    assert caught.value.detail is None
    await audit.flush(resources)
    rows = await resources.database.read(audit_rows.newest, Filter(actions=("workload.login",)), 1)
    assert rows[0].outcome == "failed"
    reason: str = json.loads(rows[0].details or "{}")["reason"]
    return reason


GITHUB = trust_presets.github(
    "octo/app", repository_id="74", branches=["main"], environments=["prod"]
)


@on_both_databases
async def test_a_job_of_github_comes_in(resources: Resources, issuer: Issuer) -> None:
    await trusted(resources, issuer, GITHUB)
    token = issuer.token(github_claims(issuer.url, environment="prod"))
    assert workload.looks_like(token)
    identity = await workload.identify(resources, token)
    assert identity.subject == "robot:ci"
    assert identity.source == "workload"
    assert identity.ceiling is None
    assert identity.details == {
        "rule": "rule",
        "issuer": issuer.url,
        "sub": "repo:octo/app:ref:refs/heads/main",
        "repository": "octo/app",
        "run": "30433642",
    }
    # A client shows it with every request for a token, until it expires.
    assert await workload.identify(resources, token) == identity


async def test_the_immutable_form_of_sub_does_not_matter(
    resources: Resources, issuer: Issuer
) -> None:
    await trusted(resources, issuer, GITHUB)
    sub = "repo:octo@65/app@74:environment:prod"
    claims = github_claims(issuer.url, environment="prod", sub=sub)
    assert (await workload.identify(resources, issuer.token(claims))).subject == "robot:ci"


@pytest.mark.parametrize(
    "changes, reason",
    [
        (
            {"aud": "https://github.com/octo"},
            f"aud is 'https://github.com/octo', wanted is '{AUDIENCE}'",
        ),
        ({"aud": AUDIENCE + "/"}, "aud is"),
        ({"aud": None}, "aud is absent"),
        ({"ref": "refs/heads/dev"}, "ref is 'refs/heads/dev'"),
        ({"ref": "refs/tags/main", "ref_type": "tag"}, "ref_type is 'tag'"),
        ({"repository_id": "75"}, "repository_id is '75', wanted is '74'"),
        ({"repository_id": None}, "repository_id is absent"),
        ({"repository": "octo/other"}, "repository is 'octo/other'"),
        ({"repository": "Octo/app"}, "repository is 'Octo/app'"),
        ({"environment": "staging"}, "environment is 'staging'"),
        ({"environment": None}, "environment is absent"),
        ({"event_name": "pull_request_target"}, "event_name is 'pull_request_target'"),
        ({"event_name": "pull_request", "ref": "refs/pull/7/merge"}, "ref is 'refs/pull/7/merge'"),
    ],
)
async def test_a_job_of_github_with_another_claim_stays_out(
    resources: Resources, issuer: Issuer, changes: Mapping[str, object], reason: str
) -> None:
    await trusted(resources, issuer, GITHUB)
    claims = github_claims(issuer.url, **{"environment": "prod", **changes})
    assert reason in await refusal(resources, issuer.token(claims))


async def test_another_issuer_stays_out_and_is_not_asked(
    resources: Resources, issuer: Issuer
) -> None:
    await trusted(resources, issuer, GITHUB)
    async with Issuer() as stranger:
        own = stranger.token(github_claims(stranger.url, environment="prod"))
        assert "no trust rule names the issuer" in await refusal(resources, own)
        assert stranger.asked == []
        for url in (issuer.url + "/", issuer.url.upper(), issuer.url + "/octo-inc"):
            token = issuer.token(github_claims(url, environment="prod"))
            assert "no trust rule names the issuer" in await refusal(resources, token)
        lying = stranger.token(github_claims(issuer.url, environment="prod"))
        assert "signature" in await refusal(resources, lying)


GITLAB = trust_presets.gitlab("group/app", project_id="20", branches=["main"])


async def test_a_job_of_gitlab_comes_in(resources: Resources, issuer: Issuer) -> None:
    await trusted(resources, issuer, GITLAB)
    identity = await workload.identify(resources, issuer.token(gitlab_claims(issuer.url)))
    assert identity.subject == "robot:ci"
    assert identity.details is not None
    assert identity.details["repository"] == "group/app"
    assert identity.details["run"] == "302"


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"aud": "https://gitlab.example"}, "aud is"),
        ({"ref_path": "refs/heads/dev", "ref": "dev"}, "ref_path is 'refs/heads/dev'"),
        ({"ref_path": "refs/tags/main", "ref_type": "tag"}, "ref_type is 'tag'"),
        ({"project_id": "21"}, "project_id is '21'"),
        ({"project_path": "fork/app", "project_id": "99"}, "project_path is 'fork/app'"),
        # A merge request of a fork that runs in the parent project: on no protected ref.
        (
            {"pipeline_source": "merge_request_event", "ref_protected": "false"},
            "ref_protected is 'false', wanted is 'true'",
        ),
        ({"ref_protected": None}, "ref_protected is absent"),
    ],
)
async def test_a_job_of_gitlab_with_another_claim_stays_out(
    resources: Resources, issuer: Issuer, changes: Mapping[str, object], reason: str
) -> None:
    await trusted(resources, issuer, GITLAB)
    assert reason in await refusal(resources, issuer.token(gitlab_claims(issuer.url, **changes)))


async def test_a_pod_comes_in_by_its_service_account(resources: Resources, issuer: Issuer) -> None:
    keys = f"{issuer.url}/openid/v1/jwks"  # an API server's issuer need not serve discovery
    conditions = trust_presets.kubernetes("build/pusher")
    await trusted(resources, issuer, conditions, jwks_url=keys)
    token = issuer.token(kubernetes_claims(issuer.url))
    assert (await workload.identify(resources, token)).subject == "robot:ci"
    assert issuer.asked == ["/openid/v1/jwks"]
    other = {"namespace": "build", "serviceaccount": {"name": "default", "uid": "x"}}
    claims = kubernetes_claims(issuer.url, **{"kubernetes.io": other})
    assert "serviceaccount/name is 'default'" in await refusal(resources, issuer.token(claims))
    claims = kubernetes_claims(issuer.url, sub="system:serviceaccount:build:other")
    assert "sub is" in await refusal(resources, issuer.token(claims))


async def test_the_keys_of_an_issuer_may_be_a_file(
    resources: Resources, issuer: Issuer, tmp_path: Path
) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": [issuer.jwk()]}))
    conditions = trust_presets.kubernetes("build/pusher")
    rule = {"issuer": "https://kubernetes.default.svc", "jwks_url": f"file://{keys}"}
    await trusted(resources, issuer, conditions, **rule)
    token = issuer.token(kubernetes_claims(rule["issuer"]))
    assert (await workload.identify(resources, token)).subject == "robot:ci"
    assert issuer.asked == []
    await trust.remove(resources, "rule", "operator")
    keys.unlink()
    await trusted(resources, issuer, conditions, **rule)
    with pytest.raises(Unavailable):  # with the last rule of an issuer its keys have gone
        await workload.identify(resources, token)
    problem = (await trust.test(resources, token)).problem
    assert problem is not None
    assert "cannot be read: No such file" in str(problem)


async def test_the_first_rule_by_name_decides_and_a_disabled_robot_stays_out(
    resources: Resources, issuer: Issuer
) -> None:
    await resources.database.write(robots.add, "second", "")
    await trusted(resources, issuer, GITLAB, name="b", robot="second")
    await trusted(resources, issuer, GITLAB, name="a")
    token = issuer.token(gitlab_claims(issuer.url))
    assert (await workload.identify(resources, token)).subject == "robot:ci"
    await resources.database.write(robots.set_disabled, "ci", True)
    assert await refusal(resources, token) == "rule a: robot ci is disabled"
    await trust.remove(resources, "a", "operator")
    resources.memory.forget()
    assert (await workload.identify(resources, token)).subject == "robot:second"


async def test_a_rule_is_refused_with_words(resources: Resources, issuer: Issuer) -> None:
    async def refused(kind: type[Exception], words: str, **changes: Any) -> None:
        with pytest.raises(kind, match=words):
            await trusted(resources, issuer, **{"conditions": GITHUB, **changes})

    await refused(Invalid, "no name of a rule", name="CI")
    await refused(Invalid, "https://host/path", issuer="http://issuer.example")
    await refused(Invalid, "user, query or fragment", issuer="https://issuer.example/?a=b")
    await refused(Invalid, "not allowed", issuer="file:///etc/keys")
    await refused(Invalid, "must pin", conditions={"ref": ("main",)})
    await refused(Invalid, "audience", audience="")
    await refused(NotFound, "khod robots add nobody", robot="nobody")
    await trusted(resources, issuer, GITHUB)
    await refused(Conflict, "there is a rule")
    await refused(Conflict, "must agree", name="b", jwks_url="https://keys.example/keys")
    with pytest.raises(NotFound):
        await trust.remove(resources, "nothing", "operator")
    changes = await resources.database.read(audit_rows.find, Filter(actions=("trust.*",)), 0, 9)
    assert [(row.action, row.target, row.actor) for row in changes] == [
        ("trust.add", "rule", "operator")
    ]


async def test_a_trial_says_what_each_rule_makes_of_a_token(
    resources: Resources, issuer: Issuer
) -> None:
    await trusted(resources, issuer, GITHUB, name="a")
    await trusted(resources, issuer, GITLAB, name="b")
    trial = await trust.test(resources, issuer.token(gitlab_claims(issuer.url)))
    assert trial.rule is not None
    assert trial.rule.name == "b"
    assert "repository is absent, wanted is 'octo/app'" in map(str, trial.refusals["a"])
    none = await trust.test(resources, issuer.token(gitlab_claims(issuer.url, aud="x")))
    assert none.rule is None
    assert [*map(str, none.refusals["b"])] == [f"aud is 'x', wanted is '{AUDIENCE}'"]
    assert str((await trust.test(resources, "no token")).problem) == (
        "not a signed token: three parts of base64url with dots between"
    )


async def test_a_trial_says_why_the_keys_cannot_be_had(
    resources: Resources, issuer: Issuer
) -> None:
    await trusted(resources, issuer, GITLAB)
    issuer.misbehave = "stranger"
    trial = await trust.test(resources, issuer.token(gitlab_claims(issuer.url)))
    assert trial.problem is not None
    assert "of another issuer: 'https://another.example'" in str(trial.problem)


@pytest.mark.parametrize(
    "password, expected",
    [
        ("eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0.", True),
        ("eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0.AAAA", True),
        ("eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0.AAAA.AAAA.AAAA", False),
        ("hunter2", False),
        ("a.b.c", False),
        ("khop_abc", False),
        ("", False),
        ("eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0.AAAA\n", False),
        ("eyJ." * 40000, False),
    ],
)
def test_what_looks_like_a_token(password: str, expected: bool) -> None:
    assert workload.looks_like(password) is expected
