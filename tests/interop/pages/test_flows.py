"""What people do with the pages, click by click; with scripts, and most of it without."""

import base64
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.interop.kho_client import Kho
from tests.interop.processes import run
from tests.interop.servers import serving

from .chrome import NARROW, Watched, person, sign_in
from .content import Hand
from .world import ADMIN, PASSWORDS, World, wait_for_files, world

both_ways = pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "plain"])


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A registry that these tests change, each in its own corner."""
    with world(tmp_path_factory.mktemp("busy") / "one") as found:
        wait_for_files(found, "team/debian:12", "team/debian:old", "team/multi:1.0")
        yield found


@pytest.fixture
def ada(browser: Browser, busy: World, scripts: bool) -> Iterator[Watched]:
    """The administrator, with scripts or without; nothing may go wrong meanwhile."""
    with person(browser, busy.base, scripts=scripts) as watched:
        sign_in(watched, ADMIN, PASSWORDS[ADMIN])
        yield watched
        assert watched.wrong == []


def submit(watched: Watched, action: str, **fields: str) -> None:
    """Fill in the form that goes to `action`, and press its first button."""
    form = watched.page.locator(f'main form[action="{action}"]').first
    for name, value in fields.items():
        form.locator(f"[name={name}]:not([type=hidden])").fill(value)
    form.locator("button").first.click()
    watched.page.wait_for_load_state()


def test_the_first_administrator_comes_by_the_link(browser: Browser, tmp_path: Path) -> None:
    with serving(tmp_path / "new", kind="khod") as server:
        link, log = None, ""
        for _ in range(100):  # it is printed when the server is ready, or a moment later
            log = (tmp_path / "new" / "server.log").read_text()
            link = re.search(r"first administrator, once: http://[^/]+(/setup\?code=\S+)", log)
            if link:
                break
            time.sleep(0.1)
        assert link, log
        with person(browser, f"http://{server.host}") as watched:
            watched.go(link[1])
            submit(watched, "/setup", username="ada", password="one two 3", again="one two 4")
            assert watched.path == "/setup"
            assert watched.page.locator("[role=alert]").count() == 1
            submit(watched, "/setup", username="ada", password="one two 3", again="one two 3")
            assert watched.path == "/"
            expect(watched.page.locator("nav.who")).to_contain_text("ada")
            assert watched.go(link[1]).status == 410
            assert watched.wrong == []
    shutil.rmtree(tmp_path / "new")


@both_ways
def test_sign_in_and_out(browser: Browser, busy: World, scripts: bool) -> None:
    with person(browser, busy.base, scripts=scripts) as watched:
        watched.go("/team/debian/-/tags?q=12")
        assert watched.path == "/auth/login"
        watched.fill("username", "rita")
        watched.fill("password", "wrong")
        watched.page.locator("main form button").first.click()
        expect(watched.page.locator("[role=alert]")).to_be_visible()
        watched.fill("username", "rita")
        watched.fill("password", PASSWORDS["rita"])
        watched.page.locator("main form button").first.click()
        watched.page.wait_for_url("**/team/debian/-/tags?q=12")
        assert watched.go("/public/hello").status == 200
        assert watched.go("/-/admin").status == 403
        assert watched.go("/team/debian/-/settings").status == 403
        watched.go("/")
        watched.page.locator("form[action='/auth/logout'] button").click()
        watched.page.wait_for_load_state()
        watched.go("/team/debian")
        assert watched.path == "/auth/login"


@both_ways
def test_tags_are_filtered_and_sorted(ada: Watched) -> None:
    ada.go("/team/debian/-/tags")
    names = ada.page.locator("#tags tbody th.name > a:first-child")
    expect(names).to_have_count(6)
    ada.page.locator("main form [name=q]").fill("12*")
    ada.page.locator("main form [name=q]").press("Enter")
    expect(names).to_have_count(3)
    ada.page.locator("#tags thead a.sorter").first.click()
    expect(ada.page.locator("#tags thead [aria-sort]")).to_have_count(1)
    first = names.all_text_contents()
    assert sorted(first) == ["12", "12.1", "12.2"]
    ada.page.locator("#tags thead [aria-sort] a.sorter").click()
    expect(names.first).to_have_text(first[-1])


@pytest.mark.parametrize("scripts", [True])
def test_a_list_follows_what_is_typed(ada: Watched) -> None:
    ada.go("/")
    rows = ada.page.locator("#list tbody th.name")
    assert rows.count() > 1
    ada.page.locator("form.filters [name=q]").press_sequentially("debi")
    expect(rows).to_have_count(1)


@pytest.mark.parametrize("scripts", [True])
def test_the_runtime_is_kept_and_commands_are_copied(ada: Watched, busy: World) -> None:
    ada.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    ada.go("/team/debian")
    ada.page.locator("button[name=runtime][value=podman]").first.click()
    ada.page.wait_for_load_state()
    for path in ("/team/debian", "/team/multi"):
        ada.go(path)
        expect(ada.page.locator(".command code").first).to_contain_text("podman pull")
    ada.page.locator(".command [data-copy]").first.click()
    copied = ada.page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("podman pull ")
    assert f" {urlsplit(busy.base).netloc}/team/multi" in copied
    expect(ada.page.locator("#spoken")).to_have_text("Copied")


@both_ways
def test_a_platform_is_chosen_and_its_files_are_looked_at(ada: Watched) -> None:
    ada.go("/team/multi:1.0")
    ada.page.get_by_role("link", name="linux/arm64").first.click()
    ada.page.wait_for_load_state()
    assert parse_qs(urlsplit(ada.page.url).query)["platform"] == ["linux/arm64"]
    ada.page.locator("nav.tabs a[href*='view=files']").click()
    ada.page.locator(".files th a, .files td a").filter(has_text="app").first.click()
    expect(ada.page.locator("pre.file")).to_contain_text("arm64arm64")
    with ada.page.expect_download() as download:
        ada.page.locator("a[download]").click()
    assert Path(download.value.path()).read_bytes() == b"arm64" * 100


@both_ways
def test_folders_are_walked(ada: Watched) -> None:
    ada.go("/team/debian:12?view=files")
    for name in ("srv", "app", "main.py"):
        ada.page.locator(".files a").filter(has_text=name).first.click()
        ada.page.wait_for_load_state()
    expect(ada.page.locator("pre.file")).to_have_text("print('hello')\n")
    ada.page.locator("nav.crumbs.path a").first.click()
    expect(ada.page.locator(".files")).to_contain_text("etc")


@both_ways
def test_two_tags_are_compared(ada: Watched) -> None:
    ada.go("/team/debian/-/tags")
    for tag in ("old", "12"):
        ada.page.locator(f"input[name=tag][value='{tag}']").check()
    ada.page.locator("button[formaction$='/-/diff']").click()
    ada.page.wait_for_load_state()
    assert ada.path == "/team/debian/-/diff"
    assert "srv/app/main.py" in ada.main
    assert ada.go(urlsplit(ada.page.url).path + "?a=old&b=12").status == 200  # can be shared


@both_ways
def test_tags_are_deleted_after_they_were_told_of(ada: Watched, busy: World, scripts: bool) -> None:
    name = f"gone/{'scripts' if scripts else 'plain'}"
    hand = busy.hand()
    for tag in ("a", "b", "c"):
        hand.image(name, tag, config={"author": tag})
    ada.go(f"/{name}/-/tags")
    for tag in ("a", "b"):
        ada.page.locator(f"input[name=tag][value={tag}]").check()
    ada.page.locator("main form button.danger").click()
    ada.page.wait_for_load_state()
    assert ada.path == f"/{name}/-/delete"
    assert re.search(r"\d+ B|\d kB", ada.main), "no bytes are told"
    assert tags_of(hand, name) == ["a", "b", "c"]
    ada.page.locator("main form[method=post] button.danger").click()
    ada.page.wait_for_load_state()
    assert tags_of(hand, name) == ["c"]


def tags_of(hand: Hand, name: str) -> list[str]:
    """As clients see them."""
    found: list[str] = hand.ask("GET", f"/v2/{name}/tags/list").json()["tags"]
    return found


@both_ways
def test_a_tag_is_rolled_back(ada: Watched, busy: World, scripts: bool) -> None:
    name = f"back/{'scripts' if scripts else 'plain'}"
    hand = busy.hand()
    before = hand.image(name, "1", config={"author": "before"})
    hand.image(name, "1", config={"author": "after"})
    ada.go(f"/{name}/-/history")
    ada.page.locator("a[href*='/-/rollback']").first.click()
    ada.page.wait_for_load_state()
    submit(ada, f"/{name}/-/rollback")
    answer = hand.ask("HEAD", f"/v2/{name}/manifests/1")
    assert answer.headers["Docker-Content-Digest"] == before["digest"]


@both_ways
def test_description_readme_and_visibility(ada: Watched, busy: World, scripts: bool) -> None:
    name = f"told/{'scripts' if scripts else 'plain'}"
    busy.hand().image(name, "1", config={})
    settings = f"/{name}/-/settings"
    ada.go(settings)
    submit(ada, f"{settings}/description", description="All about <it>")
    ada.go(settings)
    submit(ada, f"{settings}/readme", readme="# Hello\n\n*Much* to say")
    ada.go(settings)
    ada.page.locator("input[name=visibility][value=public]").check()
    submit(ada, f"{settings}/visibility")
    ada.go(f"/{name}")
    assert "All about <it>" in ada.main
    expect(ada.page.locator(".readme em")).to_have_text("Much")
    nobody = Hand(busy.server.port).ask("GET", f"/v2/{name}/tags/list")
    assert nobody.status == 200


@both_ways
def test_a_token_is_shown_once_and_works(
    ada: Watched, busy: World, scripts: bool, kho: Kho, tmp_path: Path
) -> None:
    name = f"laptop-{scripts}".lower()
    ada.go("/-/account/tokens")
    submit(ada, "/-/account/tokens", name=name)
    secret = ada.page.locator(".fresh .command code").first.inner_text()
    assert secret.startswith("khop_")
    ada.go("/-/account/tokens")
    assert secret not in ada.page.content()
    host = busy.server.host
    login = ("login", "--plain-http", "--username", ADMIN, "--password-stdin", host)
    kho.run(*login, stdin=secret)
    assert "12.1" in kho.run("tags", "--plain-http", f"{host}/team/debian")
    pair = base64.b64encode(f"{ADMIN}:{secret}".encode()).decode()
    path = tmp_path / "config"
    path.write_text(f'header = "Authorization: Basic {pair}"\n')
    if shutil.which("curl"):
        said = run("curl", "-sf", "-K", path, f"http://{host}/api/v1/whoami")
        assert ADMIN in said
    ada.page.locator("tr").filter(has_text=name).locator("form button").click()
    ada.page.wait_for_load_state()
    assert busy.hand(ADMIN).ask("GET", "/v2/", Authorization=f"Basic {pair}").status == 401


@both_ways
def test_another_session_is_ended(ada: Watched, browser: Browser, busy: World) -> None:
    with person(browser, busy.base, user_agent="Other/1.0") as other:
        sign_in(other, ADMIN, PASSWORDS[ADMIN])
        ada.go("/-/account/sessions")
        row = ada.page.locator("tr").filter(has_text="Other/1.0").first
        row.locator("form button").click()
        ada.page.wait_for_load_state()
        other.go("/-/account")
        assert other.path == "/auth/login"


@both_ways
def test_an_administrator_makes_people_and_rights(ada: Watched, busy: World, scripts: bool) -> None:
    name = f"carol-{scripts}".lower()
    ada.go("/-/admin/users")
    submit(ada, "/-/admin/users", name=name, password="a good one 42", again="a good one 42")
    assert busy.hand().api("GET", f"/users/{name}")["name"] == name
    ada.go("/-/admin/grants")
    submit(ada, "/-/admin/grants", subject=f"user:{name}", pattern="team/**")
    carol = Hand(busy.server.port, name, "a good one 42")
    assert carol.ask("GET", "/v2/team/debian/tags/list").status == 200
    ada.go("/-/admin/robots")
    robot = f"bot-{scripts}".lower()
    submit(ada, "/-/admin/robots", name=robot)
    assert busy.hand().api("GET", f"/robots/{robot}")["name"] == robot
    ada.go("/-/admin/trust?preset=kubernetes")
    fields = {"name": f"pods-{robot}", "workload": "team/app", "issuer": "https://k8s.example.com"}
    submit(ada, "/-/admin/trust", **fields)
    assert busy.hand().api("GET", f"/trust/pods-{robot}")["issuer"] == "https://k8s.example.com"


@both_ways
def test_the_audit_log_is_filtered_and_downloaded(ada: Watched) -> None:
    ada.go("/-/admin/audit")
    ada.page.locator("#action").fill("login*")
    ada.page.locator("#action").press("Enter")
    ada.page.wait_for_load_state()
    rows = ada.page.locator("tbody tr")
    assert rows.count() > 0
    assert all("login" in one for one in rows.all_inner_texts())
    with ada.page.expect_download() as download:
        ada.page.locator("a[href*='audit.csv']").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert len(lines) > 1
    assert all("login" in line for line in lines[1:])


@both_ways
def test_language_and_theme_are_kept(ada: Watched) -> None:
    ada.go("/team/debian")
    form = ada.page.locator("footer form.preferences")
    form.locator("[name=language]").select_option("vi")
    form.locator("[name=theme]").select_option("dark")
    form.locator("button").click()
    ada.page.wait_for_load_state()
    for path in ("/team/debian", "/-/account"):
        ada.go(path)
        html = ada.page.locator("html")
        assert (html.get_attribute("lang"), html.get_attribute("data-theme")) == ("vi", "dark")


@pytest.mark.parametrize("scripts", [True])
@pytest.mark.parametrize("width", [1440, NARROW])
def test_the_keyboard_is_enough(ada: Watched, width: int) -> None:
    ada.page.set_viewport_size({"width": width, "height": 900})
    ada.go("/")
    focused = "document.activeElement"
    ada.page.keyboard.press("Tab")
    assert ada.page.evaluate(f"{focused}.className") == "skip"
    box = ada.page.locator(".skip").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["y"] >= 0
    ada.page.keyboard.press("Enter")
    assert ada.page.evaluate(f"{focused}.id") == "main"
    seen = []
    for _ in range(60):
        ada.page.keyboard.press("Tab")
        seen.append(ada.page.evaluate(f"{focused}.getAttribute('href')"))
        outline = f"getComputedStyle({focused}).outlineStyle"
        assert ada.page.evaluate(outline) != "none", ada.page.evaluate(f"{focused}.outerHTML")
        if seen[-1] == "/team/debian":
            break
    assert seen[-1] == "/team/debian"
    ada.page.keyboard.press("Enter")
    ada.page.wait_for_url("**/team/debian")
