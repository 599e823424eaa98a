"""Pages of one's own account, with forms alone: password, tokens, sessions; nobody else's."""

import re
from html import unescape

import pytest

from kho.server.database.identities import accounts, groups
from kho.server.index.browser import sessions
from kho.server.index.browser.sessions import From
from kho.server.policy.access import Action
from kho.server.policy.identity import Identity
from kho.server.web.ui.agents import in_words
from kho.server.web.ui.table import PAGES
from tests.flows.browser import Browser
from tests.flows.databases import on_both_databases
from tests.flows.households import PASSWORD, Household, seen
from tests.flows.people import basic
from tests.flows.registry import Registry
from tests.house.test_routes import PARTS

NEW = "a longer and better one"
OWN = [route for route in PAGES if route.action is Action.ACCOUNT]
WRITES = [
    route
    for route in PAGES
    if route.method == "POST" and route.action in (Action.ACCOUNT, Action.ADMIN)
]


@pytest.fixture
async def house(registry: Registry) -> Household:
    """A registry with an administrator, so that it asks who calls."""
    found = Household(registry)
    await found.person("root", admin=True)
    return found


def ids(browser: Browser, path: str) -> list[str]:
    """The numbers that the page's buttons to `path` carry."""
    forms = re.findall(rf'action="{path}".*?</form>', browser.text, re.DOTALL)
    return [re.findall(r'name="id" value="(\d+)"', one)[0] for one in forms]


async def press(browser: Browser, path: str, **fields: str) -> int:
    """Send a form of the page's kind; where it leads is looked at. The status of what is seen."""
    token = browser.hidden("/auth/logout")["token"]
    answer = await browser.post(path, {"token": token, **fields})
    if answer.status == 303:
        await browser.get(answer["Location"])
    return answer.status


async def test_strangers_are_sent_to_sign_in_and_come_back(house: Household) -> None:
    browser = Browser(house.registry)
    for route in OWN:
        if route.method == "GET":
            answer = await browser.get(route.template)
            assert answer.status == 303
            assert answer["Location"] == f"/auth/login?next={route.template.replace('/', '%2F')}"
        else:
            await browser.get("/auth/login")
            answer = await browser.post(route.template, browser.hidden("/auth/login"))
            assert answer.status == 401, route.template
    answer = await browser.sign_in("root", PASSWORD, "/-/account/tokens?after=0")
    assert answer["Location"] == "/-/account/tokens?after=0"


async def test_where_nobody_has_an_account_the_page_says_how_to_make_one(
    registry: Registry,
) -> None:
    browser = Browser(registry)
    for path in ("/-/account", "/-/account/tokens", "/-/account/sessions"):
        text = await seen(browser, path)
        assert "Nobody has an account yet" in text
        assert 'href="/-/admin/users"' in text
    await browser.get("/")
    token = browser.hidden("/-/preferences")["token"]
    for path in ("/-/account/password", "/-/account/tokens", "/-/account/sessions/end-others"):
        assert (await browser.post(path, {"token": token, "name": "x"})).status == 403


async def test_the_profile_says_who_one_is_and_what_one_may(house: Household) -> None:
    alice = await house.person("alice")
    write = house.resources.database.write
    await write(groups.add, "web")
    await write(groups.add_member, "web", "alice", "local")
    await house.grant("group:web", "writer", "team/**")
    text = await seen(alice, "/-/account")
    for part in ("this registry", ">web<", "team/**", "writer", "group:web", "overwrite"):
        assert part in text
    assert "administrator" not in text
    assert "/-/admin" not in text
    assert 'aria-current="page">Profile' in text


@on_both_databases
async def test_the_password_is_changed_and_other_sessions_end(registry: Registry) -> None:
    house = Household(registry)
    alice = await house.person("alice")
    other, third = Browser(registry), Browser(registry)
    await other.sign_in("alice", PASSWORD)
    await alice.get("/-/account")
    right = {"old": PASSWORD, "new": NEW, "again": NEW}
    wrong = [
        ({"old": "wrong"}, "the old password is wrong"),
        ({"again": "another"}, "The two new passwords are not the same."),
        ({"new": "short", "again": "short"}, "allowed are 8 to 1024 bytes"),
        ({"old": ""}, "the old password is wrong"),
    ]
    for fields, reason in wrong:
        answer = await alice.submit("/-/account/password", **{**right, **fields})
        assert answer.status == 400
        assert reason in re.findall(r'class="bad" role="alert"[^>]*>(.*?)</p>', alice.text)[0]
        assert NEW not in alice.text
        assert PASSWORD not in alice.text
    assert await other.user() is not None
    answer = await alice.submit("/-/account/password", **right)
    assert (answer.status, answer["Location"]) == (303, "/-/account?done=password-changed")
    assert "The password is changed." in await seen(alice, answer["Location"])
    assert await other.user() is None
    house.resources.memory.forget()
    assert (await third.sign_in("alice", PASSWORD)).status == 401
    assert (await third.sign_in("alice", NEW)).status == 303


async def test_who_comes_from_elsewhere_has_no_password_here(house: Household) -> None:
    add = house.resources.database.write
    await add(accounts.add, "olga", source="oidc", external_id="https://issuer.example 1")
    olga = Browser(house.registry)
    await olga.get("/auth/login")
    identity = Identity("user:olga", "oidc")
    olga.cookies["kho"] = await sessions.begin(house.resources, identity, From("192.0.2.1", "x"))
    text = await seen(olga, "/-/account")
    assert "the sign-in service (OpenID Connect)" in text
    assert "Your password is not kept here" in text
    assert "/-/account/password" not in text
    fields = {"old": "", "new": NEW, "again": NEW}
    assert await press(olga, "/-/account/password", **fields) == 400


async def test_a_word_in_the_address_is_a_text_of_ours_or_nothing(house: Household) -> None:
    alice = await house.person("alice")
    assert "The token is revoked." in await seen(alice, "/-/account?done=token-revoked")
    for word in ("nothing-known", "<b>hello</b>", "Hello%20world", "%00", "a" * 300):
        answer = await alice.get(f"/-/account?done={word}")
        assert answer.status in (200, 400)
        assert 'class="good" role="status"' not in alice.text
        assert "hello" not in alice.text.lower()


@on_both_databases
async def test_a_token_is_shown_once_and_is_what_it_says(registry: Registry) -> None:
    house = Household(registry)
    alice = await house.person("alice")
    await house.grant("user:alice", "maintainer", "**")
    assert "You have no access token yet." in await seen(alice, "/-/account/tokens")
    fields = {"name": "laptop", "expires": "30d", "pattern": "team/**", "may_pull": "yes"}
    answer = await alice.submit("/-/account/tokens", **fields, scopes="other/app:pull,push")
    assert answer.status == 201
    (secret,) = set(re.findall(r"khop_[0-9A-Za-z]{38}", alice.text))
    assert "docker login 127.0.0.1:5000 --username alice" in alice.text
    assert answer["Cache-Control"] == "no-store"
    text = await seen(alice, "/-/account/tokens")
    assert "khop_" not in text
    for part in ("laptop", "team/**:pull", "other/app:pull,push", "in 30 days"):
        assert part in text
    client = registry.client
    tags = await client.get("/v2/team/app/tags/list", basic("alice", secret))
    assert tags.status == 404
    pushed = await client.post("/v2/team/app/blobs/uploads/", b"", basic("alice", secret))
    assert pushed.status == 403
    (number,) = ids(alice, "/-/account/tokens/revoke")
    assert await press(alice, "/-/account/tokens/revoke", id=number) == 303
    assert "The token is revoked." in alice.text
    house.resources.memory.forget()
    assert (await client.get("/v2/", basic("alice", secret))).status == 401


@pytest.mark.parametrize(
    "fields,status,reason",
    [
        ({"name": ""}, 400, "cannot name a token"),
        ({"name": "Laptop!"}, 400, "cannot name a token"),
        ({"name": '"><script>'}, 400, "cannot name a token"),
        ({"pattern": "team/**"}, 400, "choose what the token may do"),
        ({"pattern": "Team/$", "may_pull": "yes"}, 400, "is not allowed"),
        ({"scopes": "team/app"}, 400, "is no scope"),
        ({"scopes": "team/app:fly"}, 400, "is no action"),
        ({"expires": "17y"}, 400, "choose how long"),
        ({"name": "taken"}, 409, "named 'taken' already"),
    ],
)
async def test_a_refused_token_keeps_what_was_typed(
    house: Household, fields: dict[str, str], status: int, reason: str
) -> None:
    alice = await house.person("alice")
    await alice.get("/-/account/tokens")
    await alice.submit("/-/account/tokens", name="taken")
    given = {"name": "mine", "expires": "7d", **fields}
    answer = await alice.submit("/-/account/tokens", **given)
    assert answer.status == status
    text = unescape(alice.text)
    assert reason in re.findall(r'role="alert"[^>]*>(.*?)</p>', text, re.DOTALL)[0]
    assert f'value="{given["name"]}"' in text
    assert "<script>" not in alice.text
    if given["expires"] == "7d":
        assert '<option value="7d" selected>' in text
    assert "khop_" not in text
    if "may_pull" in given:
        assert 'name="may_pull" value="yes" checked' in text


async def test_nobody_ends_what_is_somebody_elses(house: Household) -> None:
    alice, bob = await house.person("alice"), await house.person("bob")
    await alice.get("/-/account/tokens")
    await alice.submit("/-/account/tokens", name="laptop")
    (token,) = ids(alice, "/-/account/tokens/revoke")
    second = Browser(house.registry)
    await second.sign_in("alice", PASSWORD)
    await second.get("/-/account/sessions")
    (session,) = ids(second, "/-/account/sessions/end")
    await bob.get("/-/account")
    for number in (token, session, "1", "", "x", "9" * 40, "-1", "١"):
        assert await press(bob, "/-/account/tokens/revoke", id=number) == 404
        assert await press(bob, "/-/account/sessions/end", id=number) == 404
    assert "laptop" in await seen(alice, "/-/account/tokens")
    assert await second.user() is not None


async def test_sessions_end_one_by_one_or_all_others(house: Household) -> None:
    alice = await house.person("alice")
    others = [Browser(house.registry) for _ in range(3)]
    for one in others:
        await one.sign_in("alice", PASSWORD)
    text = await seen(alice, "/-/account/sessions")
    assert text.count(">this one<") == 1
    assert text.count("Browser/1.0") >= 4
    numbers = ids(alice, "/-/account/sessions/end")
    assert len(numbers) == 3
    assert await press(alice, "/-/account/sessions/end", id=numbers[0]) == 303
    assert "The session has ended." in alice.text
    house.resources.memory.forget()
    assert [await one.user() is None for one in others].count(True) == 1
    await seen(alice, "/-/account/sessions")
    assert await press(alice, "/-/account/sessions/end-others") == 303
    house.resources.memory.forget()
    assert [await one.user() for one in others] == [None] * 3
    assert await alice.user() is not None
    assert "End all others" not in await seen(alice, "/-/account/sessions")


async def test_preferences_are_kept_in_the_browser(house: Household) -> None:
    alice = await house.person("alice")
    await alice.get("/-/account")
    answer = await alice.submit(
        "/-/preferences", language="vi", theme="dark", runtime="podman", back="/-/account?done=kept"
    )
    assert answer["Location"] == "/-/account?done=kept"
    text = await seen(alice, "/-/account")
    assert '<html lang="vi" data-theme="dark">' in text
    await alice.get("/-/account/tokens")
    await alice.submit("/-/account/tokens", name="laptop")
    assert "podman login 127.0.0.1:5000 --username alice" in alice.text
    answer = await alice.submit("/-/preferences", language="xx", theme="xx", runtime="xx")
    assert answer.status == 303
    assert '<html lang="vi">' in await seen(alice, "/-/account")


async def test_W2_forms_of_other_sites_and_old_pages_do_nothing(house: Household) -> None:
    root = Browser(house.registry)
    await root.sign_in("root", PASSWORD)
    await root.get("/-/account")
    token = root.hidden("/auth/logout")["token"]
    foreign = ([("Origin", "https://evil.example")], [("Sec-Fetch-Site", "cross-site")])
    for route in WRITES:
        path = route.template.format(**PARTS)
        for headers in foreign:
            assert (await root.post(path, {"token": token}, *headers)).status == 403, path
            assert "another site" in root.text
        for wrong in ("", "0" * 64):
            assert (await root.post(path, {"token": wrong})).status == 403, path
            assert "too old" in root.text
    assert await root.user() is not None


BROWSERS = {
    "Firefox 140, Linux": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Edge 139, Windows": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36"
    " (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36 Edg/139.0.0.0",
    "Safari 19, iPhone": "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X)"
    " AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Mobile/15E148 Safari/604.1",
    "docker": "docker",
    "": "",
}


@pytest.mark.parametrize("words", BROWSERS)
def test_browsers_are_named_in_words(words: str) -> None:
    assert in_words(BROWSERS[words]) == words
