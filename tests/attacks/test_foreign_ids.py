"""1A: an id of somebody else opens nothing, on every route that takes one (A5).

/v2       every route with a digest, reference or upload, in a repository of one's own
/api/v1   every path of the OpenAPI document with a part in it; one that is not covered fails
"""

import re

import pytest

from kho.oci.digest import Digest
from kho.server.policy.access import Action
from kho.server.web.api.openapi import document
from kho.server.web.api.operation import Operation
from kho.server.web.api.table import OPERATIONS
from kho.server.web.request import Audience
from kho.server.web.route import Route
from kho.server.web.routes import ROUTES
from tests.flows.api import ask, call, signed_in
from tests.flows.client import Answer, Client, without_id
from tests.flows.databases import on_both_databases
from tests.flows.people import Field, People, basic
from tests.flows.registry import Registry
from tests.house.test_routes import PARTS, route_id

LAYER = b"a private layer" * 100
DIGEST = Digest.of(LAYER)
BY_ID = {one.id: one for one in OPERATIONS}
# Of /api/v1: whose things the parts of a path name.
REPOSITORIES = {"name", "digest", "reference", "tag", "path"}
OWN = {"id"}
WITH_IDS = [
    route
    for route in ROUTES
    if route.audience is Audience.CLIENTS
    and any(part in route.template for part in ("{digest}", "{reference}", "{upload}"))
]


def neutral(answer: Answer, *words: str) -> tuple[int, list[tuple[str, str]], bytes]:
    """All that a caller can see, but for the words that it has sent itself, and lengths."""
    headers, body = without_id(answer), answer.body
    for word in words:
        headers = [(key, value.replace(word, "W")) for key, value in headers]
        body = body.replace(word.encode(), b"W")
    return answer.status, [pair for pair in headers if pair[0] != "content-length"], body


@pytest.fixture
async def people(registry: Registry) -> People:
    """A private image of the owner's, and a stranger with a repository of their own."""
    await registry.push_image("private/app", "their-tag", LAYER)
    await registry.push_image("mine/app", "1", b"another layer")
    people = People(registry)
    await people.user("owner")
    await people.grant("user:owner", "maintainer", "private/**")
    return people


@pytest.fixture
async def stranger(people: People) -> Field:
    """Who may do everything in a repository of their own."""
    secret = await people.user("stranger")
    await people.grant("user:stranger", "maintainer", "mine/**")
    return basic("stranger", secret)


@pytest.mark.parametrize("route", WITH_IDS, ids=route_id)
async def test_A5_an_id_of_somebody_else_is_unknown(
    people: People, stranger: Field, route: Route
) -> None:
    client, owner = people.registry.client, await people.token("user:owner", name="owner")
    opened = await client.post("/v2/private/app/blobs/uploads/", b"", basic("owner", owner))
    upload = opened["Location"].rpartition("/")[2]
    foreign = {"digest": str(DIGEST), "reference": "their-tag", "upload": upload}
    unknown = {**PARTS, "reference": "not-a-tag"}
    answers = []
    for parts in (foreign, unknown):
        target = route.template.format(**{**parts, "name": "mine/app"})
        body = b"" if route.method in ("POST", "PATCH", "PUT") else None
        answer = await client.request(route.method, f"{target}?digest={DIGEST}", body, [stranger])
        answers.append(neutral(answer, *(parts[key] for key in foreign)))
    assert answers[0] == answers[1]
    if route.name == "referrers":
        assert b'"manifests":[]' in answers[0][2]
    else:
        empty_manifest = (route.method, route.name) == ("PUT", "manifest")
        assert answers[0][0] == (400 if empty_manifest else 404)


def with_parts() -> list[Operation]:
    """Every operation of the document whose path has a part."""
    found = []
    for path, methods in document(OPERATIONS)["paths"].items():
        found += [BY_ID[one["operationId"]] for one in methods.values() if "{" in path]
    return found


def parts_of(one: Operation) -> set[str]:
    """What the path takes."""
    return set(re.findall(r"{(\w+)}", one.template))


def test_A5_every_path_with_an_id_is_covered() -> None:
    for one in with_parts():
        known = parts_of(one) <= REPOSITORIES and "name" in parts_of(one)
        own = parts_of(one) <= OWN and one.action is Action.ACCOUNT
        assert known or own or one.action is Action.ADMIN, f"{one.id}: whose id is it?"


async def digest_of(people: People, name: str, tag: str) -> str:
    """The digest of a tag."""
    owner = await people.user("reader-of-all", admin=True)
    answer = await people.registry.client.get(f"/v2/{name}/manifests/{tag}", basic("x", owner))
    return answer["Docker-Content-Digest"]


@on_both_databases
async def test_A5_a_private_repository_is_not_there(people: People, stranger: Field) -> None:
    client = people.registry.client
    foreign = await digest_of(people, "private/app", "their-tag")
    parts = {"digest": foreign, "reference": "their-tag", "tag": "their-tag"}
    for one in [one for one in with_parts() if "name" in parts_of(one)]:
        there = await ask(client, one, stranger, **parts, name="private/app")
        absent = await ask(client, one, stranger, **parts, name="absence/app")
        assert there.status == 404, (one.id, there)
        assert neutral(there, "private") == neutral(absent, "absence"), one.id


@on_both_databases
async def test_A5_a_digest_of_another_repository_is_not_here(
    people: People, stranger: Field
) -> None:
    client = people.registry.client
    foreign = await digest_of(people, "private/app", "their-tag")
    checked = [one for one in with_parts() if parts_of(one) & {"digest", "reference"}]
    assert len(checked) > 5
    for one in checked:
        answer = await ask(
            client, one, stranger, digest=foreign, reference=foreign, name="mine/app"
        )
        assert answer.status == 404, (one.id, answer)
    named = {
        "compareImages": f"?a=1&b={foreign}",
        "compareFiles": f"?a=1&b={foreign}",
    }
    for name, query in named.items():
        path = BY_ID[name].template.format(**{**PARTS, "name": "mine/app"})
        assert (await client.get(path + query, stranger)).status == 404, name
    where = "/repositories/mine/app/-"
    moved = await call(client, "PUT", f"{where}/tags/1", stranger, body={"digest": foreign})
    assert moved.status == 404
    sent = {"digests": [foreign]}
    gone = await call(client, "POST", f"{where}/deletions", stranger, body=sent)
    assert gone.json()["items"] == [{"target": foreign, "result": "unknown"}]
    impact = await call(client, "POST", f"{where}/deletion-impacts", stranger, body=sent)
    assert impact.json()["unknown"] == [foreign]
    assert not impact.json()["freed_on_disk"]


async def ids_in(client: Client, path: str, header: Field) -> list[str]:
    """The ids of a list."""
    return [str(one["id"]) for one in (await client.get(path, header)).json()["items"]]


@on_both_databases
async def test_A5_tokens_and_logins_of_others_are_not_there(
    people: People, stranger: Field
) -> None:
    client = people.registry.client
    theirs = basic("owner", await people.token("user:owner", name="precious"))
    await signed_in(people, "owner")
    lists = {"tokens": "/api/v1/account/tokens", "logins": "/api/v1/account/logins"}
    for one in [one for one in with_parts() if one.action is Action.ACCOUNT]:
        noun = one.path.split("/")[2]
        before = await ids_in(client, lists[noun], theirs)
        assert before
        for foreign_id in before:
            foreign = await ask(client, one, stranger, id=foreign_id)
            unknown = await ask(client, one, stranger, id="17")
            assert foreign.status == 404, (one.id, foreign)
            assert neutral(foreign, foreign_id) == neutral(unknown, "17")
        assert await ids_in(client, lists[noun], theirs) == before


async def test_A5_who_administers_nothing_learns_no_names(people: People, stranger: Field) -> None:
    client = people.registry.client
    for one in [one for one in with_parts() if one.action is Action.ADMIN]:
        there = await ask(client, one, stranger, user="owner")
        absent = await ask(client, one, stranger, user="nobody")
        assert there.status == 403, (one.id, there)
        assert neutral(there, "owner") == neutral(absent, "nobody"), one.id
