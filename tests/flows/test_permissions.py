"""The route table crossed with who asks: one table to read, and no route without a row."""

import pytest

from kho.server.database.identities import accounts, robots
from kho.server.index.tokens import credentials
from kho.server.policy.access import FREE
from kho.server.web.route import Route
from kho.server.web.routes import ROUTES
from tests.attacks.forgeries import forgeries
from tests.flows.databases import on_both_databases
from tests.flows.people import Field, People, basic, bearer
from tests.flows.registry import Registry
from tests.house.test_routes import PARTS, route_id

# Names in the order of the columns below.
PEOPLE = ("anonymous", "reader", "writer", "maintainer", "admin", "robot")
# Whoever has the right meets the next question: the thing asked for is not there (404), or the
# request is empty (400, 202). The robot has every right, but on another repository.
#                                                    anon read writ main admi robo
TABLE = {
    "GET /metrics": (401, 403, 403, 403, 200, 403),
    "GET /v2/": (401, 200, 200, 200, 200, 200),
    "GET /v2/_oci/ext/discover": (401, 200, 200, 200, 200, 200),
    "GET /v2/_catalog": (401, 200, 200, 200, 200, 200),
    "GET /v2/{name}/blobs/{digest}": (401, 404, 404, 404, 404, 403),
    "DELETE /v2/{name}/blobs/{digest}": (401, 403, 403, 404, 404, 403),
    "POST /v2/{name}/blobs/uploads/": (401, 403, 202, 202, 202, 403),
    "GET /v2/{name}/blobs/uploads/{upload}": (401, 403, 404, 404, 404, 403),
    "PATCH /v2/{name}/blobs/uploads/{upload}": (401, 403, 404, 404, 404, 403),
    "PUT /v2/{name}/blobs/uploads/{upload}": (401, 403, 404, 404, 404, 403),
    "DELETE /v2/{name}/blobs/uploads/{upload}": (401, 403, 404, 404, 404, 403),
    "GET /v2/{name}/manifests/{reference}": (401, 404, 404, 404, 404, 403),
    "PUT /v2/{name}/manifests/{reference}": (401, 403, 400, 400, 400, 403),
    "DELETE /v2/{name}/manifests/{reference}": (401, 403, 403, 404, 404, 403),
    "GET /v2/{name}/tags/list": (401, 404, 404, 404, 404, 403),
    "GET /v2/{name}/referrers/{digest}": (401, 200, 200, 200, 200, 403),
}
SCOPES = ("repository:some/name:pull,push,delete", "registry:catalog:*")
# What belongs to the index: tests/flows/test_api_permissions.py.
GUARDED = [route for route in ROUTES if route.action not in FREE and not route.index]


def test_every_route_has_a_row() -> None:
    assert {route_id(route) for route in GUARDED} == set(TABLE)


async def cast(people: People) -> dict[str, str]:
    """One of each kind, with a token as the password."""
    secrets = {name: await people.user(name) for name in ("reader", "writer", "maintainer")}
    for name in secrets:
        await people.grant(f"user:{name}", name, "some/**")
    secrets["admin"] = await people.user("admin", admin=True)
    secrets["robot"] = await people.robot("robot")
    await people.grant("robot:robot", "maintainer", "other/**")
    return secrets


async def status(registry: Registry, route: Route, *headers: Field) -> int:
    target = route.template.format(**PARTS)
    body = None if route.method in ("GET", "DELETE") else b""
    answer = await registry.client.request(route.method, target, body, headers)
    challenge = answer.all("WWW-Authenticate")
    assert len(challenge) == (answer.status == 401)
    return answer.status


@on_both_databases
async def test_with_the_password_each_time(registry: Registry) -> None:
    secrets = await cast(People(registry))
    headers = [[], *([basic(name, secrets[name])] for name in PEOPLE[1:])]
    found = {
        route_id(route): tuple([await status(registry, route, *one) for one in headers])
        for route in GUARDED
    }
    assert found == TABLE


@on_both_databases
async def test_with_tokens(registry: Registry) -> None:
    people = People(registry)
    secrets = await cast(people)
    tokens = [await people.bearer(secrets[name], *SCOPES) for name in PEOPLE[1:]]
    headers = [[], *([token] for token in tokens)]
    found = {
        route_id(route): tuple([await status(registry, route, *one) for one in headers])
        for route in GUARDED
    }
    # The protocol's word for a token that lacks a right is 401, so that clients ask for another.
    # No token of /token is for figures: those are asked for with a password.
    assert found == {
        row: tuple(401 if one == 403 or row == "GET /metrics" else one for one in codes)
        for row, codes in TABLE.items()
    }


async def test_figures_are_for_who_may_see_them(registry: Registry) -> None:
    people = People(registry)
    assert (await registry.client.get("/metrics")).status == 200  # without accounts all may
    secret = await people.robot("prometheus")
    narrow = await people.token("robot:prometheus", ("**", "pull"), name="narrow")
    await people.grant("robot:prometheus", "monitor", "**")
    answer = await registry.client.get("/metrics")
    assert answer.status == 401
    assert b"kho_" not in answer.body
    assert (await registry.client.get("/metrics", basic("prometheus", secret))).status == 200
    assert (await registry.client.get("/metrics", basic("prometheus", narrow))).status == 403
    assert (await registry.client.get("/v2/a/tags/list", basic("any", secret))).status == 403
    await people.grant("anonymous", "monitor", "**")
    assert (await registry.client.get("/metrics")).status == 200


async def test_a_token_without_scopes_opens_nothing_but_the_door(registry: Registry) -> None:
    people = People(registry)
    secrets = await cast(people)
    mine = await people.bearer(secrets["admin"])
    for route in GUARDED:
        wanted = 200 if route.template in ("/v2/", "/v2/_oci/ext/discover") else 401
        assert await status(registry, route, mine) == wanted, route_id(route)


async def test_who_is_gone_disabled_revoked_or_expired_gets_in_nowhere(
    registry: Registry,
) -> None:
    people = People(registry)
    secrets = await cast(people)
    database = people.resources.database
    old = await people.token("user:admin", name="old", seconds=-1)
    lost = await people.token("user:maintainer", name="lost")
    lost_bearer = await people.bearer(lost, *SCOPES)
    tokens = {name: await people.bearer(secrets[name], *SCOPES) for name in secrets}
    await database.write(accounts.set_disabled, "admin", True)
    await database.write(accounts.delete, "writer")
    await database.write(robots.set_disabled, "robot", True)
    credential = (await credentials.identify(people.resources, lost, ("personal",))).credential
    assert credential is not None
    assert await credentials.revoke(people.resources, credential, by="test")
    people.forget()
    for route in GUARDED:
        for name in ("admin", "writer", "robot"):
            assert await status(registry, route, tokens[name]) == 401
            assert await status(registry, route, basic(name, secrets[name])) == 401
        assert await status(registry, route, basic("admin", old)) == 401
        assert await status(registry, route, basic("maintainer", lost)) == 401
        assert await status(registry, route, lost_bearer) == 401


async def test_forged_tokens_open_nothing(registry: Registry) -> None:
    people = People(registry)
    await cast(people)
    found = await forgeries(people.resources)
    assert len(found) >= 40
    for route in GUARDED:
        for name, token in found:
            assert await status(registry, route, bearer(token)) == 401, (route_id(route), name)


@pytest.mark.parametrize("route", GUARDED, ids=route_id)
async def test_a_registry_without_accounts_is_open(registry: Registry, route: Route) -> None:
    assert await status(registry, route) not in (401, 403)
