"""Devices without a browser sign in (RFC 8628): asked, approved, denied, too late, guessed."""

import json
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from kho.server.database import audit
from kho.server.database.audit import Filter
from kho.server.database.engine import Transaction
from kho.server.database.identities import accounts
from kho.server.database.schema import credentials as table
from kho.server.database.statement import Statement
from kho.server.index.audit import flush
from kho.server.index.browser import devices
from kho.server.index.sources import passwords
from tests.flows.browser import Browser
from tests.flows.client import Answer
from tests.flows.databases import on_both_databases
from tests.flows.people import basic, bearer, resources_of
from tests.flows.registry import Registry
from tests.provider import Provider

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
FORM = ("Content-Type", "application/x-www-form-urlencoded")
PASSWORD = "correct horse"
EARLIER = Statement(table.update().values(last_used_at=0).where(table.c.kind == "device"))
EXPIRED = Statement(table.update().values(expires_at=1).where(table.c.kind == "device"))


@pytest.fixture
async def alice(registry: Registry) -> Browser:
    """Signed in."""
    resources = resources_of(registry)
    resources.memory.keep(passwords.Line).cost = passwords.Cost(8, 1)
    hashed = await passwords.hash_password(resources, PASSWORD)
    await resources.database.write(accounts.add, "alice", source="local", password_hash=hashed)
    resources.memory.forget()
    browser = Browser(registry)
    assert (await browser.sign_in("alice", PASSWORD)).status == 303
    return browser


async def ask(registry: Registry, client: str = "kho 1.0 on laptop") -> dict[str, Any]:
    """The device asks for codes."""
    body = urlencode({"client_id": client}).encode()
    answer = await registry.client.post("/auth/device/code", body, FORM)
    assert answer.status == 200, answer
    found: dict[str, Any] = answer.json()
    return found


async def poll(registry: Registry, device_code: str) -> Answer:
    """The device asks for its token."""
    fields = {"grant_type": GRANT, "device_code": device_code, "client_id": "kho"}
    fields |= {"service": "kho", "access_type": "offline"}
    return await registry.client.post("/token", urlencode(fields).encode(), FORM)


def refusal(answer: Answer) -> str:
    """The error of OAuth."""
    assert answer.status in {400, 401}
    return str(answer.json()["error"])


async def tick(registry: Registry, statement: Statement = EARLIER) -> None:
    """Time passes."""
    await resources_of(registry).database.write(run, statement)


async def run(tx: Transaction, statement: Statement) -> None:
    """One statement."""
    await tx.run(statement)


@on_both_databases
async def test_a_device_is_approved(registry: Registry, alice: Browser) -> None:
    asked = await ask(registry)
    assert set(asked) == {
        *("device_code", "user_code", "verification_uri", "verification_uri_complete"),
        *("expires_in", "interval"),
    }
    assert (asked["expires_in"], asked["interval"]) == (600, 5)
    answer = await poll(registry, asked["device_code"])
    assert (answer.status, answer.json()["error"]) == (400, "authorization_pending")
    await alice.get(f"/auth/device?user_code={asked['user_code']}")
    for text in (asked["user_code"], "kho 1.0 on laptop", "192.0.2.1", "just now", "alice"):
        assert text in alice.text
    assert (await alice.submit("/auth/device", decision="approve")).status == 200
    assert "signed in" in alice.text
    answer = await poll(registry, asked["device_code"])
    assert answer.status == 200, answer
    token = answer.json()
    assert (await registry.client.get("/v2/", bearer(token["access_token"]))).status == 200
    assert token["refresh_token"].startswith("khof_")
    answer = await poll(registry, asked["device_code"])
    assert refusal(answer) == "invalid_grant"
    # Nobody can approve it again.
    assert (await alice.get(f"/auth/device?user_code={asked['user_code']}")).status == 404


async def test_the_identity_is_the_persons(registry: Registry, alice: Browser) -> None:
    asked = await ask(registry)
    await alice.get(f"/auth/device?user_code={asked['user_code']}")
    await alice.submit("/auth/device", decision="approve")
    identity = await devices.redeem(resources_of(registry), asked["device_code"])
    assert (identity.subject, identity.source, identity.credential) == ("user:alice", "local", None)


async def test_a_device_is_denied(registry: Registry, alice: Browser) -> None:
    asked = await ask(registry)
    await alice.get(f"/auth/device?user_code={asked['user_code']}")
    await alice.submit("/auth/device", decision="deny")
    assert "not signed in" in alice.text
    answer = await poll(registry, asked["device_code"])
    assert (answer.status, answer.json()["error"]) == (400, "access_denied")
    answer = await poll(registry, asked["device_code"])
    assert refusal(answer) == "invalid_grant"


async def test_what_was_decided_stays_so(registry: Registry, alice: Browser) -> None:
    asked = await ask(registry)
    await alice.get(f"/auth/device?user_code={asked['user_code']}")
    fields = {**alice.hidden(), "decision": "deny"}
    await alice.post("/auth/device", fields)
    assert (await alice.post("/auth/device", {**fields, "decision": "approve"})).status == 404
    answer = await poll(registry, asked["device_code"])
    assert answer.json()["error"] == "access_denied"


async def test_a_device_that_asks_too_often_is_slowed_down(registry: Registry) -> None:
    asked = await ask(registry)
    errors = [refusal(await poll(registry, asked["device_code"])) for _ in range(2)]
    assert errors == ["authorization_pending", "slow_down"]
    await tick(registry)
    assert refusal(await poll(registry, asked["device_code"])) == "authorization_pending"


async def test_codes_end(registry: Registry, alice: Browser) -> None:
    asked = await ask(registry)
    await tick(registry, EXPIRED)
    answer = await poll(registry, asked["device_code"])
    assert (answer.status, answer.json()["error"]) == (400, "expired_token")
    assert (await alice.get(f"/auth/device?user_code={asked['user_code']}")).status == 404


async def test_an_approval_that_comes_too_late_is_none(registry: Registry, alice: Browser) -> None:
    asked = await ask(registry)
    await alice.get(f"/auth/device?user_code={asked['user_code']}")
    await tick(registry, EXPIRED)
    assert (await alice.submit("/auth/device", decision="approve")).status == 404
    assert (await poll(registry, asked["device_code"])).json()["error"] == "expired_token"


@pytest.mark.parametrize("code", ["", "x", "khod_" + "0" * 38, "khop_" + "0" * 38, "é"])
async def test_what_is_no_device_code_gets_nothing(registry: Registry, code: str) -> None:
    answer = await poll(registry, code)
    assert refusal(answer) in {"invalid_grant", "invalid_request"}


async def test_a_device_code_is_no_password(registry: Registry, alice: Browser) -> None:
    asked = await ask(registry)
    await alice.get(f"/auth/device?user_code={asked['user_code']}")
    await alice.submit("/auth/device", decision="approve")
    answer = await registry.client.get("/v2/", basic("alice", asked["device_code"]))
    assert answer.status == 401


async def test_who_is_disabled_before_the_device_asks_gets_nothing(
    registry: Registry, alice: Browser
) -> None:
    asked = await ask(registry)
    await alice.get(f"/auth/device?user_code={asked['user_code']}")
    await alice.submit("/auth/device", decision="approve")
    resources = resources_of(registry)
    await resources.database.write(accounts.set_disabled, "alice", True)
    resources.memory.forget()
    answer = await poll(registry, asked["device_code"])
    assert (answer.status, answer.json()["error"]) == (400, "access_denied")


async def test_who_is_not_signed_in_signs_in_first(registry: Registry, alice: Browser) -> None:
    asked = await ask(registry)
    other = Browser(registry)
    answer = await other.get(f"/auth/device?user_code={asked['user_code']}")
    assert answer.status == 303
    place = urlsplit(answer["Location"])
    (back,) = parse_qs(place.query)["next"]
    assert place.path == "/auth/login"
    assert back == f"/auth/device?user_code={asked['user_code']}"
    answer = await other.sign_in("alice", PASSWORD, back)
    assert answer["Location"] == back
    await other.get(back)
    assert asked["user_code"] in other.text
    assert await alice.user() is not None


async def test_people_of_the_provider_approve_devices_too(
    signed: Registry, provider: Provider
) -> None:
    asked = await ask(signed)
    browser = Browser(signed)
    back = f"/auth/device?user_code={asked['user_code']}"
    await browser.sign_in_at(provider, back)
    assert browser.page is not None
    await browser.get(browser.page["Location"])
    await browser.submit("/auth/device", decision="approve")
    answer = await poll(signed, asked["device_code"])
    assert answer.status == 200
    identity_token = bearer(answer.json()["access_token"])
    assert (await signed.client.get("/v2/", identity_token)).status == 200


@pytest.mark.parametrize("typed", ["{}", " {} ", "lower", "spaced"])
async def test_codes_are_read_as_people_type_them(
    registry: Registry, alice: Browser, typed: str
) -> None:
    code = (await ask(registry))["user_code"]
    forms = {"lower": code.lower().replace("-", ""), "spaced": " ".join(code.replace("-", ""))}
    text = forms.get(typed, typed.format(code))
    answer = await alice.get(f"/auth/device?{urlencode({'user_code': text})}")
    assert answer.status == 200
    assert code in alice.text


async def test_guessing_codes_is_slowed_down(registry: Registry, alice: Browser) -> None:
    asked = await ask(registry)
    statuses = [(await alice.get("/auth/device?user_code=BBBB-BBBB")).status for _ in range(11)]
    assert statuses == [404] * 10 + [429]
    answer = await alice.get(f"/auth/device?user_code={asked['user_code']}")
    assert answer.status == 429
    assert int(answer["Retry-After"]) > 0


async def test_asking_for_codes_is_slowed_down(registry: Registry) -> None:
    for _ in range(30):
        await ask(registry)
    answer = await registry.client.post("/auth/device/code", b"client_id=kho", FORM)
    assert answer.status == 429


async def test_user_codes_differ_and_are_of_clear_letters(registry: Registry) -> None:
    codes = {(await ask(registry))["user_code"] for _ in range(20)}
    assert len(codes) == 20
    assert set("".join(codes)) <= {*"BCDFGHJKLMNPQRSTVWXZ", "-"}
    assert {len(code) for code in codes} == {9}


async def test_what_the_device_calls_itself_is_shown_as_text(
    registry: Registry, alice: Browser
) -> None:
    asked = await ask(registry, "<script>alert(1)</script>")
    await alice.get(f"/auth/device?user_code={asked['user_code']}")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in alice.text
    await alice.get(f"/auth/device?{urlencode({'user_code': '<script>'})}")
    assert "&lt;script&gt;" in alice.text


@pytest.mark.parametrize("client", ["x" * 65, "a\nb", "é"])
async def test_a_client_without_a_sensible_name_is_refused(registry: Registry, client: str) -> None:
    body = urlencode({"client_id": client}).encode()
    answer = await registry.client.post("/auth/device/code", body, FORM)
    assert (answer.status, answer.json()["error"]) == (400, "invalid_request")


async def test_decisions_leave_a_trail(registry: Registry, alice: Browser) -> None:
    for decision in ("approve", "deny"):
        asked = await ask(registry, f"device to {decision}")
        await alice.get(f"/auth/device?user_code={asked['user_code']}")
        await alice.submit("/auth/device", decision=decision)
    resources = resources_of(registry)
    await flush(resources)
    rows = await resources.database.read(audit.find, Filter(actions=("device.approve",)), 0, 10)
    assert {row.outcome for row in rows} == {"allowed", "denied"}
    assert {row.actor for row in rows} == {"user:alice"}
    clients = {json.loads(row.details or "{}")["client"] for row in rows}
    assert clients == {"device to approve", "device to deny"}
