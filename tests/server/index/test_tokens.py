"""Tokens of /token: what is signed is what is read, within bounds. Forgeries: tests/attacks."""

import re
import time
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import KeySet

from kho.oci.errors import InvalidRequest, Unauthorized
from kho.oci.scope import Scope, parse_scopes
from kho.server.index.tokens import bearer as tokens
from kho.server.index.tokens import keys
from kho.server.resources import Resources
from tests.flows.databases import on_both_databases
from tests.flows.registry import Registry

ACCESS = parse_scopes(["repository:team/app:pull,push repository:team/base:pull"])


@pytest.fixture
def resources(registry: Registry) -> Resources:
    """What one worker stands on."""
    found = registry.workers[-1].app.resources
    assert found is not None
    return found


@on_both_databases
@pytest.mark.settings(auth__token_seconds=90, auth__service="registry.example")
async def test_a_token_says_what_was_issued(resources: Resources) -> None:
    issued = await tokens.issue(
        resources, subject="robot:ci", source="workload", credential=2**40, access=ACCESS
    )
    claims = await tokens.verify(resources, issued.token)
    assert claims.subject == "robot:ci"
    assert claims.source == "workload"
    assert claims.credential == 2**40
    assert list(claims.access) == ACCESS
    assert issued.expires_in == 90
    began = datetime.fromisoformat(issued.issued_at)
    assert began.timestamp() + 90 == claims.expires_at
    assert abs(time.time() - began.timestamp()) < 10
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", issued.issued_at)


@pytest.mark.settings(http__public_url="https://registry.example")
async def test_another_implementation_reads_our_tokens(resources: Resources) -> None:
    issued = await tokens.issue(
        resources, subject="", source="anonymous", credential=None, access=ACCESS
    )
    document = await keys.jwks(resources)
    theirs = jwt.decode(issued.token, KeySet.import_key_set(document), algorithms=["ES256"])  # type: ignore[arg-type]
    assert theirs.header["typ"] == "JWT"
    assert theirs.claims["iss"] == "https://registry.example"
    assert theirs.claims["aud"] == "kho"
    assert theirs.claims["sub"] == ""
    assert theirs.claims["nbf"] == theirs.claims["iat"]
    assert theirs.claims["access"][0] == {
        "type": "repository",
        "name": "team/app",
        "actions": ["pull", "push"],
    }
    assert (await tokens.verify(resources, issued.token)).subject == ""


async def test_every_token_has_a_name_of_its_own(resources: Resources) -> None:
    found = [
        await tokens.issue(resources, subject="", source="", credential=None, access=())
        for _ in range(20)
    ]
    assert len({one.token for one in found}) == 20


@pytest.mark.parametrize("count", [40, 60, 80, 1000])
async def test_what_does_not_fit_is_not_issued(resources: Resources, count: int) -> None:
    access = [Scope("repository", f"team/app-{n:030}", frozenset({"pull"})) for n in range(count)]
    issuing = tokens.issue(
        resources, subject="user:alice", source="local", credential=None, access=access
    )
    if count <= 60:
        issued = await issuing
        assert len((await tokens.verify(resources, issued.token)).access) == count
        return
    with pytest.raises(InvalidRequest, match="8192") as refused:
        await issuing
    assert refused.value.status == 400


@given(st.text(alphabet="abcdefAZ019-_.=\ud800é{\n", max_size=200))
async def test_no_text_is_an_error(resources: Resources, text: str) -> None:
    with pytest.raises(Unauthorized):
        await tokens.verify(resources, text)


@pytest.mark.settings(auth__service="one")
async def test_a_token_is_for_one_service(resources: Resources, registry: Registry) -> None:
    issued = await tokens.issue(resources, subject="", source="", credential=None, access=())
    other = Registry(registry.folder, registry.config.database_url, {"auth.service": "two"})
    await other.start()
    try:
        found = other.workers[-1].app.resources
        assert found is not None
        with pytest.raises(Unauthorized, match="another service"):
            await tokens.verify(found, issued.token)
    finally:
        await other.stop()
