"""The token server as clients use it (sections 7 and 8 of the protocol notes)."""

from urllib.parse import urlencode

import jwt
import pytest

from kho.server.database.identities import accounts
from tests.flows.client import Answer
from tests.flows.databases import on_both_databases
from tests.flows.people import Field, People, basic, bearer
from tests.flows.registry import Registry

FORM = ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
PULL = "repository:team/app:pull"
BOTH = "repository:team/app:pull,push"


def access(answer: Answer) -> dict[str, list[str]]:
    """What a token says it is for."""
    claims = jwt.decode(answer.json()["token"], options={"verify_signature": False})
    return {entry["name"]: entry["actions"] for entry in claims["access"]}


async def post(registry: Registry, *headers: Field, **form: object) -> Answer:
    """POST /token; a list of values repeats the field."""
    fields = {"service": "kho", **form}
    body = urlencode(fields, doseq=True).encode()
    return await registry.client.post("/token", body, *(headers or (FORM,)))


@pytest.fixture
async def people(registry: Registry) -> People:
    """A reader and a writer of team/**, and an administrator."""
    people = People(registry)
    await people.user("root", admin=True)
    for name, role in (("reader", "reader"), ("writer", "writer")):
        await people.user(name)
        await people.grant(f"user:{name}", role, "team/**")
    return people


@pytest.fixture
async def writer(people: People) -> str:
    """The writer's password."""
    return await people.token("user:writer", name="writer")


async def test_the_challenge_leads_to_a_token_that_opens_the_door(
    registry: Registry, people: People, writer: str
) -> None:
    asked = await registry.client.get("/v2/team/app/tags/list", ("Host", "kho.test:5000"))
    assert asked.status == 401
    assert asked.codes == ["UNAUTHORIZED"]
    assert asked["WWW-Authenticate"] == (
        'Bearer realm="http://kho.test:5000/token",service="kho",scope="repository:team/app:pull"'
    )
    detail = asked.json()["errors"][0]["detail"]
    assert detail == [{"Type": "repository", "Class": "", "Name": "team/app", "Action": "pull"}]
    given = await people.ask(basic("writer", writer), service="kho", scope=PULL)
    assert given.status == 200
    assert given["Cache-Control"] == "no-store"
    body = given.json()
    assert body["token"] == body["access_token"]
    assert body["expires_in"] == 300
    assert body["issued_at"].endswith("Z")
    assert "refresh_token" not in body
    found = await registry.client.get("/v2/team/app/tags/list", bearer(body["token"]))
    assert found.codes == ["NAME_UNKNOWN"]


@pytest.mark.parametrize(
    "method, target, scope",
    [
        ("GET", "/v2/", ""),
        ("GET", "/v2/_catalog", "registry:catalog:*"),
        ("HEAD", "/v2/a/b/manifests/1", "repository:a/b:pull"),
        ("PUT", "/v2/a/b/manifests/1", "repository:a/b:pull,push"),
        ("DELETE", "/v2/a/b/manifests/1", "repository:a/b:delete"),
        ("POST", "/v2/a/b/blobs/uploads/", "repository:a/b:pull,push"),
        (
            "POST",
            "/v2/a/b/blobs/uploads/?mount=sha256:0&from=c/d",
            "repository:a/b:pull,push repository:c/d:pull",
        ),
        ("POST", '/v2/a/b/blobs/uploads/?from=x",y', "repository:a/b:pull,push"),
    ],
)
async def test_what_each_challenge_asks_for(
    people: People, method: str, target: str, scope: str
) -> None:
    client = people.registry.client
    base = 'Bearer realm="http://127.0.0.1:5000/token",service="kho"'
    scoped = f'{base},scope="{scope}"' if scope else base
    host = ("Host", "127.0.0.1:5000")
    for value in (None, "Bearer ", "Bearer", "Negotiate x"):
        headers = [host] if value is None else [host, ("Authorization", value)]
        answer = await client.request(method, target, None, headers)
        assert (answer.status, answer["WWW-Authenticate"]) == (401, scoped)
    answer = await client.request(method, target, None, [host, bearer("x.y.z")])
    assert answer["WWW-Authenticate"] == scoped + ',error="invalid_token"'
    if scope:
        answer = await client.request(method, target, None, [host, await people.bearer(None)])
        assert answer["WWW-Authenticate"] == scoped + ',error="insufficient_scope"'


async def test_grants_are_intersections(people: People, writer: str) -> None:
    root = basic("root", await people.token("user:root", name="2"))
    mine = basic("writer", writer)
    cases = {
        "": {},
        PULL: {"team/app": ["pull"]},
        "repository:team/app:push,pull,fly": {"team/app": ["pull", "push"]},
        "repository(plugin):team/app:pull": {"team/app": ["pull"]},
        "repository:team/app:*": {"team/app": ["pull", "push"]},
        "repository:team/app:delete": {},
        "repository:other:pull,push": {},
        f"{BOTH} repository:other:pull repository:team/b:pull": {
            "team/app": ["pull", "push"],
            "team/b": ["pull"],
        },
        "registry:catalog:*": {"catalog": ["*"]},
        "registry:catalog:search": {"catalog": ["search"]},
        "repository:Bad/NAME:pull": {},
        "repository:team/*:pull": {},
        "nonsense": {},
        "repository:team/app": {},
    }
    for scope, wanted in cases.items():
        found = access(await people.ask(mine, scope=scope, service="kho"))
        assert found == wanted, scope
    everything = access(await people.ask(root, scope="repository:x:*"))
    assert everything == {"x": ["pull", "push", "delete", "*"]}


async def test_scopes_may_be_repeated_or_divided_by_spaces(people: People, writer: str) -> None:
    mine = basic("writer", writer)
    query = "scope=repository:team/a:pull&scope=repository:team/b:pull%20repository:team/a:push"
    answer = await people.registry.client.get(f"/token?{query}", mine)
    assert access(answer) == {"team/a": ["pull", "push"], "team/b": ["pull"]}
    answer = await post(
        people.registry,
        grant_type="password",
        username="writer",
        password=writer,
        scope=["repository:team/a:pull", "repository:team/b:pull repository:team/a:push"],
    )
    assert answer.json()["scope"] == "repository:team/a:pull,push repository:team/b:pull"
    many = "&".join(f"scope=repository:a{n}:pull" for n in range(65))
    assert (await people.registry.client.get(f"/token?{many}", mine)).status == 400


async def test_wrong_credentials_never_become_an_anonymous_token(people: People) -> None:
    client = people.registry.client
    for header in (
        basic("writer", "wrong"),
        basic("nobody", "wrong"),
        ("Authorization", "Basic !!!"),
        ("Authorization", "Basic bm9jb2xvbg=="),
    ):
        answer = await client.get(f"/token?service=kho&scope={PULL}", header)
        assert answer.status == 401
        assert answer.codes == ["UNAUTHORIZED"]
        assert answer["WWW-Authenticate"] == 'Basic realm="kho"'


@pytest.mark.parametrize("service", ["other", "KHO", "kho "])
async def test_an_unknown_service_is_refused(people: People, service: str) -> None:
    answer = await people.ask(service=service.replace(" ", "%20"))
    assert answer.status == 400
    assert "allowed is kho" in answer.body.decode()


async def test_anonymous_tokens_read_what_is_public(registry: Registry) -> None:
    await registry.push_image("free/app", "1")
    people = People(registry)
    await people.user("someone")
    await people.publish("free/app")
    scope = "repository:free/app:pull,push,delete"
    answer = await people.ask(scope=scope, service="kho")
    assert access(answer) == {"free/app": ["pull"]}
    token = bearer(answer.json()["token"])
    client = registry.client
    target = "/v2/free/app/manifests/1"
    assert (await client.get(target, token)).status == 200
    assert (await client.get("/v2/", token)).status == 200
    assert (await client.get(target)).status == 200  # no token is needed at all
    refused = await client.request("DELETE", target, None, [token])
    assert refused.status == 401
    assert 'error="insufficient_scope"' in refused["WWW-Authenticate"]


@on_both_databases
async def test_docker_login_keeps_a_refresh_token(
    registry: Registry, people: People, writer: str
) -> None:
    login = await people.ask(
        basic("writer", writer),
        service="kho",
        client_id="docker",
        offline_token="true",
        account="writer",
    )
    refresh = login.json()["refresh_token"]
    assert refresh.startswith("khof_")
    answer = await post(
        registry, grant_type="refresh_token", refresh_token=refresh, client_id="docker", scope=BOTH
    )
    body = answer.json()
    assert answer.status == 200
    assert body["refresh_token"] == refresh
    assert body["scope"] == BOTH
    assert body["token"] == body["access_token"]
    opened = await registry.client.post(
        "/v2/team/app/blobs/uploads/", b"", bearer(body["access_token"])
    )
    assert opened.status == 202
    # It is no password.
    assert (await people.ask(basic("writer", refresh))).status == 401
    await people.resources.database.write(accounts.set_disabled, "writer", True)
    people.forget()
    gone = await post(registry, grant_type="refresh_token", refresh_token=refresh, scope=BOTH)
    assert gone.status == 401
    assert gone.json()["error"] == "invalid_grant"
    assert gone.codes == ["UNAUTHORIZED"]


async def test_the_password_grant_of_containerd(registry: Registry, writer: str) -> None:
    form = {"grant_type": "password", "client_id": "containerd-client", "username": "writer"}
    answer = await post(registry, **form, password=writer, scope=BOTH, access_type="offline")
    assert answer.status == 200
    assert answer.json()["refresh_token"].startswith("khof_")
    wrong = await post(registry, **form, password="wrong", scope=BOTH)
    assert wrong.status == 401
    assert wrong.json()["error"] == "invalid_grant"


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(
    "form, error",
    [
        ({}, "unsupported_grant_type"),
        ({"grant_type": "implicit"}, "unsupported_grant_type"),
        ({"grant_type": "password", "username": "x"}, "invalid_request"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"grant_type": "password", "service": "other"}, "invalid_request"),
        (
            {
                "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
                "subject_token": "neither",
            },
            "invalid_request",
        ),
    ],
)
async def test_forms_that_make_no_sense(
    registry: Registry, form: dict[str, str], error: str
) -> None:
    answer = await post(registry, **form)
    assert answer.status == 400
    assert answer.json()["error"] == error
    assert answer.codes


@pytest.mark.usefixtures("people")
async def test_forms_are_forms_and_bounded(registry: Registry) -> None:
    json_type = ("Content-Type", "application/json")
    assert (await post(registry, json_type, grant_type="password")).status == 400
    large = await post(registry, grant_type="password", username="x" * 70_000)
    assert large.status == 400
    for body in (b"grant_type=%FF", b"a=1&" * 300):
        answer = await registry.client.post("/token", body, FORM)
        assert answer.status == 400


async def test_an_access_token_can_be_exchanged(registry: Registry, writer: str) -> None:
    answer = await post(
        registry,
        grant_type="urn:ietf:params:oauth:grant-type:token-exchange",
        subject_token=writer,
        subject_token_type="urn:ietf:params:oauth:token-type:access_token",
        scope=BOTH,
    )
    body = answer.json()
    assert answer.status == 200
    assert body["issued_token_type"] == "urn:ietf:params:oauth:token-type:access_token"
    assert body["token_type"] == "Bearer"
    assert body["scope"] == BOTH


async def test_the_keys_are_published(registry: Registry, people: People, writer: str) -> None:
    answer = await people.ask(basic("writer", writer), scope=PULL, service="kho")
    keys = jwt.PyJWKSet.from_dict((await registry.client.get("/token/jwks.json")).json())
    token = answer.json()["token"]
    kid = jwt.get_unverified_header(token)["kid"]
    (key,) = [one for one in keys.keys if one.key_id == kid]
    claims = jwt.decode(token, key, algorithms=["ES256"], audience="kho")
    assert claims["sub"] == "user:writer"


@pytest.mark.settings(auth__challenge="basic", auth__realm="The Store")
async def test_basic_as_registry_2_does_it(registry: Registry, writer: str) -> None:
    client = registry.client
    answer = await client.get("/v2/")
    assert answer["WWW-Authenticate"] == 'Basic realm="The Store"'
    mine = basic("writer", writer)
    assert (await client.get("/v2/", mine)).status == 200
    assert (await client.post("/v2/team/app/blobs/uploads/", b"", mine)).status == 202
    assert (await client.post("/v2/other/blobs/uploads/", b"", mine)).status == 403
    assert (await client.get("/v2/", basic("writer", "wrong"))).status == 401


@pytest.mark.usefixtures("people")
@pytest.mark.settings(http__public_url="https://kho.example")
async def test_the_realm_is_what_clients_call_the_registry(registry: Registry) -> None:
    answer = await registry.client.get("/v2/", ("Host", "evil.example"))
    assert answer["WWW-Authenticate"].startswith('Bearer realm="https://kho.example/token"')
