"""People sign in and out with a browser, by password; the first administrator; cross-site forms."""

import asyncio
import re

import pytest

from kho.oci.errors import Unauthorized
from kho.server.database import audit
from kho.server.database.audit import Filter
from kho.server.database.identities import accounts
from kho.server.index.audit import flush
from kho.server.index.browser import sessions, setup
from kho.server.index.errors import Conflict
from kho.server.index.sources import passwords
from kho.server.index.tokens import credentials
from tests.flows.browser import Browser
from tests.flows.databases import on_both_databases
from tests.flows.people import basic, resources_of
from tests.flows.registry import Registry

PASSWORD = "correct horse"
HERE = sessions.From("127.0.0.1", "")
HOSTILE = "\"><script>alert('x')</script>&lt;"


@pytest.fixture
async def alice(registry: Registry) -> Browser:
    """A browser; the registry knows alice, an administrator."""
    resources = resources_of(registry)
    resources.memory.keep(passwords.Line).cost = passwords.Cost(8, 1)
    hashed = await passwords.hash_password(resources, PASSWORD)
    await resources.database.write(
        accounts.add, "alice", source="local", password_hash=hashed, admin=True
    )
    resources.memory.forget()
    return Browser(registry)


async def events(registry: Registry, *actions: str) -> list[tuple[str, str, str]]:
    """What the trail has of these actions: action, outcome, actor."""
    resources = resources_of(registry)
    await flush(resources)
    rows = await resources.database.read(audit.find, Filter(actions=actions), 0, 100)
    return [(row.action, row.outcome, row.actor) for row in rows]


async def test_a_person_signs_in_and_out(alice: Browser, registry: Registry) -> None:
    assert await alice.user() is None
    answer = await alice.sign_in("alice", PASSWORD)
    assert (answer.status, answer["Location"]) == (303, "/")
    assert await alice.user() == {"name": "alice", "source": "local", "admin": True}
    assert (await alice.get("/auth/login"))["Location"] == "/"
    await alice.get("/")
    assert 'href="/-/account"' in alice.text
    secret = alice.cookies["kho"]
    answer = await alice.submit("/auth/logout")
    assert answer.status == 303
    assert "kho" not in alice.cookies
    alice.cookies["kho"] = secret  # who has kept a copy
    assert await alice.user() is None
    assert ("login", "allowed", "user:alice") in await events(registry, "login")
    assert ("logout", "allowed", "user:alice") in await events(registry, "logout")


@pytest.mark.settings(http__public_url="https://registry.example")
async def test_over_tls_cookies_belong_to_this_host_alone(alice: Browser) -> None:
    alice.base = "https://registry.example"
    assert (await alice.sign_in("alice", PASSWORD)).status == 303
    assert set(alice.cookies) == {"__Host-kho", "__Host-kho-browser"}
    assert (await alice.user() or {})["name"] == "alice"


async def test_a_wrong_password_is_told_on_the_same_page(alice: Browser) -> None:
    answer = await alice.sign_in("alice", "wrong", "/auth/device?user_code=BCDF-GHJK")
    assert answer.status == 401
    assert "Wrong username or password." in alice.text
    assert alice.hidden()["next"] == "/auth/device?user_code=BCDF-GHJK"
    unknown = await alice.sign_in("nobody-here", "wrong")
    assert unknown.status == 401
    assert "Wrong username or password." in alice.text


async def test_too_many_wrong_passwords_are_asked_to_wait(alice: Browser) -> None:
    for _ in range(10):
        await alice.sign_in("alice", "wrong")
    answer = await alice.sign_in("alice", PASSWORD)
    assert answer.status == 429
    assert int(answer["Retry-After"]) > 0
    assert "please wait" in alice.text


async def test_an_access_token_opens_no_session(alice: Browser, registry: Registry) -> None:
    token = await credentials.create(
        resources_of(registry), kind="personal", subject="user:alice", name="ci"
    )
    assert (await alice.sign_in("alice", token)).status == 401
    assert "Access tokens are for clients" in alice.text
    assert await alice.user() is None


async def test_clients_get_nothing_from_a_session(alice: Browser, registry: Registry) -> None:
    await alice.sign_in("alice", PASSWORD)
    cookie = ("Cookie", f"kho={alice.cookies['kho']}")
    assert (await registry.client.get("/v2/", cookie)).status == 401
    token = (await registry.client.get("/token?scope=repository:a/b:pull", cookie)).json()["token"]
    named = await registry.client.get("/v2/_catalog", ("Authorization", f"Bearer {token}"), cookie)
    assert named.status == 401
    for header in (
        basic("alice", alice.cookies["kho"]),
        ("Authorization", f"Bearer {alice.cookies['kho']}"),
    ):
        assert (await registry.client.get("/v2/", header)).status == 401


async def test_a_disabled_account_is_out_at_once(alice: Browser, registry: Registry) -> None:
    await alice.sign_in("alice", PASSWORD)
    resources = resources_of(registry)
    await resources.database.write(accounts.set_disabled, "alice", True)
    resources.memory.forget()
    assert await alice.user() is None


async def test_a_revoked_session_is_over(alice: Browser, registry: Registry) -> None:
    await alice.sign_in("alice", PASSWORD)
    resources = resources_of(registry)
    visitor = await sessions.find(resources, alice.cookies["kho"])
    assert visitor is not None
    assert visitor.identity.credential is not None
    await credentials.revoke(resources, visitor.identity.credential, by="operator")
    assert await alice.user() is None


async def test_signing_in_again_ends_the_session_before(alice: Browser) -> None:
    await alice.sign_in("alice", PASSWORD)
    before = alice.cookies["kho"]
    await alice.post(
        "/auth/login",
        {"token": sessions.form_token(before), "username": "alice", "password": PASSWORD},
    )
    assert alice.cookies["kho"] != before
    alice.cookies["kho"] = before
    assert await alice.user() is None


CROSS = {
    "another site says so": [("Sec-Fetch-Site", "cross-site"), ("Origin", "http://127.0.0.1:5000")],
    "a sibling host": [("Sec-Fetch-Site", "same-site")],
    "another origin": [("Origin", "https://evil.example")],
    "another port": [("Origin", "http://127.0.0.1:5001")],
    "a sandbox": [("Origin", "null")],
    "nobody says": [("Accept", "*/*")],
}


@pytest.mark.parametrize("headers", CROSS.values(), ids=CROSS.keys())
@pytest.mark.parametrize("path", ["/auth/login", "/auth/logout", "/auth/device", "/setup"])
async def test_W2_a_form_of_another_site_does_nothing(
    alice: Browser, path: str, headers: list[tuple[str, str]]
) -> None:
    await alice.sign_in("alice", PASSWORD)
    fields = {
        "token": sessions.form_token(alice.cookies["kho"]),  # were it known, it would not help
        "username": "alice",
        "password": PASSWORD,
    }
    before = dict(alice.cookies)
    answer = await alice.post(path, fields, *headers)
    assert answer.status == 403
    assert "set-cookie" not in answer
    assert alice.cookies == before
    assert (await alice.user() or {})["name"] == "alice"


@pytest.mark.parametrize("path", ["/auth/login", "/auth/logout", "/auth/device", "/setup"])
@pytest.mark.parametrize("token", ["", "0" * 64, "é", "of another browser"])
async def test_W2_a_form_without_the_token_of_this_browser_does_nothing(
    alice: Browser, registry: Registry, path: str, token: str
) -> None:
    await alice.sign_in("alice", PASSWORD)
    if token == "of another browser":
        other = Browser(registry)
        await other.get("/auth/login")
        token = other.hidden()["token"]
    answer = await alice.post(path, {"token": token, "username": "a", "password": "b"})
    assert answer.status == 403
    assert (await alice.user() or {})["name"] == "alice"


async def test_W2_only_forms_are_taken(alice: Browser) -> None:
    await alice.get("/auth/login")
    kinds = ("text/plain", "multipart/form-data", "application/json")
    for kind in kinds:
        headers = [*alice._headers(), ("Content-Type", kind), ("Sec-Fetch-Site", "same-origin")]
        answer = await alice.client.post("/auth/login", b"token=x", *headers)
        assert answer.status == 403, kind


@pytest.mark.parametrize(
    "back",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/%0d%0aSet-Cookie:x\r\nSet-Cookie: a=b",
        "javascript:alert(1)",
        " //evil.example",
        "evil.example",
        "http:evil.example",
        "/é",
        "/auth/login?next=/auth/login",
    ],
)
async def test_W2_nobody_is_sent_elsewhere(alice: Browser, back: str) -> None:
    answer = await alice.sign_in("alice", PASSWORD, back)
    assert answer["Location"] == "/"
    await alice.post("/auth/logout", {"token": sessions.form_token(alice.cookies["kho"])})
    await alice.get("/auth/login")
    answer = await alice.submit("/auth/login", username="alice", password=PASSWORD, next=back)
    assert answer["Location"] == "/"


async def test_who_is_signed_in_goes_on(alice: Browser) -> None:
    answer = await alice.sign_in("alice", PASSWORD, "/auth/device?user_code=BCDF-GHJK")
    assert answer["Location"] == "/auth/device?user_code=BCDF-GHJK"
    answer = await alice.get("/auth/login?next=/auth/device")
    assert answer["Location"] == "/auth/device"


async def test_what_people_type_is_shown_as_text(alice: Browser) -> None:
    await alice.sign_in(HOSTILE, "wrong")
    assert "&#34;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;lt;" in alice.text
    assert "<script>" not in alice.text


@pytest.mark.settings(index__enabled=False)
async def test_without_the_index_people_sign_in_too(alice: Browser) -> None:
    await alice.get("/auth/login")
    for absent in ("/-/search", "/api/v1", "/-/account"):
        assert absent not in alice.text
    assert (await alice.get(re.findall(r'"(/-/static/[^"]+css)"', alice.text)[0])).status == 200
    assert (await alice.sign_in("alice", PASSWORD))["Location"] == "/auth/login"
    await alice.get("/auth/login")
    assert "<b>alice</b>, an administrator" in alice.text
    assert "/-/a" not in alice.text
    await alice.submit("/auth/logout")
    assert await alice.user() is None
    assert (await alice.post("/auth/login", {})).status == 403
    assert 'href="/auth/login"' in alice.text
    answer = await alice.submit("/-/preferences", language="vi", theme="dark")
    assert answer["Location"] == "/auth/login"
    await alice.get("/auth/login")
    assert '<html lang="vi" data-theme="dark">' in alice.text
    for path in ("/", "/-/account", "/-/admin"):
        assert (await alice.get(path)).status == 404


async def test_who_has_no_administrator_yet_is_told_where_the_link_is(
    alice: Browser, registry: Registry
) -> None:
    await alice.get("/auth/login")
    assert "one-time link" not in alice.text
    resources = resources_of(registry)
    await resources.database.write(accounts.set_admin, "alice", False)
    code = await setup.ensure_link(resources)
    resources.memory.forget()
    assert code is not None
    for path in ("/auth/login", "/"):
        await alice.get(path)
        assert "one-time link" in alice.text
        assert code not in alice.text
        assert "khox_" not in alice.text


async def test_without_the_database_pages_say_what_is_wrong(
    alice: Browser, registry: Registry
) -> None:
    await alice.sign_in("alice", PASSWORD)
    await resources_of(registry).database.close()
    resources_of(registry).memory.forget()
    for path in ("/auth/login", "/", "/-/account", "/-/admin"):
        assert (await alice.get(path)).status == 503
        assert '<p class="bad" role="alert">' in alice.text


async def test_without_a_provider_its_pages_are_not_there(alice: Browser) -> None:
    for path in ("/auth/oidc/login", "/auth/oidc/callback?state=a&code=b"):
        assert (await alice.get(path)).status == 404
    await alice.get("/auth/login")
    assert "/auth/oidc/login" not in alice.text


async def test_large_and_odd_forms_are_refused(alice: Browser) -> None:
    await alice.get("/auth/login")
    answer = await alice.post("/auth/login", {"token": "x" * 20_000})
    assert answer.status == 400
    answer = await alice.post("/auth/login", {f"f{number}": "" for number in range(40)})
    assert answer.status == 403


@on_both_databases
async def test_the_link_makes_the_first_administrator_once(registry: Registry) -> None:
    resources = resources_of(registry)
    old = await setup.ensure_link(resources)
    code = await setup.ensure_link(resources)
    assert old is not None
    assert code is not None
    assert code.startswith("khox_")
    browser = Browser(registry)
    for dead in (old, "", code[:-1], "khox_" + "0" * 38):
        assert (await browser.get(f"/setup?code={dead}")).status == 410
    await browser.get(f"/setup?code={code}")
    assert browser.hidden()["code"] == code
    new = {"username": "root", "password": PASSWORD, "again": PASSWORD}
    answer = await browser.submit("/setup", **new)
    assert (answer.status, answer["Location"]) == (303, "/")
    assert await browser.user() == {"name": "root", "source": "local", "admin": True}
    assert (await browser.get(f"/setup?code={code}")).status == 410
    assert await setup.ensure_link(resources) is None
    assert await events(registry, "setup.redeem") == [("setup.redeem", "allowed", "user:root")]
    other = Browser(registry)
    assert (await other.sign_in("root", PASSWORD)).status == 303


@pytest.mark.parametrize(
    "fields,text",
    [
        ({"username": "Root!"}, "username is not allowed"),
        ({"username": "everyone"}, "username is not allowed"),
        ({"password": "short", "again": "short"}, "too short"),
        ({"again": "another horse"}, "not the same"),
        ({"username": HOSTILE}, "&lt;script&gt;"),
    ],
)
async def test_a_mistake_does_not_use_the_link_up(
    registry: Registry, fields: dict[str, str], text: str
) -> None:
    code = await setup.ensure_link(resources_of(registry))
    browser = Browser(registry)
    await browser.get(f"/setup?code={code}")
    right = {"username": "root", "password": PASSWORD, "again": PASSWORD}
    answer = await browser.submit("/setup", **{**right, **fields})
    assert answer.status == 400
    assert text in browser.text
    assert (await browser.submit("/setup", **right)).status == 303


async def test_a_name_that_is_taken_does_not_use_the_link_up(registry: Registry) -> None:
    resources = resources_of(registry)
    await resources.database.write(accounts.add, "root", source="local")
    code = await setup.ensure_link(resources)
    assert code is not None
    with pytest.raises(Conflict):
        await setup.redeem(resources, code, "root", PASSWORD, HERE)
    await setup.redeem(resources, code, "admin", PASSWORD, HERE)


@on_both_databases
async def test_of_two_with_one_link_one_becomes_administrator(registry: Registry) -> None:
    resources = resources_of(registry)
    resources.memory.keep(passwords.Line).cost = passwords.Cost(8, 1)
    code = await setup.ensure_link(resources)
    assert code is not None
    names = [f"admin{number}" for number in range(6)]
    done = await asyncio.gather(
        *(setup.redeem(resources, code, name, PASSWORD, HERE) for name in names),
        return_exceptions=True,
    )
    assert [one for one in done if one is None] == [None]
    assert all(one is None or isinstance(one, Unauthorized) for one in done)
    assert len(await resources.database.read(accounts.page, "", 10)) == 1


async def test_the_link_is_dead_when_there_is_an_administrator(registry: Registry) -> None:
    resources = resources_of(registry)
    code = await setup.ensure_link(resources)
    assert code is not None
    await resources.database.write(accounts.add, "boss", source="local", admin=True)
    assert (await Browser(registry).get(f"/setup?code={code}")).status == 410
    with pytest.raises(Unauthorized):
        await setup.redeem(resources, code, "second", PASSWORD, HERE)
    # Not even when that one is disabled again.
    await resources.database.write(accounts.set_disabled, "boss", True)
    with pytest.raises(Unauthorized):
        await setup.redeem(resources, code, "second", PASSWORD, HERE)
