"""Every page in the other language and without scripts; pages of many repositories."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from .chrome import Watched, person
from .examples import STATUS, addresses
from .looking import look
from .world import World


@pytest.fixture(scope="module")
def readers(browser: Browser, team: World, team_admin: Any) -> Iterator[dict[str, Watched]]:
    """The administrator: in Vietnamese, with scripts, without."""
    with (
        person(browser, team.base, state=team_admin, language="vi") as vietnamese,
        person(browser, team.base, state=team_admin) as lively,
        person(browser, team.base, state=team_admin, scripts=False) as plain,
    ):
        yield {"vi": vietnamese, "lively": lively, "plain": plain}


@pytest.mark.parametrize("address", addresses())
def test_a_page_is_right_in_vietnamese(
    team: World, readers: dict[str, Watched], address: str
) -> None:
    look(readers["vi"], address.format(**team.digests), "vi", STATUS.get(address, 200))


@pytest.mark.parametrize("address", addresses())
def test_a_page_says_the_same_without_scripts(
    team: World, readers: dict[str, Watched], address: str
) -> None:
    path = address.format(**team.digests)
    said = []
    for name in ("lively", "plain"):
        readers[name].go(path)
        said.append(steady(readers[name].main))
    assert said[0] == said[1]


def steady(text: str) -> list[str]:
    """The words of a page, without those that change from one second to the next."""
    # A large image's is worked out after the page; without scripts a link leads to it.
    text = re.sub(r"As containers see it.*?(?=At a glance|\Z)", "", text, flags=re.DOTALL)
    text = re.sub(r"[\d.,]+ (ms|s|kB|MB|GB)\b", "some", text)  # health, above all
    text = re.sub(r"just now|\d+ (seconds?|minutes?) ago", "now", text)
    return text.split()


_LISTS = ("/", "/?view=grouped", "/?sort=size", "/-/search?q=app", "/-/storage")


@pytest.mark.parametrize("path", [*_LISTS, "/-/admin/repositories"])
def test_the_first_pages_of_ten_thousand_repositories(
    browser: Browser, crowd: World, crowd_admin: Any, path: str
) -> None:
    with person(browser, crowd.base, state=crowd_admin) as watched:
        look(watched, path, "en", name=f"10000{path}")
