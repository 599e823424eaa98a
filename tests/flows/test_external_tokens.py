"""A registry whose tokens come from another server: its access counts, and nothing of ours."""

import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest

from kho.server.database.identities import accounts
from tests.flows.registry import Registry
from tests.issuer import make_key, signed

KEY = make_key("ES256")


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    """An external token server whose key is in a JWKS file."""
    jwk = jwt.algorithms.ECAlgorithm.to_jwk(KEY.public_key(), as_dict=True)
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [{**jwk, "kid": "one"}]}))
    return {
        "token.realm": "https://auth.example/token",
        "token.service": "registry.example",
        "token.issuer": "auth.example",
        "token.jwks": str(tmp_path / "keys.json"),
    }


def bearer(*access: tuple[str, str, str], sub: str = "alice", key: Any = KEY) -> tuple[str, str]:
    entries = [{"type": a, "name": b, "actions": c.split(",")} for a, b, c in access]
    claims = {"iss": "auth.example", "aud": "registry.example", "sub": sub, "access": entries}
    times = {"exp": int(time.time()) + 60, "iat": int(time.time())}
    token = signed({"typ": "JWT", "alg": "ES256", "kid": "one"}, {**claims, **times}, key)
    return "Authorization", f"Bearer {token}"


async def test_clients_are_sent_there_and_its_tokens_count(registry: Registry) -> None:
    client = registry.client
    answer = await client.get("/v2/team/app/tags/list")
    assert answer.status == 401
    assert answer["WWW-Authenticate"] == (
        'Bearer realm="https://auth.example/token",service="registry.example",'
        'scope="repository:team/app:pull"'
    )
    both = bearer(("repository", "team/app", "pull,push"))
    assert (await client.get("/v2/", bearer())).status == 200
    assert (await client.post("/v2/team/app/blobs/uploads/", b"", both)).status == 202
    for sub in ("robot:ci", "operator", ""):
        nobody = bearer(("repository", "team/app", "pull,push"), sub=sub)
        assert (await client.post("/v2/team/app/blobs/uploads/", b"", nobody)).status == 202
    pull = bearer(("repository", "team/app", "pull"))
    refused = await client.post("/v2/team/app/blobs/uploads/", b"", pull)
    assert refused.status == 401
    assert 'error="insufficient_scope"' in refused["WWW-Authenticate"]
    assert (await client.post("/v2/other/app/blobs/uploads/", b"", both)).status == 401


async def test_a_strangers_token_and_our_own_are_not_believed(registry: Registry) -> None:
    resources = registry.workers[-1].app.resources
    assert resources is not None
    await resources.database.write(accounts.add, "alice", source="local", admin=True)
    forged = bearer(("repository", "team/app", "pull,push"), key=make_key("ES256"))
    answer = await registry.client.get("/v2/", forged)
    assert answer.status == 401
    assert 'error="invalid_token"' in answer["WWW-Authenticate"]
    assert (await registry.client.get("/token")).status == 404
    # The name of an administrator here is anybody's name there.
    named = bearer(("repository", "team/app", "pull"), sub="user:alice")
    assert (await registry.client.post("/v2/team/app/blobs/uploads/", b"", named)).status == 401


async def test_a_name_that_is_none_of_a_repository_gives_nothing(registry: Registry) -> None:
    strange = [("repository", name, "pull,push") for name in ("Team/App", "**", "host:5000/a", "%")]
    client, uploads = registry.client, "/v2/team/app/blobs/uploads/"
    assert (await client.post(uploads, b"", bearer(*strange))).status == 401
    good = ("repository", "team/app", "pull,push")
    assert (await client.post(uploads, b"", bearer(*strange, good))).status == 202
