"""A page looked at in all its shapes: widths, colours, what axe finds, pictures."""

import re
from importlib.resources import files
from typing import Any

from playwright.sync_api import expect

from tests.interop.clients import ROOT

from .chrome import NARROW, WIDE, Scheme, Watched

SCREENSHOTS = ROOT / ".cache" / "screenshots"
HEAVIEST = 150_000
LANGUAGES = ("en", "vi")
# Parts that are not there yet, or fade in.
LATER = ".htmx-request, .htmx-swapping, .htmx-settling, .htmx-added"
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
    expect(page.locator(LATER)).to_have_count(0)
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
