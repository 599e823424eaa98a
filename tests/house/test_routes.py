"""THE URL TABLE: every row asks an action, and every row can be reached."""

import re

import pytest

from kho.server.policy.access import FREE, Action
from kho.server.web.route import Route
from kho.server.web.routes import ROUTES, TABLE, match

PARTS = {
    "name": "some/name",
    "tag": "1.0",
    "path": "usr/bin/sh",
    "user": "alice",
    "group": "web",
    "role": "deployer",
    "robot": "ci",
    "rule": "main",
    "id": "17",
    "mark": "0123456789ab",
    "file": "kho.css",
    "digest": f"sha256:{'0' * 64}",
    "reference": "tag",
    "token": "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0",
    "upload": "00000000-0000-4000-8000-000000000000",
}
WRITES = {"POST", "PUT", "PATCH"}
READING = {Action.PULL, Action.CATALOG, Action.BROWSE, Action.METRICS}


def route_id(route: Route) -> str:
    """For the test's name."""
    return f"{route.method} {route.template}"


@pytest.mark.parametrize("route", ROUTES, ids=route_id)
def test_every_route_asks_an_action(route: Route) -> None:
    assert isinstance(route.action, Action)
    if route.template.startswith("/v2/"):
        assert route.action is not Action.OPERATE


@pytest.mark.parametrize("route", ROUTES, ids=route_id)
def test_writes_ask_for_more_than_reads(route: Route) -> None:
    # A session is part of a push, whoever looks at it or cancels it.
    if route.index:
        assert route.method in {"GET", "HEAD"} or route.action not in READING
    elif not route.template.startswith("/v2/"):
        assert route.action in FREE | {Action.METRICS}
    elif route.method in WRITES or "{upload}" in route.template:
        assert route.action is Action.PUSH
    elif route.method == "DELETE":
        assert route.action is Action.DELETE
    else:
        assert route.action not in {Action.PUSH, Action.DELETE}


@pytest.mark.parametrize("route", ROUTES, ids=route_id)
def test_every_route_can_be_reached(route: Route) -> None:
    wanted = set(re.findall(r"{(\w+)}", route.template))
    found = match(route.template.format(**PARTS))
    assert found == (route.template, {name: PARTS[name] for name in wanted})
    assert TABLE[route.template][route.method] is route


def test_head_goes_where_get_goes() -> None:
    for methods in TABLE.values():
        assert methods.get("HEAD") is methods.get("GET")


def test_no_two_rows_are_the_same() -> None:
    keys = [(route.method, route.template) for route in ROUTES]
    assert len(keys) == len(set(keys))
    names = {route.template: route.name for route in ROUTES}
    assert {route.name for route in ROUTES} == set(names.values())


def test_every_action_is_asked_somewhere() -> None:
    decided_in_transactions = {Action.CREATE, Action.TAG, Action.OVERWRITE}
    routed = {route.action for route in ROUTES}
    assert routed == set(Action) - decided_in_transactions
