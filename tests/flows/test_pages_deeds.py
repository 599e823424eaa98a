"""What pages of repositories do: delete, roll back, describe, publish, end; and refuse."""

import pytest

from tests.flows.browser import Browser
from tests.flows.databases import on_both_databases
from tests.flows.households import Household, seen
from tests.flows.people import People
from tests.flows.registry import Registry

HOSTILE = "\"><script>alert('x')</script>&lt;<img src=x>"
ELSEWHERE = (("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site"))
# Every form of these pages: what it goes to, and what it says.
DEEDS = {
    "delete": {"targets": "1@"},
    "rollback": {"tag": "1", "to": "sha256:" + "0" * 64, "now": ""},
    "settings/description": {"description": "changed"},
    "settings/readme": {"readme": "# changed"},
    "settings/visibility": {"visibility": "public"},
    "settings/delete": {"name": "team/app"},
}


async def tags_of(registry: Registry, name: str = "team/app") -> list[str]:
    """As the protocol lists them."""
    answer = await registry.client.get(f"/v2/{name}/tags/list")
    return list(answer.json()["tags"]) if answer.status == 200 else []


@on_both_databases
async def test_tags_are_deleted_after_a_look(registry: Registry) -> None:
    for tag in ("1", "2"):
        await registry.push_image("team/app", tag, b"shared" * 100)
    await registry.push_image("team/app", "3", b"only here" * 100)
    browser = Browser(registry)
    text = await seen(browser, "/team/app/-/delete?tag=1&tag=3&tag=none")
    assert "Delete these 2 from team/app?" in text
    assert "What stays, because something else points there" in text
    assert "none" in text
    assert "1 version would be left without any name" in text
    answer = await browser.submit("/team/app/-/delete")
    assert (answer.status, answer["Location"]) == (303, "/team/app/-/tags?done=deleted")
    assert await tags_of(registry) == ["2"]
    assert "Deleted." in await seen(browser, answer["Location"])
    await seen(browser, "/team/app/-/delete")
    await seen(browser, "/team/app/-/delete?tag=gone")


async def test_a_version_is_deleted_with_its_tags(registry: Registry) -> None:
    digest = await registry.push_image("team/app", "1", b"layer")
    await registry.push_image("team/app", "2", b"layer")
    browser = Browser(registry)
    text = await seen(browser, f"/team/app/-/delete?digest={digest}")
    assert "These tags go too" in text
    answer = await browser.submit("/team/app/-/delete")
    assert answer["Location"] == "/team/app/-/versions?done=deleted"
    assert await tags_of(registry) == []


async def test_a_tag_that_moved_meanwhile_stays(registry: Registry) -> None:
    await registry.push_image("team/app", "1", b"old")
    await registry.push_image("team/app", "2", b"old")
    browser = Browser(registry)
    await seen(browser, "/team/app/-/delete?tag=1&tag=2")
    await registry.push_image("team/app", "1", b"new")
    answer = await browser.submit("/team/app/-/delete")
    assert answer.status == 409
    assert "points elsewhere meanwhile" in browser.text
    assert await tags_of(registry) == ["1"]


async def test_a_tag_is_rolled_back(registry: Registry) -> None:
    first = await registry.push_image("team/app", "1", b"old")
    second = await registry.push_image("team/app", "1", b"new")
    browser = Browser(registry)
    assert f"/-/rollback?tag=1&amp;to={first}" in await seen(browser, "/team/app/-/history")
    text = await seen(browser, f"/team/app/-/rollback?tag=1&to={first}")
    assert f"/team/app/-/diff?a={second}&amp;b={first}" in text
    answer = await browser.submit("/team/app/-/rollback")
    assert answer["Location"] == "/team/app/-/history?done=rolled-back"
    head = await registry.client.request("HEAD", "/v2/team/app/manifests/1")
    assert head["Docker-Content-Digest"] == str(first)
    # The page was looked at before somebody else moved the tag: it must be looked at again.
    await seen(browser, f"/team/app/-/rollback?tag=1&to={second}")
    await registry.push_image("team/app", "1", b"newer")
    assert (await browser.submit("/team/app/-/rollback")).status == 412
    assert (await browser.get("/team/app/-/rollback?tag=1&to=x")).status == 400
    nowhere = "sha256:" + "0" * 64
    assert (await browser.get(f"/team/app/-/rollback?tag=1&to={nowhere}")).status == 404


async def test_a_repository_is_described(registry: Registry) -> None:
    await registry.push_image("team/app", "1", b"layer")
    browser = Browser(registry)
    await seen(browser, "/team/app/-/settings")
    await browser.submit("/team/app/-/settings/description", description=f"Bread {HOSTILE}")
    for path in ("/team/app", "/", "/-/search?q=bread", "/team/app/-/settings"):
        text = await seen(browser, path)
        assert "Bread" in text.replace("<mark>", "").replace("</mark>", "")
        assert "<script>alert" not in text
    await browser.get("/team/app/-/settings")
    answer = await browser.submit("/team/app/-/settings/description", description="x" * 1001)
    assert answer.status == 400
    assert "x" * 1001 in browser.text


async def test_a_readme_is_previewed_kept_and_taken_away(registry: Registry) -> None:
    await registry.push_image("team/app", "1", b"layer")
    browser = Browser(registry)
    await seen(browser, "/team/app/-/settings")
    readme = (
        f"# Oven\r\n\r\n**hot** {HOSTILE}\r\n\r\n```\r\n</textarea><script>alert(1)</script>\r\n"
    )
    form = "/team/app/-/settings/readme"
    answer = await browser.submit(form, readme=readme, preview="1")
    assert answer.status == 200
    assert "<strong>hot</strong>" in browser.text
    assert "Nothing has been kept yet" in browser.text
    assert "<script>alert" not in browser.text
    assert "hot" not in (await registry.client.get("/team/app")).body.decode()
    answer = await browser.submit(form, readme=readme)
    assert answer["Location"] == "/team/app/-/settings?done=readme-kept"
    assert "<h3>Oven</h3>" in await seen(browser, "/team/app")
    text = await seen(browser, "/team/app/-/settings")
    assert "&lt;/textarea&gt;&lt;script&gt;" in text
    await browser.submit(form, readme=readme, remove="1")
    assert "Nobody has written a README yet" in await seen(browser, "/team/app")
    await seen(browser, "/team/app/-/settings")
    await browser.submit(form, readme="word " * 50_000)
    assert "The whole README" in await seen(browser, "/team/app")
    assert (await browser.get("/team/app?readme=whole")).status == 200
    await browser.get("/team/app/-/settings")
    assert (await browser.submit(form, readme="ü" * 140_000)).status == 400
    await browser.get("/team/app/-/settings")
    assert (await browser.submit(form, readme="w" * 1_000_000)).status == 400


async def test_a_repository_is_opened_and_closed(registry: Registry) -> None:
    await registry.push_image("team/app", "1", b"layer")
    house = Household(registry)
    admin, stranger = await house.person("alice", admin=True), Browser(registry)
    form = "/team/app/-/settings/visibility"
    for visibility, status in (("public", 200), ("private", 303)):
        await seen(admin, "/team/app/-/settings")
        answer = await admin.submit(form, visibility=visibility)
        assert answer["Location"] == f"/team/app/-/settings?done=repository-{visibility}"
        house.resources.memory.forget()
        assert (await stranger.get("/team/app")).status == status


async def test_a_repository_ends_when_its_name_is_typed(registry: Registry) -> None:
    await registry.push_image("team/app", "1", b"layer")
    browser = Browser(registry)
    form = "/team/app/-/settings/delete"
    await seen(browser, form)
    answer = await browser.submit(form, name="team/apq")
    assert answer.status == 400
    assert "not the name of the repository" in browser.text
    assert await tags_of(registry) == ["1"]
    answer = await browser.submit(form, name="team/app")
    assert answer["Location"] == "/?done=repository-deleted"
    assert "The repository is deleted." in (await browser.get(answer["Location"])).body.decode()
    assert (await browser.get("/team/app")).status == 404


@pytest.mark.parametrize("deed", DEEDS)
async def test_only_a_page_of_ours_does_anything(registry: Registry, deed: str) -> None:
    await registry.push_image("team/app", "1", b"layer")
    browser = Browser(registry)
    await seen(browser, "/team/app/-/settings")
    token = browser.hidden("/team/app/-/settings/description")["token"]
    path, fields = f"/team/app/-/{deed}", DEEDS[deed]
    assert (await browser.post(path, fields)).status == 403  # no token
    assert (await browser.post(path, {**fields, "token": "0" * 64})).status == 403
    answer = await browser.post(path, {**fields, "token": token}, *ELSEWHERE)
    assert answer.status == 403
    assert await tags_of(registry) == ["1"]
    text = await seen(browser, "/team/app/-/settings")
    assert "changed" not in text
    assert 'value="private" checked' in text


@pytest.mark.parametrize("deed", DEEDS)
async def test_only_who_may_does_anything(registry: Registry, deed: str) -> None:
    await registry.push_image("team/app", "1", b"layer")
    house = Household(registry)
    reader, other = await house.person("bob"), await house.person("eve")
    await house.grant("user:bob", "reader", "team/**")
    path = f"/team/app/-/{deed}"
    for browser, status in ((reader, 403), (other, 404), (Browser(registry), 401)):
        await browser.get("/-/account")
        token = browser.hidden().get("token", "")
        answer = await browser.post(path, {**DEEDS[deed], "token": token})
        assert answer.status == status, (deed, answer.status)
    people = People(registry)
    await people.grant("anonymous", "reader", "team/**")
    assert await tags_of(registry) == ["1"]
    await house.grant("user:bob", "maintainer", "team/**")
    assert "changed" not in await seen(reader, "/team/app/-/settings")
