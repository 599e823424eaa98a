"""Pages of administration, with forms alone: who gets there, what they do, what they refuse."""

import re
from html import unescape
from urllib.parse import quote

import pytest

from kho.server.policy.access import Action
from kho.server.web.ui.table import PAGES
from tests.flows.administration import ADMIN, Admin
from tests.flows.browser import Browser
from tests.flows.databases import on_both_databases
from tests.flows.households import PASSWORD, Household, seen
from tests.flows.people import basic
from tests.flows.registry import Registry
from tests.house.test_routes import PARTS

ROUTES = [route for route in PAGES if route.action is Action.ADMIN]
HOSTILE = "\"><script>alert('x')</script>"


@pytest.fixture
async def root(registry: Registry) -> Admin:
    """Signed in; hashes cost little."""
    house = Household(registry)
    found = Admin(house, await house.person("root", admin=True))
    await found.see("")
    return found


def test_every_page_below_asks_for_the_right() -> None:
    for below, action in ((ADMIN, Action.ADMIN), ("/-/account", Action.ACCOUNT)):
        rows = [route for route in PAGES if route.template.startswith(below)]
        assert len(rows) > 5
        assert {route.action for route in rows} == {action}


async def test_only_administrators_get_there(root: Admin) -> None:
    bob = await root.house.person("bob")
    await root.house.grant("user:bob", "maintainer", "**")
    nobody = Browser(root.house.registry)
    await bob.get("/-/account")
    token = bob.hidden("/auth/logout")["token"]
    await nobody.get("/auth/login")
    strange = nobody.hidden("/auth/login")
    for route in ROUTES:
        path = route.template.format(**PARTS)
        if route.method == "GET":
            assert (await bob.get(path)).status == 403, path
            answer = await nobody.get(path)
            assert (answer.status, answer["Location"][:16]) == (303, "/auth/login?next"), path
        else:
            assert (await bob.post(path, {"token": token})).status == 403, path
            assert (await nobody.post(path, strange)).status == 401, path
        assert "Signing keys" not in bob.text


async def test_a_role_admin_on_some_repositories_is_no_administrator(root: Admin) -> None:
    bob = await root.house.person("bob")
    await root.house.grant("user:bob", "admin", "team/**")
    for route in ROUTES:
        if route.method == "GET":
            assert (await bob.get(route.template.format(**PARTS))).status == 403, route.template


@on_both_databases
async def test_every_page_is_there(registry: Registry) -> None:
    house = Household(registry)
    admin = Admin(house, await house.person("root", admin=True))
    await admin.see("")
    await admin.send("/groups", name="web")
    await admin.send("/robots", name="ci")
    await admin.send("/repositories", name="team/app", do="public")
    names = {"user": "root", "group": "web", "robot": "ci"}
    for route in ROUTES:
        elsewhere = (
            f"{ADMIN}/audit.csv",
            f"{ADMIN}/trust/{{rule}}",
            f"{ADMIN}/maintenance/checks/{{id}}",
        )
        if route.method == "GET" and route.template not in elsewhere:
            await seen(admin.browser, route.template.format(**names))
    assert "team/app" in await admin.see("/repositories?name=team/app")
    for path in ("/users/nobody", "/groups/none", "/robots/none", "/trust/none"):
        assert (await admin.browser.get(ADMIN + path)).status == 404
    for name in ("none", "Not/A/Name"):
        assert (await admin.browser.get(f"{ADMIN}/repositories?name={name}")).status == 404
    # What is no number in an address is the first page.
    for path in ("/tokens?after=x", "/grants?after=-1", "/audit?before=x", "/users?after=%C3%A9"):
        assert (await admin.browser.get(ADMIN + path)).status == 200


async def test_the_first_account_is_made_in_the_browser(registry: Registry) -> None:
    admin = Admin(Household(registry), Browser(registry))
    text = unescape(await seen(admin.browser, f"{ADMIN}/users"))
    assert "Nobody has an account yet" in text
    assert 'name="admin" value="yes" checked' in text
    token = admin.browser.hidden(f"{ADMIN}/users")["token"]
    fields = {"token": token, "name": "root", "password": PASSWORD, "again": PASSWORD}
    answer = await admin.browser.post(f"{ADMIN}/users", {**fields, "admin": "yes"})
    assert answer["Location"] == f"{ADMIN}/users?done=first-added"
    admin.house.resources.memory.forget()
    answer = await admin.browser.get(answer["Location"])
    assert answer["Location"].startswith("/auth/login?next=")
    assert (await admin.browser.sign_in("root", PASSWORD)).status == 303
    await admin.see("/users")


@on_both_databases
async def test_users_are_made_changed_and_removed(registry: Registry) -> None:
    house = Household(registry)
    admin = Admin(house, await house.person("root", admin=True))
    await admin.see("/users")
    new = {"name": "bob", "email": "bob@example.com", "password": PASSWORD, "again": PASSWORD}
    assert "The account is created." in await admin.send("/users", **new)
    assert "bob@example.com" in admin.text
    bob = Browser(registry)
    assert (await bob.sign_in("bob", PASSWORD)).status == 303
    assert "The account is changed." in await admin.send("/users/bob", do="disable")
    assert await bob.user() is None
    await admin.send("/users/bob", do="enable")
    await admin.send("/users/bob", do="admin")
    assert (await bob.user() or {})["admin"] is True
    await admin.send("/users/bob", do="no-admin")
    assert (await bob.user() or {})["admin"] is False
    assert "robert@example.com" in await admin.send(
        "/users/bob", do="email", email="robert@example.com"
    )
    other = "another password"
    await admin.send("/users/bob", do="password", password=other, again=other)
    assert await bob.user() is None
    assert (await bob.sign_in("bob", other)).status == 303
    assert "type bob to confirm" in await admin.send("/users/bob", 400, do="remove", confirm="Bob")
    text = await admin.send("/users/bob", do="remove", confirm="bob")
    assert "The account is removed" in text
    assert "/-/admin/users/bob" not in text
    assert await admin.actors("user.*") == {"user:root"}


@pytest.mark.parametrize(
    "fields,status,reason",
    [
        ({"name": "Bob!"}, 400, "cannot name a user"),
        ({"name": HOSTILE}, 400, "cannot name a user"),
        ({"name": "root"}, 409, "there is a user root already"),
        ({"email": "no address"}, 400, "is no e-mail address"),
        ({"again": "something else"}, 400, "the two passwords are not the same"),
        ({"password": "short", "again": "short"}, 400, "allowed are 8 to 1024 bytes"),
    ],
)
async def test_a_refused_user_keeps_what_was_typed(
    root: Admin, fields: dict[str, str], status: int, reason: str
) -> None:
    await root.see("/users")
    new = {"name": "bob", "email": "bob@example.com", "password": PASSWORD, "again": PASSWORD}
    await root.send("/users", status, **{**new, **fields})
    assert reason in root.refusal()
    assert root.typed("name") == {**new, **fields}["name"]
    assert root.typed("email") == {**new, **fields}["email"]
    assert PASSWORD not in root.text
    assert "<script>alert" not in root.browser.text


async def test_the_last_administrator_stays(root: Admin) -> None:
    await root.see("/users/root")
    for fields in ({"do": "disable"}, {"do": "no-admin"}, {"do": "remove", "confirm": "root"}):
        await root.send("/users/root", 409, **fields)
        assert "last administrator" in root.refusal()
    assert "administrator" in await root.see("/users/root")
    assert (await root.browser.user() or {})["admin"] is True


async def test_lists_are_searched_and_paged(root: Admin) -> None:
    for number in range(60):
        await root.send("/groups", name=f"team{number:03}")
    text = await root.see("/groups")
    assert text.count('scope="row"') == 50
    text = await root.see("/groups" + re.findall(r'rel="next" href="(.*?)"', text)[0])
    assert "team050" in text
    assert "First page" in text
    text = await root.see("/groups?q=7")
    assert re.findall(r">(team\d+)<", text) == [f"team{n:03}" for n in range(60) if "7" in str(n)]
    assert "No group has this in its name." in await root.see(f"/groups?q={quote(HOSTILE)}")


async def test_groups_have_members_and_roles(root: Admin) -> None:
    await root.house.person("bob")
    await root.see("/groups")
    assert "The group is created." in await root.send("/groups", name="web")
    assert "there is a group web already" in await root.send("/groups", 409, name="web")
    assert "The user is in the group." in await root.send("/groups/web", do="add", user="bob")
    await root.send("/groups/web", 409, do="add", user="bob")
    assert root.typed("user") == "bob"
    assert "there is no user zed" in await root.send("/groups/web", 404, do="add", user="zed")
    await root.send("/grants", do="add", subject="group:web", role="writer", pattern="web/**")
    assert "web/**" in await root.see("/groups/web")
    assert "out of the group" in await root.send("/groups/web", do="remove-member", user="bob")
    await root.send("/groups/web", 400, do="remove", confirm="")
    assert "The group is removed" in await root.send("/groups/web", do="remove", confirm="web")


async def test_roles_are_made_of_actions(root: Admin) -> None:
    text = await root.see("/roles")
    assert text.count("built in") == 5
    text = await root.send("/roles", name="deployer", may_pull="yes", may_tag="yes")
    assert "pull, tag" in text
    await root.send("/roles", 409, name="deployer", may_pull="yes")
    assert root.typed("name") == "deployer"
    assert 'name="may_pull" value="yes" checked' in root.text
    await root.send("/roles", 400, name="empty")
    assert "at least one action" in root.refusal()
    await root.send("/roles", 409, name="reader", may_pull="yes")
    assert "is built-in and stays" in await root.send("/roles/remove", 400, name="reader") or (
        "built-in role" in root.refusal()
    )
    await root.send("/grants", do="add", subject="everyone", role="deployer", pattern="**")
    await root.send("/roles/remove", 409, name="deployer")
    assert "is given 1 time" in root.refusal()


async def test_grants_are_looked_at_before_they_are_given(root: Admin) -> None:
    for name in ("team/app", "team/web/front", "other/app"):
        await root.send("/repositories", name=name, do="public")
    fields = {"subject": "everyone", "role": "writer", "pattern": "team/**"}
    text = await root.send("/grants", 200, do="preview", **fields)
    assert "2 repositories of today" in text
    assert "team/web/front" in text
    assert "other/app" not in text
    assert "pull, push, create, tag, overwrite" in text
    assert root.typed("pattern") == "team/**"
    assert "No role was given to anybody yet." in text
    assert "The role is granted." in await root.send("/grants", do="add", **fields)
    wrong = [
        ({"pattern": "Team/$"}, 400, "is not allowed"),
        ({"subject": "user:nobody"}, 404, "there is no user nobody"),
        ({"subject": "somebody"}, 400, "is no subject"),
        ({"role": "king"}, 404, "there is no role king"),
        ({}, 409, "has the role writer on team/** already"),
        ({"subject": "anonymous", "role": "admin"}, 400, "cannot have the role admin"),
    ]
    for change, status, reason in wrong:
        await root.send("/grants", status, do="add", **{**fields, **change})
        assert reason in root.refusal()
        assert root.typed("subject") == {**fields, **change}["subject"]
    assert "team/**" in await root.see("/grants?repository=team/app")
    assert "No grant fits." in await root.see("/grants?repository=other/app")
    assert "No grant fits." in await root.see("/grants?subject=user:root")
    assert "is no subject" in await root.see_refused("/grants?subject=x")
    await root.see("/grants")
    (number,) = re.findall(r'name="id" value="(\d+)"', root.text)
    assert "The role is revoked." in await root.send("/grants/remove", id=number)
    for text in (number, "", "x"):
        await root.send("/grants/remove", 404, id=text)


async def test_robots_have_tokens_that_are_shown_once(root: Admin) -> None:
    await root.see("/robots")
    assert "It can do nothing yet" in await root.send("/robots", name="ci", description="Builds")
    await root.send("/robots", 409, name="ci", description="Again")
    assert root.typed("description") == "Again"
    await root.send("/grants", do="add", subject="robot:ci", role="writer", pattern="**")
    await root.see("/robots/ci")
    await root.send("/robots/ci", 201, do="token", name="build", expires="never")
    (secret,) = set(re.findall(r"khor_[0-9A-Za-z]{38}", root.text))
    assert "docker login 127.0.0.1:5000 --username ci" in root.text
    assert "khor_" not in await root.see("/robots/ci")
    client = root.house.registry.client
    assert (await client.get("/v2/", basic("ci", secret))).status == 200
    await root.send("/robots/ci", 409, do="token", name="build")
    assert "named 'build' already" in root.refusal()
    assert "The robot is changed." in await root.send("/robots/ci", do="disable")
    assert (await client.get("/v2/", basic("ci", secret))).status == 401
    await root.send("/robots/ci", do="enable")
    assert "build" in await root.see("/tokens?owner=robot:ci")
    assert "is no subject" in await root.see_refused("/tokens?owner=x")
    (number,) = re.findall(r'name="id" value="(\d+)"', await root.see("/tokens"))
    await root.send("/robots/ci", 404, do="revoke", id="1")
    assert "The token is revoked." in await root.send("/tokens/revoke", id=number)
    assert (await client.get("/v2/", basic("ci", secret))).status == 401
    await root.send("/tokens/revoke", 404, id=number)
    await root.send("/tokens", 201, owner="user:root", name="mine", pattern="a/*", may_pull="yes")
    assert "khop_" in root.text
    await root.send("/tokens", 404, owner="user:zed", name="mine")
    assert root.typed("owner") == "user:zed"
    assert "The robot is removed" in await root.send("/robots/ci", do="remove", confirm="ci")


async def test_repositories_are_opened_and_closed(root: Admin) -> None:
    assert "docker push 127.0.0.1:5000/team/app:1.0" in await root.see("/repositories")
    text = await root.send("/repositories", name="team/app", do="public")
    assert "Anybody may pull from the repository." in text
    assert "anybody" in text
    text = await root.send("/repositories", name="team/app", do="private")
    assert "Private: only who has a role may pull." in text
    await root.send("/repositories", 404, name="none", do="private")
    await root.send("/repositories", 400, name="Not/A/Name", do="public")
    assert root.typed("name") == "Not/A/Name"


async def test_why_somebody_may_is_explained(root: Admin) -> None:
    await root.house.person("bob")
    await root.house.grant("everyone", "reader", "team/**")
    ask = "/access?subject={}&action={}&repository={}"
    text = await root.see(ask.format("user:bob", "pull", "team/app"))
    assert "everyone (user:bob belongs to it) has the role reader on team/**" in text
    assert "denied" in await root.see(ask.format("user:bob", "push", "team/app"))
    for subject, action, repository, status in (
        ("user:zed", "pull", "team/app", 404),
        ("zed", "pull", "team/app", 400),
        ("user:bob", "fly", "team/app", 400),
        ("user:bob", "pull", "Team", 400),
    ):
        answer = await root.browser.get(ADMIN + ask.format(subject, action, repository))
        assert answer.status == status
        assert root.refusal()
        assert root.typed("subject") == subject


async def test_refusals_are_in_the_language_of_the_page(root: Admin) -> None:
    root.browser.cookies["kho-preferences"] = "language=vi"
    await root.see("/groups")
    assert "đã có nhóm" not in root.text
    await root.send("/groups", name="web")
    await root.send("/groups", 409, name="web")
    assert root.refusal() == "đã có nhóm web"
    await root.send("/groups", 400, name="W")
    assert root.refusal().startswith("'W' không thể đặt làm tên nhóm; cho phép từ 1 đến 128")
    answer = await root.browser.get("/-/admin/groups/none")
    assert answer.status == 404
    assert "không có nhóm none" in root.text
    told = await root.browser.get("/api/v1/groups/none")
    assert told.json()["detail"].startswith("there is no group none")
