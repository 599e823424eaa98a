"""What is done by HTTP is in the audit trail with who did it, from where, in which request.

Every action of docs/operate/audit.md is caused here, or is named in ELSEWHERE with the reason.
"""

import json
from urllib.parse import quote

import pytest

from kho.oci.digest import Digest
from kho.server.database import audit as trail
from kho.server.database.audit import AuditRow, Filter
from kho.server.index import audit
from kho.server.index.browser import setup
from kho.server.index.sources import passwords
from kho.server.web.api.table import OPERATIONS
from tests.flows.administration import Admin
from tests.flows.api import BODIES, call, signed_in
from tests.flows.browser import Browser
from tests.flows.households import PASSWORD, Household
from tests.flows.people import People, basic, resources_of
from tests.flows.registry import Registry
from tests.house.test_actions import listed
from tests.house.test_routes import PARTS

ELSEWHERE = {
    "audit.dropped": "by the server itself",
    "blob.damaged": "by the server itself",
    "manifest.damaged": "by the server itself",
    "fsck.repair": "by a job, in the name of who asked for it",
    "login": "tests/server/index/test_logins.py: by any request, kept for a minute: no request",
    "workload.login": "tests/flows/test_workloads.py: the same",
    "device.approve": "tests/flows/test_device.py",
}
ADDRESS = "192.0.2.1"
# What could end a line, a field or a cell, or move a terminal.
NASTY = "a\r\nb\"c'd,e;\x1b[31m\x00\u2028\u202e=1+1"


class Root:
    """An administrator's calls of the API, and what the trail says of them."""

    def __init__(self, people: People, password: str, digests: list[Digest]) -> None:
        self.registry, self.people = people.registry, people
        self.one, self.two = digests
        self.header = basic("root", password)
        self.requests: set[str] = set()

    async def ask(self, method: str, path: str, body: object = None) -> int:
        """One call; the number of what was made, if it has one."""
        answer = await call(self.registry.client, method, path, self.header, body=body)
        assert answer.status < 300, (method, path, answer)
        self.requests.add(answer["X-Request-ID"])
        self.people.forget()
        made = answer.json() if answer.body else {}
        return int(made.get("id", 0))

    async def send(self, method: str, path: str) -> None:
        """One request to /v2."""
        answer = await self.registry.client.request(method, path, headers=[self.header])
        assert answer.status < 300, (method, path, answer)
        self.requests.add(answer["X-Request-ID"])


async def events(registry: Registry) -> list[AuditRow]:
    resources = resources_of(registry)
    await audit.flush(resources)
    return await resources.database.read(trail.find, Filter(), 0, 1000)


@pytest.fixture
async def root(registry: Registry) -> Root:
    people = People(registry)
    digests = [await registry.push_image("team/app", tag, tag.encode()) for tag in ("1", "2")]
    people.resources.memory.keep(passwords.Line).cost = passwords.Cost(8, 1)
    await registry.push_image("team/old", "1", b"old")
    password = await people.user("root", admin=True)
    people.forget()
    return Root(people, password, digests)


async def administer(root: Root) -> None:
    """All that administrators do."""
    await root.ask("POST", "/users", {"name": "bob", "password": PASSWORD})
    await root.ask("PATCH", "/users/bob", {"email": "bob@example.com"})
    await root.ask("PUT", "/users/bob/password", {"password": PASSWORD})
    await root.ask("POST", "/groups", {"name": "web"})
    await root.ask("PUT", "/groups/web/members/bob")
    await root.ask("DELETE", "/groups/web/members/bob")
    await root.ask("DELETE", "/groups/web")
    await root.ask("POST", "/roles", {"name": "looker", "actions": ["pull"]})
    grant = {"subject": "user:bob", "role": "looker", "pattern": "team/**"}
    await root.ask("DELETE", f"/grants/{await root.ask('POST', '/grants', grant)}")
    await root.ask("DELETE", "/roles/looker")
    await root.ask("POST", "/robots", {"name": "ci"})
    await root.ask("PATCH", "/robots/ci", {"disabled": True})
    await root.ask("POST", "/tokens", {"owner": "robot:ci", "name": "one"})
    tokens = await call(root.registry.client, "GET", "/tokens?owner=robot:ci", root.header)
    await root.ask("DELETE", f"/tokens/{tokens.json()['items'][0]['id']}")
    preset = {"of": "kubernetes", "account": "team/app"}
    rule = {"name": "pods", "robot": "ci", "issuer": "https://k8s.example.com", "preset": preset}
    await root.ask("POST", "/trust", rule)
    await root.ask("DELETE", "/trust/pods")
    await root.ask("DELETE", "/robots/ci")
    await root.ask("DELETE", "/users/bob")
    await root.ask("POST", "/keys", {})
    check = await root.ask("POST", "/checks", {"quick": True})
    await root.ask("POST", f"/checks/{check}/stop")
    await root.ask("POST", "/index-rebuilds", {"repository": "team/app"})


async def work(root: Root) -> None:
    """What is done to repositories, by the API and by /v2."""
    registry = root.registry
    image = await registry.client.get("/v2/team/app/manifests/1", root.header)
    blob = image.json()["layers"][0]["digest"]
    kind = ("Content-Type", image["Content-Type"])
    pushed = await registry.client.put("/v2/team/app/manifests/3", image.body, root.header, kind)
    assert pushed.status == 201
    root.requests.add(pushed["X-Request-ID"])
    settings = {"public": True, "description": "a description"}
    await root.ask("PATCH", "/repositories/team/app/-/settings", settings)
    await root.ask("PUT", "/repositories/team/app/-/readme", {"text": "# App"})
    await root.ask("DELETE", "/repositories/team/app/-/tags/2")
    await root.ask("PUT", "/repositories/team/app/-/tags/2", {"digest": str(root.two)})
    await root.send("DELETE", "/v2/team/app/manifests/3")
    await root.send("DELETE", f"/v2/team/app/manifests/{root.one}")
    await root.send("DELETE", f"/v2/team/app/blobs/{blob}")
    await root.ask("DELETE", f"/repositories/team/app/-/versions/{root.two}")
    await root.ask("DELETE", "/repositories/team/old")


async def visit(root: Root) -> None:
    """What people do in browsers, and tokens of /token."""
    registry, people = root.registry, root.people
    await people.user("carol")
    carol = await signed_in(people, "carol")
    out = Browser(registry)
    out.cookies["kho"] = carol.secret
    await out.get("/")
    assert (await out.submit("/auth/logout")).status == 303
    issued = await people.ask(root.header, service="kho", scope="")
    assert issued.status == 200
    root.requests.add(issued["X-Request-ID"])
    refused = await call(registry.client, "GET", "/users", basic("carol", "no"))
    assert refused.status == 401
    secret = await people.token("user:carol", name="own")
    people.forget()
    refused = await call(registry.client, "GET", "/users", basic("carol", secret))
    assert refused.status == 403


async def test_all_that_is_done_by_http_says_from_where(root: Root) -> None:
    known = {row.id for row in await events(root.registry)}
    await administer(root)
    await work(root)
    await visit(root)
    rows = [row for row in await events(root.registry) if row.id not in known]
    by_http = [row for row in rows if row.actor not in ("operator", "system")]
    seen = {row.action for row in by_http}
    assert set(listed()) - set(ELSEWHERE) - {"setup.redeem"} - seen == set()
    lacking = [
        (row.action, row.actor, row.address, row.request_id)
        for row in by_http
        if row.address != ADDRESS or not (row.request_id or row.action in ELSEWHERE)
    ]
    assert lacking == []
    # Those of the answers, so that a line of the trail leads to one of the log.
    theirs = {one.request_id for one in by_http if one.actor == "user:root" and one.request_id}
    assert theirs <= root.requests


async def test_deletions_say_what_they_free(root: Root) -> None:
    await work(root)
    freed = {
        row.action: json.loads(row.details or "{}").get("freed")
        for row in await events(root.registry)
        if row.action in ("manifest.delete", "repository.delete")
    }
    assert freed.keys() == {"manifest.delete", "repository.delete"}
    assert all(isinstance(size, int) and size > 0 for size in freed.values()), freed


async def test_the_first_administrator_came_from_somewhere(registry: Registry) -> None:
    resources = resources_of(registry)
    resources.memory.keep(passwords.Line).cost = passwords.Cost(8, 1)
    browser = Browser(registry)
    await browser.get(f"/setup?code={await setup.ensure_link(resources)}")
    made = await browser.submit("/setup", username="first", password=PASSWORD, again=PASSWORD)
    assert made.status == 303
    (row,) = [one for one in await events(registry) if one.action == "setup.redeem"]
    assert (row.actor, row.address) == ("user:first", ADDRESS)
    assert row.request_id == made["X-Request-ID"]


async def test_pages_say_from_where_too(registry: Registry) -> None:
    house = Household(registry)
    root = Admin(house, await house.person("root", admin=True))
    first = {row.id for row in await events(registry)}
    await root.see("")
    await root.send("/groups", name="web")
    await root.send("/groups/web", do="add", user="root")
    await root.send("/roles", name="looker", may_pull="yes")
    await root.send("/grants", subject="group:web", role="looker", pattern="team/**")
    await root.send("/robots", name="ci")
    await root.send("/users", name="bob", password=PASSWORD, again=PASSWORD)
    await root.send("/repositories", name="team/app", do="public")
    browser = root.browser
    await browser.get("/-/account")
    fields = {"old": PASSWORD, "new": "another horse", "again": "another horse"}
    assert (await browser.submit("/-/account/password", **fields)).status == 303
    await browser.get("/-/account/tokens")
    assert (await browser.submit("/-/account/tokens", name="mine")).status == 201
    rows = [one for one in await events(registry) if one.id not in first and one.action != "login"]
    assert {"group.add", "grant.add", "user.password", "token.create"} <= {
        one.action for one in rows
    }
    assert [one for one in rows if (one.address, bool(one.request_id)) != (ADDRESS, True)] == []


def nasty(value: object) -> object:
    """A body with hostile text in all its texts."""
    if isinstance(value, dict):
        return {key: nasty(one) for key, one in value.items()}
    if isinstance(value, list):
        return [nasty(one) for one in value]
    return NASTY if isinstance(value, str) else value


async def test_no_name_or_reason_breaks_a_line(
    root: Root, capfd: pytest.CaptureFixture[str]
) -> None:
    client, header = root.registry.client, root.header
    for one in OPERATIONS:
        parts = {name: quote(NASTY, safe="") for name in PARTS}
        whole = one.path.format(**PARTS)
        for path in {whole, one.path.format(**{**PARTS, **parts})}:
            for body in (BODIES.get(one.id), nasty(BODIES.get(one.id))):
                await call(client, one.method, path, header, body=body)
                root.people.forget()
    name = quote(NASTY, safe="")
    for who in (basic(NASTY.replace(":", ""), NASTY), basic("root", NASTY)):
        await client.get("/v2/", who)
    await client.get(f"/token?service=kho&scope=repository:{name}:pull&account={name}", header)
    await client.put(f"/v2/team/app/manifests/{name}", b"{}", header)
    rows = await events(root.registry)
    assert {"login", "robot.add", "group.add"} <= {row.action for row in rows}
    for row in rows:
        texts = [row.action, row.outcome, row.actor, row.repository, row.target]
        texts += [row.address, row.request_id, row.details]
        assert all(text is None or text.isprintable() for text in texts), row
        assert row.request_id is None or len(row.request_id) == 16
    for line in capfd.readouterr().err.splitlines():
        assert isinstance(json.loads(line), dict), line
        assert line.isascii()
