"""Who may do what by the API: its table crossed with who asks, and with how they ask."""

import itertools

import pytest

from kho.server.index.sources.passwords import Cost, Line
from kho.server.policy.access import Action
from kho.server.web.api.table import OPERATIONS
from tests.flows.api import ask, call, signed_in
from tests.flows.people import Field, People, basic, bearer
from tests.flows.registry import Registry

# Who may; whoever may not is told 401 (nobody) or 403.
MAY = {
    Action.BROWSE: {"nobody", "stranger", "reader", "maintainer", "admin", "robot"},
    Action.ACCOUNT: {"stranger", "reader", "maintainer", "admin"},
    Action.PULL: {"reader", "maintainer", "admin"},
    Action.PUSH: {"maintainer", "admin"},
    Action.DELETE: {"maintainer", "admin"},
    Action.SETTINGS: {"maintainer", "admin"},
    Action.ADMIN: {"admin"},
}
NOUNS = sorted({one.noun for one in OPERATIONS})


@pytest.fixture
async def people(registry: Registry) -> People:
    """A private repository, and some who may do something with it."""
    await registry.push_image("some/name", "1.0", b"a layer")
    people = People(registry)
    people.resources.memory.keep(Line).cost = Cost(8, 1)
    await people.user("alice")
    return people


@pytest.mark.parametrize("noun", NOUNS)
async def test_who_may(people: People, noun: str) -> None:
    ways: dict[str, list[Field]] = {"nobody": []}
    for name in ("stranger", "reader", "maintainer"):
        ways[name] = [basic(name, await people.user(name))]
        if name != "stranger":
            await people.grant(f"user:{name}", name, "some/**")
    ways["robot"] = [basic("x", await people.robot("robot"))]
    ways["admin"] = [basic("root", await people.user("root", admin=True))]
    people.forget()
    mine = [one for one in OPERATIONS if one.noun == noun]
    for (who, headers), one in itertools.product(ways.items(), mine):
        answer = await ask(people.registry.client, one, *headers)
        if who in MAY[one.action]:
            assert answer.status not in (401, 403), (who, one.id, answer)
            assert answer.status < 500, (who, one.id, answer)
        elif who == "nobody":
            assert answer.status == 401, one.id
        else:
            hidden = "{name}" in one.template and who in ("stranger", "robot")
            assert answer.status == (404 if hidden else 403), (who, one.id, answer)


async def test_a_token_with_a_ceiling_cannot_widen_itself(people: People) -> None:
    await people.user("root", admin=True)
    narrow = await people.token("user:root", ("**", "*"), name="narrow")
    people.forget()
    answer = await people.ask(basic("x", narrow), scope="repository:some/name:pull,push,delete,*")
    client = people.registry.client
    for one in OPERATIONS:
        for header in (basic("x", narrow), bearer(answer.json()["token"])):
            found = await ask(client, one, header)
            if one.action in (Action.ACCOUNT, Action.ADMIN):
                assert found.status in (401, 403), one.id
    made = await call(client, "POST", "/account/tokens", basic("x", narrow), body={"name": "wide"})
    assert made.status == 403


async def test_what_a_browser_changes_comes_from_a_page_of_ours(people: People) -> None:
    await people.user("root", admin=True)
    signed = await signed_in(people, "root")
    client = people.registry.client
    wrong = (
        signed.headers(origin="https://evil.example"),
        signed.headers(token="0" * 64),
        signed.headers(token=""),
        [*signed.headers(), ("Sec-Fetch-Site", "cross-site")],
        signed.headers()[:2],
    )
    unsafe = [one for one in OPERATIONS if one.method != "GET"]
    for one, headers in itertools.product(unsafe, wrong):
        answer = await ask(client, one, *headers)
        assert answer.status == 403, (one.id, headers, answer)
    for one in unsafe:
        answer = await ask(client, one, *signed.headers())
        assert answer.status not in (401, 403), (one.id, answer)


async def test_an_open_registry_is_not_changed_by_pages_of_others(registry: Registry) -> None:
    client = registry.client
    body = {"name": "root", "password": "a long password", "admin": True}
    evil = [("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site")]
    assert (await call(client, "POST", "/users", *evil, body=body)).status == 403
    assert (await call(client, "POST", "/users", body=body)).status == 201
    for worker in registry.workers:
        assert worker.app.resources is not None
        worker.app.resources.memory.forget()
    assert (await call(client, "GET", "/users")).status == 401  # it is open no longer
