"""A CI job signs in with its own token, pushes, and outlives it; only as far as its rule goes."""

import base64
import json
from collections.abc import AsyncIterator
from urllib.parse import urlencode

import pytest

from kho.server.database import audit
from kho.server.database.audit import Filter
from kho.server.database.identities import grants, robots, trust_rules
from kho.server.index import audit as trail
from kho.server.index.workloads import trust
from kho.server.policy.trust import Rule
from kho.server.policy.trust_presets import github
from kho.server.resources import Resources
from tests.flows.client import Answer
from tests.flows.databases import on_both_databases
from tests.flows.registry import Registry
from tests.issuer import AUDIENCE, Issuer, github_claims

SCOPE = "repository:team/app:pull,push"
FORM = ("Content-Type", "application/x-www-form-urlencoded")
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"


@pytest.fixture
async def issuer(registry: Registry) -> AsyncIterator[Issuer]:
    """An issuer whose job on main may write below team/."""
    async with Issuer() as running:
        resources = resources_of(registry)
        await resources.database.write(robots.add, "ci", "")
        await resources.database.write(grants.add, "robot:ci", "writer", "team/**", "operator")
        conditions = github("octo/app", repository_id="74", branches=["main"])
        await trust.add(resources, Rule("ci", running.url, AUDIENCE, conditions, "ci"), "operator")
        resources.memory.forget()
        yield running


def resources_of(registry: Registry) -> Resources:
    found = registry.workers[-1].app.resources
    assert found is not None
    return found


def basic(password: str) -> tuple[str, str]:
    return "Authorization", "Basic " + base64.b64encode(f"oidc:{password}".encode()).decode()


def bearer(answer: Answer) -> tuple[str, str]:
    return "Authorization", f"Bearer {answer.json()['token']}"


async def login(registry: Registry, token: str, **more: str) -> Answer:
    query = urlencode({"service": "kho", "scope": SCOPE, **more})
    return await registry.client.get(f"/token?{query}", basic(token))


async def exchange(registry: Registry, **fields: str) -> Answer:
    body = urlencode({"service": "kho", "scope": SCOPE, **fields}).encode()
    return await registry.client.post("/token", body, FORM)


async def push(registry: Registry, name: str, *headers: tuple[str, str]) -> int:
    return (await registry.client.post(f"/v2/{name}/blobs/uploads/", b"", *headers)).status


@on_both_databases
async def test_a_job_signs_in_as_docker_does_and_pushes(registry: Registry, issuer: Issuer) -> None:
    answer = await login(registry, issuer.token(github_claims(issuer.url)))
    assert answer.status == 200
    assert "refresh_token" not in answer.json()
    assert await push(registry, "team/app", bearer(answer)) == 202
    assert await push(registry, "other/app", bearer(answer)) == 401
    refused = await login(registry, issuer.token(github_claims(issuer.url, ref="refs/heads/x")))
    assert refused.status == 401
    assert b"refs/heads" not in refused.body


async def test_a_token_is_exchanged(registry: Registry, issuer: Issuer) -> None:
    token = issuer.token(github_claims(issuer.url))
    kind = "urn:ietf:params:oauth:token-type:id_token"
    fields = {"grant_type": EXCHANGE, "subject_token_type": kind}
    answer = await exchange(registry, **fields, subject_token=token)
    assert answer.status == 200
    assert answer.json()["scope"] == SCOPE
    assert await push(registry, "team/app", bearer(answer)) == 202
    wrong = issuer.token(github_claims(issuer.url, aud="https://github.com/octo"))
    assert (await exchange(registry, **fields, subject_token=wrong)).status in (400, 401)


async def test_a_long_push_outlives_the_jobs_token_until_the_rule_is_gone(
    registry: Registry, issuer: Issuer
) -> None:
    answer = await login(
        registry, issuer.token(github_claims(issuer.url)), offline_token="true", client_id="docker"
    )
    refresh = {"grant_type": "refresh_token", "refresh_token": answer.json()["refresh_token"]}
    renewed = await exchange(registry, **refresh)
    assert renewed.status == 200
    assert await push(registry, "team/app", bearer(renewed)) == 202
    assert await push(registry, "team/app", bearer(answer)) == 202
    resources = resources_of(registry)
    await trust.remove(resources, "ci", "operator")
    resources.memory.forget()  # within a second, without a test's help
    for token in (answer, renewed):
        assert await push(registry, "team/app", bearer(token)) == 401
    assert (await exchange(registry, **refresh)).status in (400, 401)
    assert await resources.database.read(trust_rules.every) == []


async def test_a_rule_for_another_robot_is_another_rule(registry: Registry, issuer: Issuer) -> None:
    answer = await login(registry, issuer.token(github_claims(issuer.url)))
    resources = resources_of(registry)
    (row,) = await trust.every(resources)
    await resources.database.write(robots.add, "other", "")
    await trust.remove(resources, "ci", "operator")
    await trust.add(resources, row.rule._replace(robot="other"), "operator")
    resources.memory.forget()
    assert await push(registry, "team/app", bearer(answer)) == 401
    await trust.remove(resources, "ci", "operator")
    await trust.add(resources, row.rule, "operator")
    resources.memory.forget()
    assert await push(registry, "team/app", bearer(answer)) == 202


async def test_the_trail_says_which_claim_was_wrong(registry: Registry, issuer: Issuer) -> None:
    await login(registry, issuer.token(github_claims(issuer.url, repository_id="75")))
    resources = resources_of(registry)
    await trail.flush(resources)
    wanted = Filter(actions=("workload.login",))
    (row,) = await resources.database.read(audit.newest, wanted, 10)
    details = json.loads(row.details or "{}")
    assert details["reason"] == "rule ci: repository_id is '75', wanted is '74'"
    assert (row.outcome, details["repository"], details["run"]) == (
        "failed",
        "octo/app",
        "30433642",
    )
