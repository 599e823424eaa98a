"""Pages of administration: workloads, the audit trail, settings, health, keys."""

import csv
import io
import re

import pytest

from kho.server.database import audit as trail
from kho.server.database.audit import Event
from kho.server.web.ui.admin.audit import harmless
from tests.flows.administration import ADMIN, Admin
from tests.flows.databases import on_both_databases
from tests.flows.households import Household
from tests.flows.registry import Registry

HOSTILE = "\"><script>alert('x')</script>"


@pytest.fixture
async def root(registry: Registry) -> Admin:
    """Signed in; hashes cost little."""
    house = Household(registry)
    found = Admin(house, await house.person("root", admin=True))
    await found.see("")
    return found


async def test_workloads_are_trusted_by_preset_or_by_hand(root: Admin) -> None:
    await root.send("/robots", name="ci", description="")
    for preset in ("github", "gitlab", "kubernetes", "other", "unknown"):
        await root.see(f"/trust?preset={preset}")
    rule = {"robot": "ci", "audience": "https://registry.example"}
    github = {**rule, "preset": "github", "name": "gh", "workload": "acme/app"}
    await root.send("/trust", 400, **github)
    assert "give the id of acme/app too" in root.refusal()
    assert root.typed("workload") == "acme/app"
    text = await root.send("/trust", **github, repository_id="4711", branches="main, release/*")
    for part in ("repository_id=4711", "ref=refs/heads/main|refs/heads/release/*", "event_name="):
        assert part in text
    await root.send("/trust", 409, **github, repository_id="4711")
    gitlab = {**rule, "preset": "gitlab", "name": "gl", "workload": "acme/app"}
    text = await root.send("/trust", **gitlab, project_id="17", protected="yes")
    assert "ref_protected=true" in text
    pods = {**rule, "preset": "kubernetes", "name": "k8s", "workload": "web/deploy"}
    issuer = "https://kubernetes.example"
    text = await root.send("/trust", **pods, issuer=issuer, claims="aud_note=x\naud_note=y\n")
    assert "sub=system:serviceaccount:web:deploy" in text
    assert "aud_note=x|y" in text
    other = {**rule, "preset": "other", "name": "own", "issuer": "https://ci.example"}
    for claims, reason in (("", "condition"), ("sub", "is not NAME=GLOB")):
        await root.send("/trust", 400, **other, claims=claims)
        assert reason in root.refusal()
    await root.send("/trust", 400, **{**pods, "name": "x"}, issuer=issuer, claims="sub=*")
    assert "there is a condition on this claim already" in root.refusal()
    await root.send("/trust", 404, **{**other, "robot": "zed"}, claims="sub=job:1")
    await root.send("/trust", **other, claims="sub=job:1")
    assert "job:1" in await root.see("/trust/own")
    text = await root.send("/trust-trials", 200, jwt="not.a.token")
    assert ">no<" in text.replace(" ", "").replace("</svg>", ">") or "no</span>" in text
    await root.send("/trust/own", 400, confirm="")
    assert "The rule is removed." in await root.send("/trust/own", confirm="own")
    await root.send("/robots/ci", 409, do="remove", confirm="ci")
    assert "trust rules" in root.refusal()


@on_both_databases
async def test_the_trail_is_filtered_paged_and_downloaded(registry: Registry) -> None:
    house = Household(registry)
    admin = Admin(house, await house.person("root", admin=True))
    await admin.see("/audit")
    formula = '=HYPERLINK("http://evil.example")'
    for number in range(130):
        event = Event("login", "failed", formula, repository=f"team/app{number}", target="+1+1")
        await house.resources.database.write(trail.record, event)
    await house.resources.database.write(trail.record, Event("push", "allowed", "user:" + HOSTILE))
    text = await admin.see("/audit?outcome=failed")
    assert text.count(formula) >= 100
    assert "team/app129" in text
    assert "team/app29<" not in text
    text = await admin.see("/audit" + re.findall(r'rel="next" href="(.*?)"', text)[0])
    assert "team/app29<" in text
    assert "team/app129" not in text
    assert "team/app7<" in await admin.see("/audit?repository=team/app7")
    assert "No event fits." in await admin.see("/audit?repository=team/none")
    assert "No event fits." in await admin.see("/audit?since=2999-01-01")
    assert "No event fits." in await admin.see("/audit?actor=user:nobody&action=log*")
    assert "is no time" in (await admin.see_refused("/audit?since=yesterday"))
    await admin.see("/audit?action=push")
    assert "<script>alert" not in admin.browser.text
    answer = await admin.browser.get(f"{ADMIN}/audit.csv?outcome=failed")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"] == 'attachment; filename="audit.csv"'
    found = list(csv.DictReader(io.StringIO(answer.body.decode())))
    assert len(found) == 130
    assert {row["actor"] for row in found} == {"'" + formula}
    assert {row["target"] for row in found} == {"'+1+1"}
    assert found[0]["repository"] == "team/app129"
    assert (await admin.browser.get(f"{ADMIN}/audit.csv?since=x")).status == 400


@pytest.mark.parametrize(
    "text,shown",
    [
        ("user:alice", "user:alice"),
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("  =1", "'  =1"),
        ("＝1", "'＝1"),
        ("", ""),
        ("a=1", "a=1"),
    ],
)
def test_no_cell_is_a_formula(text: str, shown: str) -> None:
    assert harmless(text) == shown


@pytest.mark.settings(oidc__issuer="https://id.example", oidc__client_id="kho", oidc__label="Acme")
async def test_the_configuration_tells_sources_and_no_secrets(root: Admin) -> None:
    text = await root.see("/configuration")
    assert "oidc.issuer" in text
    assert "https://id.example" in text
    assert "auth.token_seconds" in text
    text = await root.see("/configuration?only=changed")
    assert "oidc.issuer" in text
    assert "auth.token_seconds" not in text
    assert "flag --oidc-issuer" in text


async def test_health_is_tried_and_keys_are_exchanged(root: Admin) -> None:
    text = await root.see("/health")
    assert text.count("works</span>") == 2
    assert "expire uploads" in text
    await root.see("/keys")
    before = re.findall(r'class="name"><code>(.*?)</code>', await root.send("/keys"))
    after = re.findall(r'class="name"><code>(.*?)</code>', await root.send("/keys", drop_old="yes"))
    assert len(after) == 1
    assert after != before
