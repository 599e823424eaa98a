"""Lists that are narrowed and ticked, with scripts and without."""

from typing import Any

from playwright.sync_api import Browser, expect

from .chrome import NARROW, person
from .world import World


def test_filters_are_folded_on_narrow_screens_without_scripts(
    browser: Browser, team: World, team_admin: Any
) -> None:
    with person(browser, team.base, state=team_admin, scripts=False) as ada:
        ada.go("/")
        kind = ada.page.locator("select[name=kind]")
        assert kind.is_visible()
        ada.page.set_viewport_size({"width": NARROW, "height": 800})
        assert not kind.is_visible()
        ada.page.locator("label[for=folder]").click()
        kind.select_option("index")
        ada.press("Filter")
        assert ada.page.locator("#list tbody th").all_inner_texts() == [" team/multi"]
        assert kind.is_visible()
        assert ada.wrong == []


def test_what_is_typed_stands_in_the_address(
    browser: Browser, team: World, team_admin: Any
) -> None:
    with person(browser, team.base, state=team_admin) as ada:
        ada.go("/?sort=size")
        names = ada.page.locator("#list tbody th")
        ada.page.locator("main [name=q]").press_sequentially("odd")
        expect(names).to_have_count(1)
        ada.page.wait_for_url("**/?*q=odd*")
        assert "sort=size" in ada.page.url
        names.locator("a").click()
        ada.page.wait_for_url("**/team/odd")
        ada.page.go_back()
        expect(names).to_have_count(1)
        assert ada.page.locator("main [name=q]").input_value() == "odd"
        assert ada.wrong == []


def test_shift_ticks_a_range(browser: Browser, team: World, team_admin: Any) -> None:
    with person(browser, team.base, state=team_admin) as ada:
        ada.go("/team/debian/-/tags?sort=name")
        boxes = ada.page.locator(".pick input")
        boxes.nth(0).click()
        boxes.nth(3).click(modifiers=["Shift"])
        assert ada.page.locator(".pick input:checked").count() == 4
        expect(ada.page.locator("[data-count]")).to_have_text("(4)")
        boxes.nth(2).click(modifiers=["Shift"])
        assert ada.page.locator(".pick input:checked").count() == 2
        assert ada.wrong == []


def test_the_older_of_two_ticked_tags_is_before(
    browser: Browser, team: World, team_admin: Any
) -> None:
    with person(browser, team.base, state=team_admin) as ada:
        ada.go("/team/debian/-/tags")
        for tag in ("12.2", "12.1"):
            ada.page.locator(f".pick input[value='{tag}']").check()
        ada.press("Compare two")
        ada.page.wait_for_url("**/-/diff?*")
        assert ada.page.locator("[name=a]").input_value() == "12.1"
        assert ada.page.locator("[name=b]").input_value() == "12.2"


def test_the_open_tab_is_in_sight_and_errors_tell_their_code(
    browser: Browser, team: World, team_admin: Any
) -> None:
    with person(browser, team.base, state=team_admin) as ada:
        ada.page.set_viewport_size({"width": NARROW, "height": 800})
        ada.go("/team/debian/-/settings")
        place = ada.page.locator(".tabs [aria-current]").bounding_box()
        assert place
        assert 0 <= place["x"] <= NARROW - place["width"]
        assert ada.go("/team/none").status == 404
        assert "404 NAME_UNKNOWN" in ada.main
