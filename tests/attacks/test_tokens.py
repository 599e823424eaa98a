"""1B: forged tokens: keys that they bring along (B1), every single mutation (B2)."""

import asyncio
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from kho.oci.errors import Unauthorized
from kho.server.database.identities import accounts
from kho.server.index.tokens import bearer as tokens
from kho.server.index.tokens import keys
from kho.server.resources import Resources
from tests.attacks.forge import ABSENT, forge
from tests.attacks.forgeries import forgeries, kids, own_keys
from tests.flows.client import Answer
from tests.flows.databases import on_both_databases
from tests.flows.registry import Registry

URL = "https://registry.example"


@pytest.fixture
def resources(registry: Registry) -> Resources:
    """What one worker stands on."""
    found = registry.workers[-1].app.resources
    assert found is not None
    return found


async def believed(resources: Resources, token: str) -> bool:
    """Whether the token is taken; only one kind of error says no."""
    refusal = ""
    try:
        await tokens.verify(resources, token)
    except Unauthorized as error:
        refusal = error.message
    assert refusal == "" or (refusal.isprintable() and len(refusal) < 200)
    return refusal == ""


async def believed_by_another(resources: Resources, token: str) -> bool:
    """Whether another implementation takes it, with the keys that we publish."""
    published = KeySet.import_key_set(await keys.jwks(resources))  # type: ignore[arg-type]
    needed: jwt.ClaimsOption = {"essential": True}
    config = resources.config
    rules = jwt.JWTClaimsRegistry(
        leeway=60,
        iss={"essential": True, "value": tokens.issuer_of(config)},
        aud={"essential": True, "value": config.auth.service},
        sub={"essential": True, "allow_blank": True},
        jti=needed,
        nbf=needed,
        iat=needed,
        exp=needed,
    )
    try:
        rules.validate(jwt.decode(token, published, algorithms=["ES256"]).claims)
    except (JoseError, ValueError, TypeError, RecursionError, AttributeError):
        return False
    return True


@on_both_databases
async def test_B1_no_token_brings_its_key_along(resources: Resources) -> None:
    visits = []

    async def visited(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits.append(1)
        writer.close()

    async with await asyncio.start_server(visited, "127.0.0.1", 0) as canary:
        port = canary.sockets[0].getsockname()[1]
        made = await forge(resources, url=f"http://127.0.0.1:{port}/keys")
        assert await believed(resources, made.right())  # what follows differs in one thing each
        forged = [*own_keys(made), *kids(made)]
        assert len(forged) > 40
        taken = [name for name, token in forged if await believed(resources, token)]
        await asyncio.sleep(0.05)
    assert taken == []
    assert visits == []


async def test_B1_a_header_that_brings_its_key_changes_nothing_about_ours(
    resources: Resources,
) -> None:
    made = await forge(resources)
    header = made.header(jku=made.url, x5u=made.url, jwk={"kty": "oct", "k": "AAAA"})
    assert await believed(resources, made.token(header, made.claims(), made.trusted))
    assert not await believed(resources, made.token(header, made.claims(), made.foreign))


@on_both_databases
@pytest.mark.settings(http__public_url=URL)
async def test_B2_no_mutation_of_a_right_token_is_believed(resources: Resources) -> None:
    forged = await forgeries(resources)
    made = await forge(resources)
    assert len(forged) > 200
    assert len({token for _, token in forged}) == len(forged)
    assert [name for name, token in forged if not re.fullmatch(r"[!-~]([ -~]*[!-~])?", token)] == []
    assert [name for name, token in forged if await believed(resources, token)] == []
    assert await believed(resources, made.right())


async def test_B2_a_forged_token_is_answered_as_one(
    registry: Registry, resources: Resources
) -> None:
    await resources.database.write(accounts.add, "alice", source="local")
    made = await forge(resources)

    async def answer(token: str) -> Answer:
        return await registry.client.get("/v2/", ("Authorization", f"Bearer {token}"))

    assert (await answer(made.right())).status == 200
    for name, token in await forgeries(resources):
        refused = await answer(token)
        assert (refused.status, refused.codes) == (401, ["UNAUTHORIZED"]), name
        assert refused["WWW-Authenticate"].endswith(',error="invalid_token"'), name


@pytest.mark.settings(http__public_url=URL)
async def test_B2_what_is_believed_another_verifier_believes_too(resources: Resources) -> None:
    made = await forge(resources)
    now = int(time.time())
    for token in (
        made.right(),
        made.right(sub=""),
        made.right(access=[]),
        made.right(exp=now - 30),
        made.right(nbf=now + 30, iat=now + 30),
        made.right(kho={"source": "ldap", "credential": 7}, more={"claims": [1, 2.5, None]}),
        made.token(made.header(typ=ABSENT), made.claims(), made.trusted),
        await issued(resources),
    ):
        assert await believed(resources, token)
        assert await believed_by_another(resources, token)


async def issued(resources: Resources) -> str:
    """A token as /token hands it out."""
    one = await tokens.issue(resources, subject="user:a", source="x", credential=None, access=())
    return one.token


@given(st.integers(0, 10_000), st.sampled_from("ABCDabcdyz0189-_.=+/ \n\0"), st.integers(0, 2))
async def test_B2_no_changed_character_is_believed(
    resources: Resources, at: int, other: str, length: int
) -> None:
    token = await issued(resources)
    at %= len(token) + 1
    changed = token[:at] + other + token[at + length :]
    if changed != token:
        assert not await believed(resources, changed)
    else:
        assert await believed_by_another(resources, changed)


@pytest.mark.parametrize("seconds, expected", [(-50, True), (-70, False)])
async def test_B2_the_leeway_is_a_minute_at_most(
    resources: Resources, seconds: int, expected: bool
) -> None:
    made = await forge(resources)
    now = int(time.time())
    assert await believed(resources, made.right(exp=now + seconds)) is expected
    assert await believed(resources, made.right(nbf=now - seconds)) is expected
    assert await believed(resources, made.right(iat=now - seconds)) is expected


async def test_B2_a_key_that_is_gone_is_believed_no_more(resources: Resources) -> None:
    made = await forge(resources)
    assert await believed(resources, made.right())
    await keys.rotate(resources, overlap=False)
    assert not await believed(resources, made.right())
