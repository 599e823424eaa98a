"""Chromium, and pages that remember everything about them that is not right."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Page,
    Request,
    Response,
    sync_playwright,
)

from tests.interop.clients import program

WIDE, NARROW = 1440, 360
Scheme = Literal["light", "dark"]
# Told before anything of the page runs; the console carries it to us.
_LISTEN = """
document.addEventListener("securitypolicyviolation",
  (event) => console.error("policy: " + event.violatedDirective + " " + event.blockedURI));
"""
_WEIGHT = """
() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
  .reduce((sum, one) => sum + one.encodedBodySize, 0)
"""


@dataclass
class Watched:
    """A page of the browser; `wrong` is what happened that never may."""

    page: Page
    base: str
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Look from now on."""
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        self.page.on("dialog", self._asked)
        self.page.on("request", self._sent)

    def _said(self, message: ConsoleMessage) -> None:
        # A page that is not there is an answer, not a mistake of the page that asks.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.wrong.append(f"console: {message.text}")

    def _asked(self, dialog: Dialog) -> None:
        self.wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _sent(self, request: Request) -> None:
        to = urlsplit(request.url)
        if to.scheme != "data" and f"{to.scheme}://{to.netloc}" != self.base:
            self.wrong.append(f"request: {request.url}")

    def go(self, path: str) -> Response:
        """Open a page of the registry."""
        answer = self.page.goto(self.base + path)
        assert answer is not None
        return answer

    def press(self, name: str, role: Literal["button", "link"] = "button") -> None:
        """The first button, or link, of this name."""
        self.page.get_by_role(role, name=name).first.click()

    def fill(self, name: str, text: str) -> None:
        """The field of this name."""
        self.page.locator(f"[name={name}]:not([type=hidden])").first.fill(text)

    @property
    def path(self) -> str:
        """Where it is, without the query."""
        return urlsplit(self.page.url).path

    @property
    def main(self) -> str:
        """The text of the page's main part."""
        return self.page.locator("main").inner_text()

    def overflow(self) -> int:
        """By how many pixels it is wider than the window."""
        script = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.page.evaluate(script))

    def weight(self) -> int:
        """The bytes of the page and all that it loads, as they are sent."""
        return int(self.page.evaluate(_WEIGHT))


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """The browser."""
    path = program("chromium")
    with sync_playwright() as playwright:
        # The tests run as root, where Chromium has no sandbox of its own.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextlib.contextmanager
def person(
    browser: Browser,
    base: str,
    *,
    language: str = "en",
    scripts: bool = True,
    state: Any = None,
    **more: Any,
) -> Iterator[Watched]:
    """Somebody with a browser of their own; `state` are the cookies of one who has signed in."""
    context = browser.new_context(
        locale=language,
        java_script_enabled=scripts,
        storage_state=state,
        reduced_motion="reduce",
        viewport={"width": WIDE, "height": 900},
        **more,
    )
    context.set_default_timeout(15_000)
    context.add_init_script(_LISTEN)
    yield Watched(context.new_page(), base)
    context.close()


def sign_in(watched: Watched, name: str, password: str) -> BrowserContext:
    """With the form."""
    watched.go("/auth/login")
    watched.fill("username", name)
    watched.fill("password", password)
    watched.page.locator("main form button").first.click()
    watched.page.wait_for_url(lambda url: urlsplit(url).path != "/auth/login")
    return watched.page.context
