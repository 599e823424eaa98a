"""1B, B7: what a client says of proxies, schemes and hosts changes nothing but its own URL."""

import re

import pytest

from kho.server.index.people import accounts
from kho.server.index.people.accounts import Change
from tests.flows.api import call
from tests.flows.client import Answer, without_id
from tests.flows.people import People, basic
from tests.flows.registry import Registry

# The client of tests/flows connects from 192.0.2.1.
SPOOFED = [
    ("X-Forwarded-For", "127.0.0.1"),
    ("X-Forwarded-Host", "evil.example"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Port", "1"),
    ("X-Forwarded-Prefix", "/evil"),
    ("X-Forwarded-User", "admin"),
    ("X-Real-IP", "127.0.0.1"),
    ("Forwarded", "for=127.0.0.1;host=evil.example;proto=https"),
    ("X-Original-URL", "/v2/public/tags/list"),
    ("X-Rewrite-URL", "/v2/public/tags/list"),
    ("X-HTTP-Method-Override", "GET"),
    ("X-Client-Subject", "CN=admin"),
]
HOSTS = ["a/", "a?", "a#", "a@b", "evil.example/v2/public", 'a",scope="x', "a\\b", "a b", ""]
PRIVATE = "/v2/private/tags/list"


def named(public_url: str) -> pytest.MarkDecorator:
    return pytest.mark.settings(
        http__public_url=public_url,
        http__trusted_proxies="10.0.0.0/8",
        http__subject_header="X-Client-Subject",
    )


@pytest.fixture
async def people(registry: Registry) -> People:
    """An administrator, and two repositories: one that everybody may pull."""
    people = People(registry)
    await registry.push_image("private", "1")
    await registry.push_image("public", "1")
    await people.publish("public")
    await people.user("admin", admin=True)
    return people


def visible(answer: Answer) -> tuple[int, list[tuple[str, str]], bytes]:
    return answer.status, without_id(answer), answer.body


def realm(answer: Answer) -> str:
    assert answer.status == 401
    return answer["WWW-Authenticate"].split('realm="')[1].split('"')[0]


@named("")
@pytest.mark.parametrize("header", SPOOFED, ids=lambda header: header[0])
@pytest.mark.parametrize("method, path", [("GET", PRIVATE), ("POST", "/v2/public/blobs/uploads/")])
async def test_B7_a_stranger_cannot_play_the_proxy(
    registry: Registry, people: People, header: tuple[str, str], method: str, path: str
) -> None:
    assert people
    host = ("Host", "kho.example")
    plain = await registry.client.request(method, path, headers=[host])
    spoofed = await registry.client.request(method, path, headers=[host, header])
    assert realm(spoofed) == "http://kho.example/token"
    assert visible(spoofed) == visible(plain)


@named("")
@pytest.mark.parametrize("host", HOSTS)
async def test_B7_a_host_that_is_none_reaches_no_url(
    registry: Registry, people: People, host: str
) -> None:
    assert people
    answer = await registry.client.get(PRIVATE, ("Host", host))
    assert realm(answer) == "http://127.0.0.1:5000/token"
    assert (await registry.client.get("/v2/public/tags/list", ("Host", host))).status == 200


@named("https://kho.example")
@pytest.mark.parametrize("host", [*HOSTS, "evil.example"])
async def test_B7_with_a_public_url_nothing_else_is_named(
    registry: Registry, people: People, host: str
) -> None:
    assert people
    answer = await registry.client.get(PRIVATE, ("Host", host), *SPOOFED)
    assert realm(answer) == "https://kho.example/token"
    assert b"evil" not in answer.body


@named("")
async def test_B7_locations_do_not_hold_a_host(registry: Registry, people: People) -> None:
    secret = await people.token("user:admin", name="other")
    for extra in ([], SPOOFED):
        headers = [basic("admin", secret), ("Host", "a@b"), *extra]
        answer = await registry.client.post("/v2/private/blobs/uploads/", b"", *headers)
        assert answer.status == 202
        assert answer["Location"].startswith("/v2/private/blobs/uploads/")


@named("")
async def test_B7_the_subject_of_a_stranger_signs_nobody_in(
    registry: Registry, people: People
) -> None:
    assert people
    header = ("X-Client-Subject", "CN=admin")
    for path in (PRIVATE, "/v2/"):
        assert (await registry.client.get(path, header)).status == 401


@pytest.mark.settings(http__trusted_proxies="192.0.2.0/24", http__subject_header="X-Client-Subject")
async def test_B7_what_works_from_a_trusted_proxy(registry: Registry, people: People) -> None:
    """The other tests could pass where nothing is ever believed."""
    assert people
    told = [("X-Forwarded-Host", "kho.example"), ("X-Forwarded-Proto", "https")]
    assert realm(await registry.client.get(PRIVATE, *told)) == "https://kho.example/token"
    signed = await registry.client.get(PRIVATE, ("X-Client-Subject", "CN=admin"))
    assert signed.status == 200
    for wrong in ("CN=nobody", "CN=admin,CN=admin", "CN=Admin"):
        assert (await registry.client.get(PRIVATE, ("X-Client-Subject", wrong))).status != 200


SUBJECT = ("X-Client-Subject", "CN=admin")
OFF = ("X-Client-Subject", "CN=bob")
UNCLEAR = ("X-Client-Subject", "CN=admin,CN=admin")
SAME_SITE = ("Origin", "http://kho.example")
BELIEVED = pytest.mark.settings(
    http__trusted_proxies="192.0.2.0/24",
    http__subject_header="X-Client-Subject",
    http__public_url="http://kho.example",
)


@named("")
async def test_B7_the_subject_of_a_stranger_counts_nowhere(
    registry: Registry, people: People
) -> None:
    assert people
    for path, status in (("/api/v1/account", 401), ("/private", 303), ("/-/admin", 303)):
        assert (await registry.client.get(path, SUBJECT)).status == status, path
    added = await call(registry.client, "POST", "/groups", SUBJECT, body={"name": "ops"})
    assert added.status == 401


@BELIEVED
async def test_B7_the_subject_of_a_proxy_counts_everywhere(
    registry: Registry, people: People
) -> None:
    await people.user("bob", admin=True)
    await accounts.change(people.resources, "bob", Change(disabled=True), by="operator")
    people.forget()
    account = await registry.client.get("/api/v1/account", SUBJECT)
    assert (account.status, account.json()["name"]) == (200, "admin")
    for path in ("/private", "/-/admin", "/-/account"):
        assert (await registry.client.get(path, SUBJECT)).status == 200, path
    for header in (OFF, UNCLEAR):
        assert (await registry.client.get("/api/v1/account", header)).status == 401
        assert (await registry.client.get("/auth/login", header)).status == 200
        there = await registry.client.get("/-/admin", header)
        assert (there.status, there["Location"]) == (303, "/auth/login?next=%2F-%2Fadmin")


@BELIEVED
async def test_B7_a_certificate_does_not_write_for_other_sites(
    registry: Registry, people: People
) -> None:
    assert people
    foreign = ("Origin", "http://evil.example")
    for header, status in ((foreign, 403), (("Sec-Fetch-Site", "cross-site"), 403)):
        body = {"name": "ops"}
        answer = await call(registry.client, "POST", "/groups", SUBJECT, header, body=body)
        assert answer.status == status, header
    for header in (SAME_SITE, ("User-Agent", "curl")):
        body = {"name": f"ops{len(header[0])}"}
        answer = await call(registry.client, "POST", "/groups", SUBJECT, header, body=body)
        assert answer.status == 201, header
    page = await registry.client.get("/-/admin/groups", SUBJECT)
    token = re.findall(rb'name="token" value="([^"]+)"', page.body)[0].decode()
    cookie = ("Cookie", page["Set-Cookie"].partition(";")[0])
    form = ("Content-Type", "application/x-www-form-urlencoded")
    for given, header, status in (
        ("", SAME_SITE, 403),
        (token, foreign, 403),
        (token, SAME_SITE, 303),
    ):
        fields = f"name=web&token={given}".encode()
        headers = (SUBJECT, header, cookie, form)
        answer = await registry.client.post("/-/admin/groups", fields, *headers)
        assert answer.status == status, (given, header)
