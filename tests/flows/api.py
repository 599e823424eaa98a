"""Calls of the JSON API in tests, and a browser's session without its pages."""

import json
from dataclasses import dataclass
from typing import Any

from kho.server.index.browser import sessions
from kho.server.index.browser.sessions import From
from kho.server.policy.identity import Identity
from kho.server.web.api.operation import Operation
from tests.flows.client import Answer, Client
from tests.flows.people import Field, People
from tests.house.test_routes import PARTS

HOST = "127.0.0.1:5000"
JSON = ("Content-Type", "application/json")
# What a body needs, for operations that would refuse an empty one.
BODIES: dict[str, dict[str, Any]] = {
    "addUser": {"name": "carol", "password": "a long password"},
    "changeUser": {"email": "alice@example.com"},
    "setUserPassword": {"password": "another password"},
    "addGroup": {"name": "ops"},
    "addRole": {"name": "pusher", "actions": ["push"]},
    "addGrant": {"subject": "everyone", "role": "reader", "pattern": "open/**"},
    "addRobot": {"name": "builder"},
    "changeRobot": {"disabled": False},
    "addToken": {"owner": "robot:ci", "name": "one"},
    "addTrustRule": {"name": "pods", "robot": "ci", "issuer": "https://k8s.example.com"},
    "tryToken": {"token": "x.y.z"},
    "changePassword": {"old": "wrong", "new": "a new password"},
    "addOwnToken": {"name": "mine"},
    "changeSettings": {"public": False},
    "writeReadme": {"text": "# Hello"},
    "showDeletionImpact": {"tags": [{"tag": "1.0"}]},
    "deleteMany": {"tags": [{"tag": "1.0"}]},
    "pointTag": {"digest": PARTS["digest"]},
    "startCheck": {"quick": True},
}


@dataclass(frozen=True)
class Signed:
    """A browser's cookie, and the token that its pages carry."""

    secret: str

    @property
    def cookie(self) -> Field:
        """Of the session."""
        return "Cookie", f"kho={self.secret}"

    def headers(self, **instead: str) -> list[Field]:
        """What a script of our own page sends; `origin` and `token` in place of the right ones."""
        return [
            ("Host", HOST),
            self.cookie,
            ("Origin", instead.get("origin", f"http://{HOST}")),
            ("X-Kho-Token", instead.get("token", sessions.form_token(self.secret))),
        ]


async def signed_in(people: People, name: str) -> Signed:
    """A session of a user."""
    origin = From("192.0.2.1", "request-1", "Browser/1.0")
    identity = Identity(f"user:{name}", "local")
    return Signed(await sessions.begin(people.resources, identity, origin))


async def call(
    client: Client, method: str, path: str, *headers: Field, body: object = None
) -> Answer:
    """One call, of a path below /api/v1."""
    raw = None if body is None else json.dumps(body).encode()
    more = [] if body is None else [JSON]
    return await client.request(method, f"/api/v1{path}", raw, [*headers, *more])


async def ask(client: Client, one: Operation, *headers: Field, **parts: str) -> Answer:
    """An operation with all that it needs."""
    path = one.path.format(**{**PARTS, **parts})
    query = QUERIES.get(one.id, "")
    return await call(client, one.method, path + query, *headers, body=BODIES.get(one.id))


QUERIES = {
    "explainAccess": "?subject=anonymous&action=pull&repository=some/name",
    "compareImages": "?a=1.0&b=2.0",
    "compareFiles": "?a=1.0&b=2.0",
    "findFiles": "?text=sh",
    "readFile": "?path=etc/passwd",
}
