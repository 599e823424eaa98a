"""Signing keys: one for all workers, exchanged with an overlap, published."""

import asyncio
import base64
import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from joserfc.jwk import ECKey

from kho.oci.errors import Unauthorized
from kho.server.database import audit
from kho.server.database.engine import Transaction
from kho.server.database.identities import revisions, signing_keys
from kho.server.index.tokens import bearer as tokens
from kho.server.index.tokens import keys
from kho.server.index.tokens.bearer import Issued
from kho.server.resources import Memory, Resources
from tests.flows.databases import on_both_databases
from tests.flows.registry import Registry


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new key signs at once."""
    monkeypatch.setattr(keys, "SETTLE_SECONDS", 0.0)


@pytest.fixture
async def workers(registry: Registry) -> list[Resources]:
    """What two workers stand on, with memories of their own."""
    await registry.start()
    found = [worker.app.resources for worker in registry.workers]
    return [replace(one, memory=Memory()) for one in found if one is not None]


async def issue(resources: Resources) -> Issued:
    """A token of alice."""
    return await tokens.issue(
        resources, subject="user:alice", source="local", credential=None, access=()
    )


async def believes(resources: Resources, issued: Issued) -> bool:
    """Whether the worker takes the token."""
    try:
        claims = await tokens.verify(resources, issued.token)
    except Unauthorized:
        return False
    return claims.subject == "user:alice"


def kid_of(issued: Issued) -> str:
    """The key that signed."""
    header = issued.token.partition(".")[0]
    found: Any = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    return str(found["kid"])


@on_both_databases
async def test_workers_that_start_at_once_have_one_key(workers: list[Resources]) -> None:
    await workers[0].database.write(_forget_all)
    await asyncio.gather(*(keys.ensure(one) for one in workers * 4))
    (listed,) = await keys.list_keys(workers[0])
    assert listed.retires_at is None
    first, second = await asyncio.gather(*map(issue, workers))
    assert kid_of(first) == kid_of(second) == listed.kid
    assert await believes(workers[1], first)
    assert await believes(workers[0], second)


async def _forget_all(tx: Transaction) -> None:
    await signing_keys.replace(tx, *_pair(), overlap=0)
    await tx.run(signing_keys._RETIRE_ALL)
    await signing_keys.purge(tx)


def _pair() -> tuple[str, str, str]:
    kid, pem = keys.make()
    return kid, keys.ALGORITHM, pem


@on_both_databases
async def test_rotation_has_an_overlap_and_every_worker_sees_it(workers: list[Resources]) -> None:
    here, there = workers
    old = await issue(there)
    before = await here.database.read(revisions.current)
    kid = await keys.rotate(here)
    assert await here.database.read(revisions.current) > before
    new = await issue(here)
    assert kid_of(new) == kid != kid_of(old)
    there.memory.forget()  # what a worker does when it sees the revision
    for worker in workers:
        assert await believes(worker, old)
        assert await believes(worker, new)
    assert kid_of(await issue(there)) == kid
    signing, retired = await keys.list_keys(there)
    assert (signing.kid, signing.retires_at) == (kid, None)
    assert retired.kid == kid_of(old)
    assert retired.retires_at is not None
    assert retired.retires_at - signing.created_at >= (3600 + 60) * 1000
    (event,) = await here.database.read(audit.find, audit.Filter(actions=("key.rotate",)), 0, 9)
    assert event.target == kid


@on_both_databases
async def test_a_rotation_without_overlap_ends_every_token(workers: list[Resources]) -> None:
    here, there = workers
    old = await issue(there)
    await keys.rotate(here)
    await keys.rotate(here, overlap=False)
    for worker in workers:
        worker.memory.forget()
        assert not await believes(worker, old)
        assert await believes(worker, await issue(worker))
    assert len(await keys.list_keys(there)) == 1
    assert await keys.purge(here) == 2
    assert await keys.purge(here) == 0


@on_both_databases
async def test_rotations_at_once_leave_one_key_that_signs(workers: list[Resources]) -> None:
    await asyncio.gather(*(keys.rotate(one) for one in workers * 2))
    listed = await keys.list_keys(workers[0])
    assert [one.retires_at is None for one in listed].count(True) == 1


async def test_a_new_key_signs_when_every_worker_has_read_it(
    workers: list[Resources], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = workers
    monkeypatch.setattr(keys, "SETTLE_SECONDS", 0.5)
    old = kid_of(await issue(here))  # alone, it signs at once
    kid = await keys.rotate(here)
    assert kid_of(await issue(here)) == old
    assert kid in str(await keys.jwks(here))
    await asyncio.sleep(0.55)
    assert kid_of(await issue(here)) == kid
    there.memory.forget()
    assert kid_of(await issue(there)) == kid


async def test_an_unknown_key_is_looked_for_once_a_second(
    workers: list[Resources], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = workers
    monkeypatch.setattr(keys, "REREAD_SECONDS", 0.3)
    assert await keys.believed(there, "unknown") is None
    kid = await keys.rotate(here)
    assert await keys.believed(there, kid) is None  # it asked a moment ago
    await asyncio.sleep(0.35)
    assert await keys.believed(there, kid) is not None


@on_both_databases
async def test_what_retired_is_believed_until_its_end(
    workers: list[Resources], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "OVERLAP_SECONDS", 0.4)
    here, _ = workers
    old = await issue(here)
    await keys.rotate(here)
    assert await believes(here, old)
    await asyncio.sleep(0.45)
    assert not await believes(here, old)  # by what it remembers
    here.memory.forget()
    assert not await believes(here, old)
    assert len((await keys.jwks(here))["keys"]) == 1  # type: ignore[arg-type]


async def test_jwks_has_public_halves_named_by_their_thumbprints(
    workers: list[Resources],
) -> None:
    await keys.ensure(workers[0])
    await keys.rotate(workers[0])
    document: Any = await keys.jwks(workers[0])
    assert len(document["keys"]) == 2
    for key in document["keys"]:
        assert set(key) == {"kty", "crv", "x", "y", "kid", "alg", "use"}
        assert (key["alg"], key["use"], key["crv"]) == ("ES256", "sig", "P-256")
        assert ECKey.import_key(key).thumbprint() == key["kid"]
        members = {name: key[name] for name in ("crv", "kty", "x", "y")}
        text = json.dumps(members, separators=(",", ":")).encode()
        digest = base64.urlsafe_b64encode(hashlib.sha256(text).digest()).rstrip(b"=")
        assert digest.decode() == key["kid"]
