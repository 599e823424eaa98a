"""Forged tokens of workloads, and issuers that are down, slow, huge or lead elsewhere (B3)."""

import asyncio
import dataclasses
import json
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import jwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kho.oci.errors import Unauthorized, Unavailable
from kho.server.database.engine import Database
from kho.server.database.identities import issuer_keys, robots
from kho.server.database.open import open_database
from kho.server.index.workloads import issuers, trust, workload
from kho.server.policy.trust import Rule
from kho.server.policy.trust_presets import github
from kho.server.resources import Memory, Resources
from tests.flows.databases import on_both_databases
from tests.flows.registry import Registry
from tests.issuer import AUDIENCE, Issuer, github_claims, make_key, part, signed

CONDITIONS = github("octo/app", repository_id="74", branches=["main"])
HOUR_MS = 3_600_000


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with Issuer() as running:
        yield running


@pytest.fixture
async def resources(registry: Registry, issuer: Issuer) -> Resources:
    """A worker with a memory of its own, and a rule that trusts the issuer."""
    found = registry.workers[-1].app.resources
    assert found is not None
    await found.database.write(robots.add, "ci", "")
    own = dataclasses.replace(found, memory=Memory())
    await trust.add(own, Rule("ci", issuer.url, AUDIENCE, CONDITIONS, "ci"), "operator")
    return own


@asynccontextmanager
async def another_worker(resources: Resources) -> AsyncIterator[Resources]:
    """The same database, opened as another process would."""
    database = await open_database(resources.config.database_url)
    yield Resources(resources.config, database, resources.storage)
    await database.close()


async def outcome(resources: Resources, token: str) -> str:
    try:
        return (await workload.identify(resources, token)).subject
    except Unauthorized:
        return "refused"
    except Unavailable:
        return "unavailable"


def good(issuer: Issuer, **header: object) -> str:
    return issuer.token(github_claims(issuer.url), **header)


async def passed(database: Database, issuer: Issuer, milliseconds: int) -> None:
    """Let time pass for what the database knows of the issuer."""
    await database.write(_age, issuer.url, milliseconds)


async def _age(tx: object, issuer: str, milliseconds: int) -> None:
    from sqlalchemy import BigInteger, bindparam, update  # noqa: PLC0415

    from kho.server.database.engine import Statement, Transaction  # noqa: PLC0415
    from kho.server.database.schema import issuer_keys as table  # noqa: PLC0415

    by = bindparam("by", type_=BigInteger())
    older = update(table).where(table.c.issuer == bindparam("of"))
    times = {name: table.c[name] - by for name in ("attempted_at", "fetched_at")}
    transaction: Transaction = tx  # type: ignore[assignment]
    await transaction.run(Statement(older.values(**times)), of=issuer, by=milliseconds)


@on_both_databases
async def test_B3_a_thousand_unknown_keys_cost_one_fetch_for_all_workers(
    resources: Resources, issuer: Issuer
) -> None:
    assert await outcome(resources, good(issuer)) == "robot:ci"
    assert issuer.fetches == 1
    await passed(resources.database, issuer, issuers.WAIT_MS)
    claims = github_claims(issuer.url)
    tokens = [issuer.token(claims, kid=secrets.token_hex(8)) for _ in range(1000)]
    async with another_worker(resources) as other:
        found = await asyncio.gather(
            *(outcome(resources, one) for one in tokens[:500]),
            *(outcome(other, one) for one in tokens[500:]),
        )
        assert set(found) == {"refused"}
        assert issuer.fetches == 2
        assert {await outcome(other, one) for one in tokens[:20]} == {"refused"}
        assert await outcome(other, good(issuer)) == "robot:ci"
    assert issuer.fetches == 2


async def test_B3_two_workers_that_begin_at_once_ask_once(
    resources: Resources, issuer: Issuer
) -> None:
    async with another_worker(resources) as other:
        both = await asyncio.gather(outcome(resources, good(issuer)), outcome(other, good(issuer)))
    assert set(both) == {"robot:ci"}
    assert issuer.fetches == 1


async def test_B3_a_token_of_no_trusted_issuer_costs_no_fetch(
    resources: Resources, issuer: Issuer
) -> None:
    async with Issuer() as stranger:
        assert await outcome(resources, stranger.token(github_claims(stranger.url))) == "refused"
        assert stranger.asked == []
    assert issuer.asked == []


async def test_B3_a_token_is_bounded(resources: Resources, issuer: Issuer) -> None:
    long = issuer.token({**github_claims(issuer.url), "more": "x" * 16384})
    assert len(long) > workload.MOST_CHARACTERS
    assert workload.looks_like(long)  # never tried as a password
    assert await outcome(resources, long) == "refused"
    usual = issuer.token({**github_claims(issuer.url), "more": "x" * 8000})
    assert await outcome(resources, usual) == "robot:ci"


async def test_B3_a_new_key_of_the_issuer_is_found(resources: Resources, issuer: Issuer) -> None:
    assert await outcome(resources, good(issuer)) == "robot:ci"
    issuer.rotate("key-2")
    assert await outcome(resources, good(issuer)) == "refused"  # asked less than a minute ago
    await passed(resources.database, issuer, issuers.WAIT_MS)
    assert await outcome(resources, good(issuer)) == "robot:ci"
    assert issuer.fetches == 2


async def test_B3_a_key_that_the_issuer_withdrew_is_dropped_within_the_hour(
    resources: Resources, issuer: Issuer
) -> None:
    old = good(issuer)
    assert await outcome(resources, old) == "robot:ci"
    issuer.rotate("key-2")
    await passed(resources.database, issuer, HOUR_MS + 1)
    assert await outcome(resources, old) == "robot:ci"  # this one is served while it asks
    for _ in range(250):
        if await outcome(resources, old) == "refused":
            return
        await asyncio.sleep(0.02)
    pytest.fail("the old key is still believed")


@pytest.mark.parametrize("misbehave", ["stop", "error", "slow", "text", "huge", "stranger"])
async def test_B3_keys_serve_for_a_day_while_the_issuer_cannot_be_reached(
    resources: Resources, issuer: Issuer, misbehave: str
) -> None:
    token = good(issuer)
    assert await outcome(resources, token) == "robot:ci"
    issuer.misbehave = misbehave
    if misbehave == "stop":
        await issuer.stop()
    await passed(resources.database, issuer, 23 * HOUR_MS)
    begun = time.monotonic()
    assert await outcome(resources, token) == "robot:ci"
    assert time.monotonic() - begun < 1, "nobody waits for an issuer whose keys are known"
    if misbehave == "slow":
        return
    await passed(resources.database, issuer, 2 * HOUR_MS)
    assert await outcome(resources, token) == "unavailable"


@pytest.mark.parametrize(
    "misbehave",
    ["error", "text", "huge", "packed", "stranger", "file", "elsewhere", "round"],
)
async def test_B3_an_issuer_that_misbehaves_gives_no_keys(
    resources: Resources, issuer: Issuer, misbehave: str
) -> None:
    issuer.misbehave = misbehave
    assert await outcome(resources, good(issuer)) == "unavailable"
    asked = len(issuer.asked)
    assert 1 <= asked <= 4
    begun = time.monotonic()
    async with another_worker(resources) as other:
        assert await outcome(resources, good(issuer)) == "unavailable"
        assert await outcome(other, good(issuer)) == "unavailable"
    assert time.monotonic() - begun < 1, "waited for a fetch that has failed"
    assert len(issuer.asked) == asked, "asked again within the minute"
    issuer.misbehave = ""
    await passed(resources.database, issuer, 60_000)
    assert await outcome(resources, good(issuer)) == "robot:ci"


async def test_B3_another_server_does_not_answer_for_the_issuer(
    resources: Resources, issuer: Issuer
) -> None:
    async with Issuer() as other:
        other.named, other.key = issuer.url, issuer.key
        issuer.misbehave, issuer.elsewhere = "elsewhere", other.url
        assert await outcome(resources, good(issuer)) == "unavailable"
        assert other.asked == []


async def test_B3_a_redirect_within_the_issuer_is_followed(
    resources: Resources, issuer: Issuer
) -> None:
    issuer.misbehave = "moved"
    assert await outcome(resources, good(issuer)) == "robot:ci"


async def test_B3_a_slow_issuer_is_given_up_and_holds_up_nobody_else(
    resources: Resources, issuer: Issuer
) -> None:
    async with Issuer() as quick:
        rule = Rule("quick", quick.url, AUDIENCE, CONDITIONS, "ci")
        await trust.add(resources, rule, "operator")
        issuer.misbehave = "slow"
        begun = time.monotonic()
        waiting = asyncio.create_task(outcome(resources, good(issuer)))
        await asyncio.sleep(0.05)
        assert await outcome(resources, quick.token(github_claims(quick.url))) == "robot:ci"
        assert time.monotonic() - begun < 2
        assert await waiting == "unavailable"
        assert time.monotonic() - begun < 8


async def test_B3_what_is_no_key_for_signatures_is_passed_over(
    resources: Resources, issuer: Issuer
) -> None:
    jwk = issuer.jwk()
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    named = {"kid": "short", "key_ops": None}
    issuer.extra_keys = [
        {"kty": "oct", "kid": "shared", "k": part(b"x" * 32), "alg": "HS256"},
        {**jwk, "kid": "encryption", "use": "enc"},
        {**jwk, "kid": "none", "alg": "none"},
        {**jwk, "kid": "broken", "n": "!"},
        {**jwt.algorithms.RSAAlgorithm.to_jwk(short.public_key(), as_dict=True), **named},
        {"kty": 7},
    ]
    assert await outcome(resources, good(issuer)) == "robot:ci"
    secret = signed({"alg": "HS256", "kid": "shared"}, github_claims(issuer.url), b"x" * 32)
    assert await outcome(resources, secret) == "refused"
    text = f"{part({'alg': 'RS256', 'kid': 'short'})}.{part(github_claims(issuer.url))}"
    signature = short.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    assert await outcome(resources, f"{text}.{part(signature)}") == "refused"
    for kid in ("encryption", "none", "broken"):
        assert await outcome(resources, good(issuer, kid=kid)) == "refused"


def forged(issuer: Issuer) -> dict[str, str]:
    """Tokens that a careless verifier believes; each has the claims of a good one."""
    claims = github_claims(issuer.url)
    header = {"typ": "JWT", "alg": "RS256", "kid": issuer.kid}
    stranger = make_key("RS256")
    public = issuer.key.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    own = jwt.algorithms.RSAAlgorithm.to_jwk(stranger.public_key(), as_dict=True)
    text, _, signature = good(issuer).rpartition(".")
    head, payload = text.split(".")
    now = int(time.time())

    def hmac(secret: bytes) -> str:
        algorithm = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
        made = f"{part({**header, 'alg': 'HS256'})}.{part(claims)}"
        return f"{made}.{part(algorithm.sign(made.encode(), secret))}"

    def late(**times: object) -> str:
        return issuer.token({**claims, **times})

    doubled = part(json.dumps(claims).replace("{", '{"ref": "refs/heads/main", ', 1).encode())
    return {
        "signed by a stranger": signed(header, claims, stranger),
        "stranger's jwk": signed({**header, "jwk": own}, claims, stranger),
        "stranger's jwk alone": signed({"alg": "RS256", "jwk": own}, claims, stranger),
        "stranger's jku": signed({**header, "jku": "http://127.0.0.1:1/"}, claims, stranger),
        "stranger's x5u": signed({**header, "x5u": "http://127.0.0.1:1/"}, claims, stranger),
        "HS256 with the public key": hmac(pem),
        "HS256 with the public key, DER": hmac(der),
        "HS256 with the modulus": hmac(issuer.jwk()["n"].encode()),
        "HS256 with nothing": hmac(b""),
        "none": f"{part({'alg': 'none', 'kid': issuer.kid})}.{payload}.",
        "none, with a signature": f"{part({**header, 'alg': 'none'})}.{payload}.{signature}",
        "NONE": f"{part({**header, 'alg': 'NONE'})}.{payload}.{signature}",
        "another algorithm of the key": issuer.token(claims, alg="PS256"),
        "RS512": issuer.token(claims, alg="RS512"),
        "algorithm in another case": f"{part({**header, 'alg': 'rs256'})}.{payload}.{signature}",
        "crit": issuer.token(claims, crit=["exp"], exp=1),
        "empty crit": issuer.token(claims, crit=[]),
        "b64": issuer.token(claims, b64=True),
        "zip": issuer.token(claims, zip="DEF"),
        "typ": issuer.token(claims, typ="logout+jwt"),
        "kid is no text": issuer.token(claims, kid=1),
        "no signature": f"{text}.",
        "two parts": text,
        "four parts": f"{text}.{signature}.{signature}",
        "five parts": f"{head}.a.b.c.{signature}",
        "changed payload": f"{head}.{part({**claims, 'sub': 'x'})}.{signature}",
        "changed signature": f"{text}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}",
        "padding": f"{text}.{signature}==",
        "JSON serialisation": json.dumps(
            {"protected": head, "payload": payload, "signature": signature}
        ),
        "line end": good(issuer) + "\n",
        "a key twice": signed_text(issuer, head, doubled),
        "not an object": signed_text(issuer, head, part([1])),
        "NaN": signed_text(issuer, head, part(b'{"iss": "%s", "exp": NaN}' % issuer.url.encode())),
        "deep": signed_text(issuer, head, part(b'{"a":' * 200 + b"1" + b"}" * 200)),
        "expired": late(exp=now - 61),
        "no exp": issuer.token({k: v for k, v in claims.items() if k != "exp"}),
        "no iat": issuer.token({k: v for k, v in claims.items() if k != "iat"}),
        "exp is text": late(exp=str(now + 300)),
        "exp is true": late(exp=True),
        "exp without end": signed_text(
            issuer,
            head,
            part(json.dumps({**claims, "exp": 0}).replace('"exp": 0', '"exp": 1e999').encode()),
        ),
        "not yet": late(nbf=now + 90),
        "issued in the future": late(iat=now + 90),
        "no iss": issuer.token({k: v for k, v in claims.items() if k != "iss"}),
        "iss is a list": late(iss=[issuer.url]),
        "aud of another": late(aud=["https://github.com/octo"]),
        "aud is an object": late(aud={AUDIENCE: True}),
        "no aud": issuer.token({k: v for k, v in claims.items() if k != "aud"}),
    }


def signed_text(issuer: Issuer, head: str, payload: str) -> str:
    algorithm = jwt.algorithms.get_default_algorithms()["RS256"]
    text = f"{head}.{payload}"
    return f"{text}.{part(algorithm.sign(text.encode(), issuer.key))}"


async def test_B3_no_forged_token_of_a_workload_is_believed(
    resources: Resources, issuer: Issuer
) -> None:
    assert await outcome(resources, good(issuer)) == "robot:ci"
    tokens = forged(issuer)
    assert len(tokens) >= 40
    believed = [name for name, one in tokens.items() if await outcome(resources, one) != "refused"]
    assert believed == []
    # Little clocks' differences are no forgery.
    now = int(time.time())
    near = github_claims(issuer.url, exp=now - 30, nbf=now + 30, iat=now + 30)
    assert await outcome(resources, issuer.token(near)) == "robot:ci"


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "PS256", "EdDSA"])
async def test_B3_a_key_signs_with_its_own_algorithm_only(
    resources: Resources, algorithm: str
) -> None:
    async with Issuer(algorithm) as other:
        rule = Rule("other", other.url, AUDIENCE, CONDITIONS, "ci")
        await trust.add(resources, rule, "operator")
        claims = github_claims(other.url)
        assert await outcome(resources, other.token(claims)) == "robot:ci"
        text, _, signature = other.token(claims).rpartition(".")
        payload = text.partition(".")[2]
        for wrong in ("RS256", "ES256", "ES512", "HS256", "none"):
            if wrong != algorithm:
                head = part({"alg": wrong, "kid": other.kid})
                assert await outcome(resources, f"{head}.{payload}.{signature}") == "refused"
        assert await resources.database.read(issuer_keys.find, other.url) is not None
