"""1A, 1B: rights decide on every route, and what one may not see looks like what is not there."""

import asyncio
import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kho.oci.digest import Digest
from kho.server.database.engine import Transaction
from kho.server.database.identities import accounts, groups, roles
from kho.server.policy.access import FREE, Action
from kho.server.web.request import Audience
from kho.server.web.routes import ROUTES, TABLE
from tests.attacks.timing import told_apart
from tests.flows.client import Answer, without_id
from tests.flows.databases import on_both_databases
from tests.flows.people import Field, People, basic, bearer
from tests.flows.registry import Registry
from tests.house.test_routes import PARTS, route_id
from tests.oci.samples import encode, image

LAYER = b"a private layer" * 100
DIGEST = Digest.of(LAYER)
CONFIG = b"{}"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


def neutral(answer: Answer, *words: str) -> tuple[int, list[tuple[str, str]], bytes]:
    """All that a caller can see, but for the words that it has sent itself."""
    headers, body = without_id(answer), answer.body
    for word in words:
        headers = [(key, value.replace(word, "W")) for key, value in headers]
        body = body.replace(word.encode(), b"W")
    return answer.status, headers, body


@pytest.fixture
async def people(registry: Registry) -> People:
    """A private image of the owner's, and a stranger with a repository of their own."""
    await registry.push_image("private/app", "1", LAYER)
    people = People(registry)
    await people.user("owner")
    await people.grant("user:owner", "maintainer", "private/**")
    return people


@pytest.fixture
async def stranger(people: People) -> str:
    """The stranger's password."""
    secret = await people.user("stranger")
    await people.grant("user:stranger", "maintainer", "mine/**")
    return secret


async def mount(people: People, digest: object, source: str, *headers: Field) -> Answer:
    """Ask for a blob of another repository."""
    query = f"?mount={digest}" + (f"&from={source}" if source else "")
    return await people.registry.client.post(f"/v2/mine/app/blobs/uploads/{query}", b"", *headers)


@on_both_databases
async def test_A2_a_mount_needs_the_right_to_read_its_source(people: People, stranger: str) -> None:
    names = "private/app", "absent/app"
    sources = [*names, "private/app2", ""]
    scopes = ["repository:mine/app:pull,push", *(f"repository:{name}:pull" for name in names)]
    for headers in ([basic("stranger", stranger)], [await people.bearer(stranger, *scopes)]):
        for source, digest in itertools.product(sources, (DIGEST, Digest.of(b"never"))):
            answer = await mount(people, digest, source, *headers)
            assert answer.status == 202
            assert "Location" in answer
    await people.grant("user:stranger", "reader", "private/app")
    mine = basic("stranger", stranger)
    assert (await mount(people, DIGEST, "private/app", mine)).status == 201
    assert (await mount(people, DIGEST, "absent/app", mine)).status == 202
    scopes = ["repository:mine/app:pull,push"]  # without the source's: the token is a ceiling
    narrow = await people.bearer(stranger, *scopes)
    for digest in (DIGEST, Digest.of(b"never")):  # who may have more is told how to ask for it
        answer = await mount(people, digest, "private/app", narrow)
        assert answer.status == 401
        wanted = 'scope="repository:mine/app:pull,push repository:private/app:pull"'
        assert f'{wanted},error="insufficient_scope"' in answer["WWW-Authenticate"]
    assert (await mount(people, DIGEST, "absent/app", narrow)).status == 202


async def test_A2_time_does_not_tell_whether_a_blob_is_there(people: People, stranger: str) -> None:
    mine = basic("stranger", stranger)
    never = Digest.of(b"never")

    async def there() -> None:
        assert (await mount(people, DIGEST, "private/app", mine)).status == 202

    async def not_there() -> None:
        assert (await mount(people, never, "private/app", mine)).status == 202

    assert await told_apart(there, not_there, 2000) < 0.55


RIGHTS = (Action.PULL, Action.PUSH, Action.CREATE, Action.TAG, Action.OVERWRITE)


async def put_tag(people: People, content: bytes, tag: str, way: str, header: Field) -> int:
    """Point a tag at a manifest, by one of the ways that there are; the status."""
    digest = Digest.of(content)
    targets = {
        "tag": f"/v2/team/app/manifests/{tag}",
        "digest": f"/v2/team/app/manifests/{digest}?tag={tag}",
        "several": f"/v2/team/app/manifests/{digest}?tag=other&tag={tag}",
    }
    headers = [header] if way != "first" else [header, ("If-None-Match", "*")]
    target = targets.get(way, targets["tag"])
    answer = await people.registry.client.put(target, content, *headers)
    return answer.status


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    rights=st.sets(st.sampled_from(RIGHTS)),
    tag=st.sampled_from(["latest", "1", "v1.0", "_", "LATEST", "x" * 128]),
    way=st.sampled_from(["tag", "digest", "several", "first"]),
    exists=st.booleans(),
    same=st.booleans(),
)
async def test_A4_every_way_to_a_tag_asks_the_same_rights(
    registry: Registry, rights: set[Action], tag: str, way: str, exists: bool, same: bool
) -> None:
    people = People(registry)
    database = people.resources.database
    if await database.read(accounts.find, "x") is None:
        await people.user("root", admin=True)
        await people.user("x")
        await people.grant("user:x", "some-rights", "team/**")
    await database.write(_set_role, sorted(rights))
    secret = await people.token("user:x", name=f"t{next(_numbers)}")
    root = await people.token("user:root", name=f"t{next(_numbers)}")
    boss = basic("root", root)
    await _reset(people, boss)
    content = encode(image(CONFIG, annotations={"n": str(next(_numbers))}))
    old = content if same else encode(image(CONFIG, annotations={"n": "old"}))
    if exists:
        assert await put_tag(people, old, tag, "tag", boss) == 201
    people.forget()
    answer = await put_tag(people, content, tag, way, basic("x", secret))
    wanted = {Action.PUSH}
    if not (exists and same):
        wanted.add(Action.OVERWRITE if exists else Action.TAG)
    if way == "several":
        wanted.add(Action.TAG)
    if not wanted <= rights:
        # An existing tag under If-None-Match fails its condition first: 412 changes nothing.
        assert answer in ((403, 412) if way == "first" else (403,))
        found = await registry.client.get(f"/v2/team/app/manifests/{tag}", boss)
        assert found.status == (200 if exists else 404)
        assert not exists or found.body == old
    else:
        assert answer == (412 if way == "first" and exists else 201)


_numbers = itertools.count()


async def _set_role(tx: Transaction, actions: list[Action]) -> None:
    await roles.delete(tx, "some-rights")
    await roles.add(tx, "some-rights", actions)


async def _reset(people: People, boss: Field) -> None:
    """The repository is there, with its config and without a tag."""
    client = people.registry.client
    digest = Digest.of(CONFIG)
    answer = await client.post(f"/v2/team/app/blobs/uploads/?digest={digest}", CONFIG, boss)
    assert answer.status == 201
    tags = (await client.get("/v2/team/app/tags/list", boss)).json()["tags"]
    for tag in tags:
        await client.request("DELETE", f"/v2/team/app/manifests/{tag}", headers=[boss])


@on_both_databases
async def test_A4_of_a_hundred_who_make_one_tag_one_does(registry: Registry) -> None:
    people = People(registry)
    secret = await people.user("x")
    await people.resources.database.write(
        roles.add, "creator", sorted({*RIGHTS} - {Action.OVERWRITE})
    )
    await people.grant("user:x", "creator", "team/**")
    mine = basic("x", secret)
    digest = Digest.of(CONFIG)
    await registry.client.post(f"/v2/team/app/blobs/uploads/?digest={digest}", CONFIG, mine)
    images = [encode(image(CONFIG, annotations={"n": str(n)})) for n in range(100)]
    found = await asyncio.gather(
        *(put_tag(people, content, "latest", "tag", mine) for content in images)
    )
    assert sorted(found) == [201] + [403] * 99
    winner = images[found.index(201)]
    assert (await registry.client.get("/v2/team/app/manifests/latest", mine)).body == winner
    # The same content again changes nothing, so it is no overwriting.
    assert await put_tag(people, winner, "latest", "digest", mine) == 201


async def test_A6_nobody_gets_nowhere(people: People) -> None:
    client = people.registry.client
    anonymous = await people.bearer(None, "repository:private/app:pull", "registry:catalog:*")
    parts = {**PARTS, "name": "private/app", "digest": str(DIGEST), "reference": "1"}
    for template, methods in TABLE.items():
        for method in METHODS:
            route = methods.get(method)
            if any(one.action in FREE or one.index for one in methods.values()):
                continue
            target = template.format(**parts) if "{name}" in template else template
            if "{" in target:
                continue
            for headers in ([], [anonymous]):
                answer = await client.request(method, target, None, headers)
                if route is None:
                    assert answer.status == 405
                elif headers and template in ("/v2/", "/v2/_oci/ext/discover"):
                    assert answer.status == 200
                elif headers and template == "/v2/_catalog":
                    assert method == "HEAD" or answer.json() == {"repositories": []}
                else:
                    assert answer.status == 401, (method, target)


async def test_A6_nobody_makes_themselves_an_administrator(people: People, stranger: str) -> None:
    form = (
        f"grant_type=password&username=stranger&password={stranger}&service=kho&is_admin=true"
        "&admin=1&role=admin&scope=repository:private/app:pull,push,delete,*"
    )
    kind = ("Content-Type", "application/x-www-form-urlencoded")
    answer = await people.registry.client.post("/token", form.encode(), kind)
    assert answer.status == 200
    assert answer.json()["scope"] == ""
    mine = bearer(answer.json()["token"])
    found = await people.registry.client.get("/v2/private/app/tags/list", mine)
    assert found.status == 401


@on_both_databases
async def test_A7_what_is_forbidden_looks_like_what_is_absent(
    people: People, stranger: str
) -> None:
    client = people.registry.client
    scopes = ["repository:private/app:pull,push,delete", "repository:absence/app:pull,push,delete"]
    anonymous = await people.bearer(None, *scopes)
    known = await people.bearer(stranger, *scopes)
    for headers in ([], [anonymous], [known], [basic("stranger", stranger)]):
        for route in ROUTES:
            if "{name}" not in route.template or route.audience is not Audience.CLIENTS:
                continue
            seen = []
            for name in ("private/app", "absence/app"):
                parts = {**PARTS, "name": name, "digest": str(DIGEST), "reference": "1"}
                target = route.template.format(**parts)
                body = None if route.method in ("GET", "DELETE") else b""
                answer = await client.request(route.method, target, body, headers)
                seen.append(neutral(answer, name))
            assert seen[0] == seen[1]
            assert seen[0][0] in (401, 403)


async def test_A7_time_does_not_tell_whether_a_repository_is_there(
    people: People, stranger: str
) -> None:
    mine = basic("stranger", stranger)
    client = people.registry.client

    async def there() -> None:
        assert (await client.get("/v2/private/app/manifests/1", mine)).status == 403

    async def not_there() -> None:
        assert (await client.get("/v2/private/apx/manifests/1", mine)).status == 403

    assert await told_apart(there, not_there, 2000) < 0.55


async def test_A7_lists_hold_what_one_may_pull(people: People, stranger: str) -> None:
    client = people.registry.client
    boss = basic("x", await people.user("root", admin=True))
    digest = Digest.of(CONFIG)
    names = ["mine/app", "mine/app/x", "mine", "public", "team/a/x", "team/b/x", "team/b/y"]
    for name in names:
        await client.post(f"/v2/{name}/blobs/uploads/?digest={digest}", CONFIG, boss)
        answer = await client.put(f"/v2/{name}/manifests/1", encode(image(CONFIG)), boss)
        assert answer.status == 201
    await people.publish("public")
    await people.grant("user:stranger", "reader", "team/*/x")
    mine = basic("stranger", stranger)
    wanted = ["mine/app", "mine/app/x", "public", "team/a/x", "team/b/x"]
    assert (await client.get("/v2/_catalog", mine)).json()["repositories"] == wanted
    paged: list[str] = []
    while True:
        after = f"&last={paged[-1]}" if paged else ""
        page = (await client.get(f"/v2/_catalog?n=1{after}", mine)).json()["repositories"]
        if not page:
            break
        paged += page
    assert paged == wanted
    every = (await client.get("/v2/_catalog", boss)).json()["repositories"]
    assert every == sorted([*names, "private/app"], key=lambda name: name.replace("/", "!"))
    anonymous = await people.bearer(None, "registry:catalog:*")
    assert (await client.get("/v2/_catalog", anonymous)).json()["repositories"] == ["public"]


@on_both_databases
async def test_A8_a_deleted_blob_is_not_revived_by_a_look_elsewhere(registry: Registry) -> None:
    for name in ("one", "two"):
        await registry.push_blob(name, LAYER)
    client = registry.client
    assert (await client.delete(f"/v2/one/blobs/{DIGEST}")).status == 202
    assert (await client.head(f"/v2/two/blobs/{DIGEST}")).status == 200
    assert (await client.head(f"/v2/one/blobs/{DIGEST}")).status == 404


@on_both_databases
async def test_A8_who_leaves_a_group_loses_its_rights(people: People, stranger: str) -> None:
    database, client = people.resources.database, people.registry.client
    await database.write(groups.replace, "stranger", "ldap", ["readers", "others"])
    await people.grant("group:readers", "reader", "private/**")
    scope = "repository:private/app:pull"
    old = await people.bearer(stranger, scope)
    target = "/v2/private/app/manifests/1"
    assert (await client.get(target, old)).status == 200
    await database.write(groups.replace, "stranger", "ldap", ["others"])
    async with asyncio.timeout(1.9):  # nobody tells the worker: it finds out within a second
        while (await client.get(target, old)).status == 200:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert (await client.get(target, old)).status == 401
    assert (await client.get(target, await people.bearer(stranger, scope))).status == 401
    assert (await client.get(target, basic("stranger", stranger))).status == 403


@on_both_databases
async def test_B4_a_token_is_a_ceiling_even_over_an_administrator(registry: Registry) -> None:
    people = People(registry)
    await people.user("root", admin=True)
    narrow = await people.token("user:root", ("some/name", "pull"), name="narrow")
    asked = ("repository:some/name:pull,push,delete,*", "repository:other:*")
    answer = await people.ask(
        basic("x", narrow), scope=" ".join(asked), offline_token="true", client_id="docker"
    )
    refresh = answer.json()["refresh_token"]
    form = f"grant_type=refresh_token&refresh_token={refresh}&service=kho&scope={asked[0]}"
    kind = ("Content-Type", "application/x-www-form-urlencoded")
    again = await registry.client.post("/token", form.encode(), kind)
    assert again.json()["scope"] == "repository:some/name:pull"
    ways = [basic("x", narrow), bearer(answer.json()["token"]), bearer(again.json()["token"])]
    for route in ROUTES:
        if "{name}" not in route.template or route.audience is not Audience.CLIENTS:
            continue
        for name, header in itertools.product(("some/name", "other"), ways):
            target = route.template.format(**{**PARTS, "name": name})
            body = None if route.method in ("GET", "DELETE") else b""
            found = await registry.client.request(route.method, target, body, [header])
            may = name == "some/name" and route.action is Action.PULL
            assert (found.status not in (401, 403)) == may, (route_id(route), name)
