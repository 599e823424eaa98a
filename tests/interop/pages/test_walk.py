"""Every page: wide and narrow, light and dark, in each language, with and without scripts."""

import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
from playwright.sync_api import Browser

from kho.server.web.routes import match
from tests.interop.clients import ROOT

from .chrome import NARROW, WIDE, Scheme, Watched, person
from .examples import ELSEWHERE, EXAMPLES, STATUS, addresses, page_routes
from .world import World

SCREENSHOTS = ROOT / ".cache" / "screenshots"
HEAVIEST = 150_000
LANGUAGES = ("en", "vi")
HIGHEST = 3000  # of a picture
AXE = (files("axe_playwright_python") / "axe.min.js").read_text()
_ALL: dict[str, Any] = {}
_COLOURS: dict[str, Any] = {"runOnly": ["color-contrast"]}
# Other words stand in the same markup: its rules are looked at once more, where it is narrowest.
SHAPES: dict[str, tuple[tuple[Scheme, int, dict[str, Any]], ...]] = {
    "en": (
        ("light", WIDE, _ALL),
        ("dark", WIDE, _COLOURS),
        ("dark", NARROW, _COLOURS),
        ("light", NARROW, _ALL),
    ),
    "vi": (("light", WIDE, _COLOURS), ("dark", NARROW, _ALL)),
}


def test_every_page_has_an_example() -> None:
    templates = {route.template for route in page_routes()}
    assert templates - set(EXAMPLES) - set(ELSEWHERE) == set()
    for template, found in EXAMPLES.items():
        for one in found:
            path = one.partition("?")[0].format(**dict.fromkeys(DIGESTS, "sha256:" + "0" * 64))
            assert match(path), one
            assert match(path)[0] == template or template not in templates, one  # type: ignore[index]


DIGESTS = ("first", "second", "index", "arm64", "odd", "chart")


@pytest.fixture(scope="module")
def readers(browser: Browser, team: World, team_admin: Any) -> Iterator[dict[str, Watched]]:
    """The administrator, by language."""
    with (
        person(browser, team.base, state=team_admin, language="en") as english,
        person(browser, team.base, state=team_admin, language="vi") as vietnamese,
        person(browser, team.base, state=team_admin, scripts=False) as plain,
    ):
        yield {"en": english, "vi": vietnamese, "plain": plain}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("address", addresses())
def test_a_page_is_right(
    team: World, readers: dict[str, Watched], address: str, language: str
) -> None:
    watched = readers[language]
    look(watched, address.format(**team.digests), language, STATUS.get(address, 200))


@pytest.mark.parametrize("address", addresses())
def test_a_page_says_the_same_without_scripts(
    team: World, readers: dict[str, Watched], address: str
) -> None:
    path = address.format(**team.digests)
    said = []
    for watched in (readers["en"], readers["plain"]):
        watched.go(path)
        said.append(steady(watched.main))
    assert said[0] == said[1]


def steady(text: str) -> list[str]:
    """The words of a page, without those that change from one second to the next."""
    text = re.sub(r"just now|\d+ (seconds?|minutes?) ago", "now", text)
    return text.split()


def look(watched: Watched, path: str, language: str, status: int = 200, name: str = "") -> None:
    """Open the page in all its shapes, and complain of everything at once."""
    page, wrong = watched.page, watched.wrong
    wrong.clear()
    page.set_viewport_size({"width": WIDE, "height": 900})
    page.emulate_media(color_scheme="light")
    answer = watched.go(path)
    if answer.status != status:
        wrong.append(f"status {answer.status}")
    if page.locator("html").get_attribute("lang") != language:
        wrong.append("another language")
    if page.locator("h1").count() != 1:
        wrong.append(f"{page.locator('h1').count()} h1")
    if watched.weight() > HEAVIEST:
        wrong.append(f"{watched.weight()} bytes")
    page.evaluate(AXE)
    for scheme, width, rules in SHAPES[language]:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        if watched.overflow():
            wrong.append(f"{width}: {watched.overflow()} px too wide")
        wrong += [f"{width} {scheme}: {one}" for one in findings(watched, rules)]
        shot(watched, name or path, language, width, scheme)
    assert wrong == []


def findings(watched: Watched, rules: dict[str, Any]) -> list[str]:
    """What axe finds."""
    options = {"resultTypes": ["violations"], **rules}
    found = watched.page.evaluate("(options) => axe.run(options)", options)
    return [
        f"axe {rule['id']}: {node['target']} {node['failureSummary'][:300]}"
        for rule in found["violations"]
        for node in rule["nodes"][:3]
    ]


def shot(watched: Watched, path: str, language: str, width: int, scheme: str) -> None:
    """Keep a picture, to be looked at."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    short = re.sub(r"sha256:([0-9a-f]{6})[0-9a-f]+", r"\1", path)
    name = re.sub(r"[^A-Za-z0-9.]+", "-", short).strip("-")[:80] or "home"
    file = SCREENSHOTS / f"{name}.{width}.{scheme}.{language}.jpg"
    height = min(int(watched.page.evaluate("document.documentElement.scrollHeight")), HIGHEST)
    clip = {"x": 0, "y": 0, "width": width, "height": height}
    watched.page.screenshot(path=file, full_page=True, clip=clip, type="jpeg", quality=70)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["/", "/-/search?q=app", "/-/storage", "/-/admin"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_first_pages_of_an_empty_registry(
    browser: Browser, empty: World, empty_admin: Any, path: str, language: str
) -> None:
    with person(browser, empty.base, language=language, state=empty_admin) as watched:
        look(watched, path, language, name=f"0{path}")


_LISTS = ("/", "/?view=grouped", "/?sort=size", "/-/search?q=app", "/-/storage")


@pytest.mark.parametrize("path", [*_LISTS, "/-/admin/repositories"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_first_pages_of_ten_thousand_repositories(
    browser: Browser, crowd: World, crowd_admin: Any, path: str, language: str
) -> None:
    with person(browser, crowd.base, language=language, state=crowd_admin) as watched:
        look(watched, path, language, name=f"10000{path}")
