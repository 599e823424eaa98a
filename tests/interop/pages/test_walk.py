"""Every page in English: wide and narrow, light and dark."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from kho.server.web.routes import match

from .chrome import Watched, person
from .examples import ELSEWHERE, EXAMPLES, STATUS, addresses, page_routes
from .looking import LANGUAGES, look
from .world import World

DIGESTS = ("first", "second", "index", "arm64", "odd", "chart")


def test_every_page_has_an_example() -> None:
    templates = {route.template for route in page_routes()}
    assert templates - set(EXAMPLES) - set(ELSEWHERE) == set()
    for template, examples in EXAMPLES.items():
        for one in examples:
            path = one.partition("?")[0].format(**dict.fromkeys(DIGESTS, "sha256:" + "0" * 64))
            found = match(path)
            assert found, one
            assert found[0] == template, one


@pytest.fixture(scope="module")
def reader(browser: Browser, team: World, team_admin: Any) -> Iterator[Watched]:
    """The administrator."""
    with person(browser, team.base, state=team_admin) as watched:
        yield watched


@pytest.mark.parametrize("address", addresses())
def test_a_page_is_right(team: World, reader: Watched, address: str) -> None:
    look(reader, address.format(**team.digests), "en", STATUS.get(address, 200))


@pytest.mark.parametrize("path", ["/", "/-/search?q=app", "/-/storage", "/-/admin"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_first_pages_of_an_empty_registry(
    browser: Browser, empty: World, empty_admin: Any, path: str, language: str
) -> None:
    with person(browser, empty.base, language=language, state=empty_admin) as watched:
        look(watched, path, language, name=f"0{path}")
