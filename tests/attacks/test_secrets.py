"""W4: what is secret is shown to nobody: not in answers, logs, figures, the trail, or the rows."""

import json
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import closing
from urllib.parse import urlencode

import pytest

from kho.server import telemetry
from kho.server.database.drivers.sqlite_connection import open_file
from kho.server.index import audit
from kho.server.index.people import accounts
from tests.flows.client import Answer
from tests.flows.people import Field, People, basic, bearer
from tests.flows.registry import Registry

# No secret of ours, no word of the protocol: wherever it is seen, a secret was shown.
CANARY = "c4n4ry"
# Keys sign; buckets are named by what was typed as a name, for as long as they hold a drop.
NOT_TOLD = {"signing_keys", "throttles"}
PASSWORD = f"{CANARY} right passwørd"
FORM = "Content-Type", "application/x-www-form-urlencoded"
JWT = ".".join(
    b64encode(json.dumps(part).encode()).decode().rstrip("=")
    for part in ({"alg": "ES256", "kid": "x"}, {"sub": CANARY})
)


@pytest.fixture
async def people(registry: Registry) -> AsyncIterator[People]:
    """Alice has a password and may read one repository; the log tells all that it can."""
    telemetry.configure("debug", "json", access=True)
    await registry.push_image("private/app", "1", b"layer")
    people = People(registry)
    await accounts.add(people.resources, "alice", PASSWORD, by="operator")
    await people.grant("user:alice", "reader", "public/**")
    yield people
    telemetry.configure("info", "json", access=True)


def token_form(**fields: str) -> bytes:
    return urlencode({"service": "kho", "client_id": "test", **fields}).encode()


async def wrong_ways(people: People) -> list[Answer]:
    """Every place in which a secret can come, with one that is wrong."""
    client, wrong = people.registry.client, f"{CANARY}wrong"
    ours = f"khop_{CANARY}{'0' * 32}"
    headers: list[Field] = [
        basic("alice", wrong),
        basic("alice", ours),
        basic("alice", f"{JWT}.{CANARY}"),
        basic(ours, wrong),
        basic("", wrong),
        bearer(ours),
        bearer(f"{JWT}.{CANARY}"),
        bearer(wrong),
        ("Authorization", f"Digest {wrong}"),
        ("Authorization", f"Basic {wrong}"),
        ("Authorization", wrong),
        ("Proxy-Authorization", wrong),
        ("Cookie", f"kho_session={wrong}; khos={ours}"),
        ("X-Registry-Auth", wrong),
    ]
    paths = ("/v2/", "/v2/private/app/manifests/1", "/token?service=kho", "/v2/_catalog", "/")
    answers = [await client.get(path, header) for header in headers for path in paths]
    query = urlencode({"password": wrong, "access_token": ours, "code": wrong, "account": "alice"})
    answers += [await client.get(f"{path.partition('?')[0]}?{query}") for path in paths]
    forms = (
        token_form(grant_type="password", username="alice", password=wrong),
        token_form(grant_type="refresh_token", refresh_token=wrong),
        token_form(grant_type="refresh_token", refresh_token=f"khof_{CANARY}{'0' * 32}"),
        token_form(
            grant_type="urn:ietf:params:oauth:grant-type:token-exchange",
            subject_token=f"{JWT}.{CANARY}",
            subject_token_type="urn:ietf:params:oauth:token-type:id_token",
        ),
        token_form(
            grant_type="urn:ietf:params:oauth:grant-type:device_code", device_code=f"khod_{CANARY}"
        ),
        token_form(client_secret=wrong, assertion=wrong),
    )
    return answers + [await client.post("/token", form, FORM) for form in forms]


async def right_ways(people: People) -> list[str]:
    """Secrets that are good, used in every way; what they are."""
    client = people.registry.client
    personal = await people.token("user:alice", name="laptop")
    secrets = [PASSWORD, personal]
    for password in (PASSWORD, personal):
        form = token_form(
            grant_type="password",
            username="alice",
            password=password,
            access_type="offline",
            scope="repository:private/app:pull repository:public/app:pull",
        )
        issued = (await client.post("/token", form, FORM)).json()
        renewal = token_form(grant_type="refresh_token", refresh_token=issued["refresh_token"])
        renewed = (await client.post("/token", renewal, FORM)).json()
        secrets += [issued["access_token"], issued["refresh_token"], renewed["access_token"]]
        for header in (basic("alice", password), bearer(issued["access_token"])):
            assert (await client.get("/v2/", header)).status == 200
            refused = await client.get("/v2/private/app/manifests/1", header)
            assert refused.status in (401, 403)
    return secrets


def rows(people: People) -> str:
    """All rows but those of NOT_TOLD, as text."""
    path = people.resources.config.database_url.removeprefix("sqlite:///")
    # Not by the interpreter's SQLite: two in one process do not see each other's locks.
    with closing(open_file(path, mode="ro")) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        found = [
            name + repr(connection.execute(f"SELECT * FROM {name}").fetchall())
            for (name,) in names
            if name not in NOT_TOLD
        ]
    return "\n".join(found)


async def test_W4_secrets_are_shown_nowhere(
    people: People, capfd: pytest.CaptureFixture[str]
) -> None:
    answers = await wrong_ways(people)
    secrets = await right_ways(people)
    await audit.flush(people.resources)
    monitor = basic("any", await people.user("monitor", admin=True))
    figures = (await people.registry.client.get("/metrics", monitor)).body.decode()
    assert "kho_http_requests_total" in figures
    told = capfd.readouterr()
    kept = rows(people)
    assert "user:alice" in kept
    assert '"event":"request"' in told.err
    for where in (told.out + told.err, figures, kept):
        assert CANARY not in where
        assert all(secret not in where for secret in secrets)
    for answer in answers:
        assert CANARY not in answer.body.decode() + repr(answer.headers)
