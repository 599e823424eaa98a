"""1F: pages of other sites: whatever they send in somebody's browser, nothing happens (W2).

Every row of the URL table that changes something, asked with an administrator's cookies:
    pages      403, and no row is another one          the API    403
    /v2        knows no cookies: 401                   redirects  to paths of ours alone
"""

from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import select

from kho.server.database.engine import Transaction
from kho.server.database.schema import metadata
from kho.server.database.statement import Statement
from kho.server.index.browser import sessions
from kho.server.policy.access import FREE
from kho.server.web.request import Audience
from kho.server.web.routes import ROUTES
from tests.flows.api import HOST, Signed, signed_in
from tests.flows.people import Field, People, basic
from tests.flows.registry import Registry
from tests.house.test_routes import PARTS, route_id

UNSAFE = [route for route in ROUTES if route.method not in ("GET", "HEAD")]
# Nobody needs to be anybody to use them: who asks is in what is sent.
WITHOUT_COOKIES = {"/token", "/auth/device/code"}
# What browsers say of a page that is not ours; one that says nothing is no page at all.
FOREIGN: dict[str, list[Field]] = {
    "another site": [("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site")],
    "an older browser": [("Origin", "https://evil.example")],
    "a sandbox": [("Origin", "null"), ("Sec-Fetch-Site", "cross-site")],
    "another port": [("Origin", "http://127.0.0.1:5001"), ("Sec-Fetch-Site", "same-site")],
    "its own origin as ours": [("Origin", f"http://{HOST}"), ("Sec-Fetch-Site", "cross-site")],
}
# Rows are compared, so no job may change any meanwhile.
pytestmark = pytest.mark.settings(index__files=False)
KINDS = ("application/x-www-form-urlencoded", "text/plain", "application/json")
# Names that lead to 127.0.0.1 when their owner wants it, and names that only this machine has.
REBOUND = (
    "evil.example",
    "evil.example:5000",
    "127.0.0.1.evil.example",
    "a@evil.example",
    "1.2",
    "[evil.example",
    "[evil.example]",
)
OWN = (
    "localhost",
    "LOCALHOST:5000",
    "127.0.0.1:5000",
    "[::1]:5000",
    "kho",
    "a.localhost",
    "b.local",
)
EVIL = (
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example/",
    "\\\\evil.example",
    "///evil.example",
    "/%0d%0aset-cookie:x=y",
    "/\t/evil.example",
    "javascript:alert(1)",
    "http:evil.example",
    "@evil.example",
    ".evil.example",
    "/\r\nLocation: https://evil.example",
)


@pytest.fixture
async def admin(registry: Registry) -> Signed:
    """An administrator's session; there is something of everything to change."""
    await registry.push_image("some/name", "1.0", b"a layer")
    people = People(registry)
    await people.user("root", admin=True)
    await people.user("alice")
    await people.robot("ci")
    people.forget()
    return await signed_in(people, "root")


async def rows(registry: Registry) -> dict[str, Any]:
    """All that is kept, but for what is noted of every visit."""
    app = registry.workers[-1].app
    assert app.resources is not None
    noted = {"audit_events", "throttles", "revisions", "credentials"}

    async def read(tx: Transaction) -> dict[str, Any]:
        found = {}
        for table in metadata.sorted_tables:
            if table.name not in noted:
                found[table.name] = [tuple(row) for row in await tx.all(Statement(select(table)))]
        return found

    return await app.resources.database.read(read)


def form(signed: Signed, **more: str) -> bytes:
    """What our own forms would send; were the token known, it would not help."""
    fields = {"token": sessions.form_token(signed.secret), "do": "remove", "name": "alice"}
    fields |= {"confirm": "alice", "tag": "1.0", "targets": "1.0", "id": "1", "public": "1"}
    return urlencode({**fields, **more}).encode()


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
async def test_W2_a_form_of_another_site_changes_nothing(
    registry: Registry, admin: Signed, headers: list[Field]
) -> None:
    before = await rows(registry)
    for route in UNSAFE:
        if route.audience is not Audience.PEOPLE:
            continue
        for kind in KINDS:
            sent = [("Host", HOST), admin.cookie, ("Content-Type", kind), *headers]
            path = route.template.format(**PARTS)
            answer = await registry.client.request(route.method, path, form(admin), sent)
            assert answer.status == 403, (route_id(route), kind, answer)
            assert not any(line.startswith("kho=") for line in answer.all("set-cookie"))
    assert await rows(registry) == before
    assert await is_signed_in(registry, admin)


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
async def test_W2_a_script_of_another_site_changes_nothing_by_the_api(
    registry: Registry, admin: Signed, headers: list[Field]
) -> None:
    before = await rows(registry)
    token = ("X-Kho-Token", sessions.form_token(admin.secret))
    for route in UNSAFE:
        if route.audience is not Audience.PROGRAMS:
            continue
        path = route.template.format(**PARTS)
        for more in ([*headers, token], headers, [("Sec-Fetch-Site", "same-origin")], []):
            for kind in KINDS:
                sent = [("Host", HOST), admin.cookie, ("Content-Type", kind), *more]
                answer = await registry.client.request(route.method, path, b"{}", sent)
                assert answer.status == 403, (route_id(route), kind, more, answer)
    assert await rows(registry) == before


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
async def test_W2_an_open_registry_has_no_ears_for_other_sites(
    registry: Registry, headers: list[Field]
) -> None:
    await registry.push_image("some/name", "1.0", b"a layer")
    before = await rows(registry)
    for route in UNSAFE:
        if route.template in WITHOUT_COOKIES:
            continue
        path = route.template.format(**PARTS)
        kind = ("Content-Type", KINDS[0] if route.audience is Audience.PEOPLE else KINDS[2])
        sent = [("Host", HOST), kind, *headers]
        answer = await registry.client.request(route.method, path, b"{}", sent)
        assert answer.status == 403, (route_id(route), answer)
    assert await rows(registry) == before


@pytest.mark.parametrize("host", REBOUND)
async def test_W2_an_open_registry_is_nothing_to_a_name_of_another_site(
    registry: Registry, host: str
) -> None:
    # The browser takes it for the site's own: no header but Host says that it is not.
    await registry.push_image("some/name", "1.0", b"a layer")
    before = await rows(registry)
    for route in ROUTES:
        if route.action in FREE or route.audience is Audience.PEOPLE:
            continue
        sent = [("Host", host), ("Origin", f"http://{host}"), ("Content-Type", KINDS[2])]
        path = route.template.format(**PARTS)
        answer = await registry.client.request(route.method, path, b"{}", sent)
        assert answer.status == 403, (route_id(route), answer)
    assert b"some/name" not in (await registry.client.get("/", ("Host", host))).body
    assert await rows(registry) == before


async def test_W2_an_open_registry_knows_its_own_names(registry: Registry) -> None:
    for host in OWN:
        assert (await registry.client.get("/v2/", ("Host", host))).status == 200, host
    assert (await registry.client.get("/v2/")).status == 200


@pytest.mark.settings(http__public_url="https://kho.example")
async def test_W2_an_open_registry_is_called_what_it_was_told(registry: Registry) -> None:
    for host, status in (("kho.example", 200), ("KHO.example:443", 200), ("evil.example", 403)):
        assert (await registry.client.get("/v2/", ("Host", host))).status == status, host


@pytest.mark.settings(auth__open="true")
async def test_W2_a_registry_that_is_open_to_a_network_has_any_name(registry: Registry) -> None:
    assert (await registry.client.get("/v2/", ("Host", "kho.example"))).status == 200


async def test_W2_credentials_that_a_browser_has_kept_are_of_no_use(registry: Registry) -> None:
    people = People(registry)
    kept = basic("root", await people.user("root", admin=True))
    people.forget()
    for headers, status in ((FOREIGN["another site"], 403), ([], 201)):
        sent = [("Host", HOST), kept, ("Content-Type", KINDS[2]), *headers]
        answer = await registry.client.request("POST", "/api/v1/groups", b'{"name":"ops"}', sent)
        assert answer.status == status, answer


async def test_W2_clients_know_no_cookies(registry: Registry, admin: Signed) -> None:
    before = await rows(registry)
    for route in ROUTES:
        if route.audience is Audience.CLIENTS and route.template.startswith("/v2/"):
            answer = await registry.client.request(
                route.method, route.template.format(**PARTS), b"", [("Host", HOST), admin.cookie]
            )
            assert answer.status == 401, route_id(route)
    assert await rows(registry) == before


def test_W2_every_unsafe_row_is_asked_above() -> None:
    rest = [one for one in UNSAFE if one.audience is Audience.CLIENTS]
    other = {one.template for one in rest if not one.template.startswith("/v2/")}
    assert other == WITHOUT_COOKIES


@pytest.mark.parametrize("evil", EVIL)
async def test_W2_redirects_stay_here(registry: Registry, admin: Signed, evil: str) -> None:
    own = [("Host", HOST), admin.cookie, ("Origin", f"http://{HOST}")]
    kind = ("Content-Type", KINDS[0])
    query = urlencode({"next": evil, "back": evil, "done": evil, "path": evil})
    seen = 0
    for route in ROUTES:
        if route.audience is not Audience.PEOPLE:
            continue
        path = route.template.format(**PARTS)
        body = None
        if route.method == "POST":
            body = form(admin, next=evil, back=evil, language="vi")
        if path == "/auth/logout":
            continue
        answer = await registry.client.request(route.method, f"{path}?{query}", body, [*own, kind])
        assert answer.status < 500, (route_id(route), answer)
        for location in answer.all("location"):
            seen += 1
            assert location.startswith("/"), route_id(route)
            assert not location.startswith(("//", "/\\")), route_id(route)
        assert not any("x=y" in line for line in answer.all("set-cookie"))
    assert seen >= 2


async def test_W2_cookies_go_with_no_request_of_another_site(registry: Registry) -> None:
    sent = [("Host", HOST), ("Origin", f"http://{HOST}")]
    answer = await registry.client.get("/auth/login", *sent)
    lines = answer.all("set-cookie")
    assert lines
    for line in lines:
        assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= {one.strip() for one in line.split(";")}


async def is_signed_in(registry: Registry, signed: Signed) -> bool:
    """Whether the session goes on."""
    answer = await registry.client.get("/auth/session", ("Host", HOST), signed.cookie)
    return answer.json()["user"] is not None
