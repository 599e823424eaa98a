"""Registries to look at, and a browser to look with."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.interop.images import DebianImage

from . import many
from .chrome import chromium, person, sign_in
from .world import ADMIN, PASSWORDS, World, started, wait_for_files, world


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, for one file: the loop of Playwright would be in the way of other tests."""
    with chromium() as found:
        yield found


@pytest.fixture(scope="session")
def team(tmp_path_factory: pytest.TempPathFactory, debian: DebianImage) -> Iterator[World]:
    """A registry with some of everything; whose tests change nothing."""
    with world(tmp_path_factory.mktemp("team"), debian) as found:
        wait_for_files(found, "team/debian:12", "team/debian:old", "team/multi:1.0", "team/odd:1")
        yield found


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A registry with an administrator and nothing else."""
    home = tmp_path_factory.mktemp("empty")
    with started(home / "one") as server:
        yield World(server, {})
    shutil.rmtree(home)


@pytest.fixture(scope="session")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A registry of 10,000 repositories, as rows."""
    home = tmp_path_factory.mktemp("crowd")
    with started(home / "one") as server:
        data = server.data
    many.fill(data)
    with many.again(home / "one") as server:
        yield World(server, {})
    shutil.rmtree(home)


def cookies_of(browser: Browser, found: World, name: str = ADMIN) -> Any:
    """What the browser of one who has signed in keeps."""
    with person(browser, found.base) as watched:
        return sign_in(watched, name, PASSWORDS[name]).storage_state()


@pytest.fixture(scope="module")
def team_admin(browser: Browser, team: World) -> Any:
    """The cookies of the administrator of the team's registry."""
    return cookies_of(browser, team)


@pytest.fixture(scope="module")
def empty_admin(browser: Browser, empty: World) -> Any:
    """The same of the empty one."""
    return cookies_of(browser, empty)


@pytest.fixture(scope="module")
def crowd_admin(browser: Browser, crowd: World) -> Any:
    """The same of the crowded one."""
    return cookies_of(browser, crowd)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[World]:
    """A registry like the team's with small images, for a test that changes it."""
    with world(tmp_path / "small") as found:
        yield found
