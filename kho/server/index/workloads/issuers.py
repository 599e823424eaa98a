"""Keys of issuers: asked for rarely, shared by all workers through the database.

    key_for ─> issuer_keys (row) ──> known kid? ──> key
                    ▲                    └── no, or old ──> claim the minute ──> issuer
                    └──────────────────────────────────────────────────────────────┘

However many tokens with unknown keys arrive, all workers and replicas together ask an issuer once
a minute at most (B3). Keys are asked for anew after an hour, while the ones at hand still serve;
those of an issuer that cannot be reached serve for a day.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple

from kho.oci.errors import RegistryError, Unavailable
from kho.oci.strict_json import parse_object
from kho.server import telemetry
from kho.server.database.identities import issuer_keys
from kho.server.database.identities.issuer_keys import KeysRow
from kho.server.index.jose.jwk import keys_of
from kho.server.index.jose.jws import Jws, Key, Untrusted
from kho.server.index.workloads import discovery
from kho.server.index.workloads.discovery import FetchFailed
from kho.server.resources import Resources

# How long a fetch by another worker may be under way.
_UNDER_WAY_MS: Final = int(discovery.SECONDS * 1000) + 1000
# A fetch that failed counts as one that long ago, so that nobody waits for it any more: then still
# a minute passes until the next.
WAIT_MS: Final = 60_000 + _UNDER_WAY_MS
FRESH_MS: Final = 3_600_000
USABLE_MS: Final = 86_400_000
_LOOK_SECONDS: Final = 0.2


class _Known(NamedTuple):
    fetched_at: int
    keys: Sequence[Key]


class _Issuers:
    """What this worker has read, and whom it is asking."""

    def __init__(self) -> None:
        self.known: dict[str, _Known] = {}
        self.asking: dict[str, asyncio.Task[None]] = {}


async def key_for(
    resources: Resources, issuer: str, token: Jws, jwks_url: str | None = None
) -> Key:
    """The issuer's key that a token names; without a name the one that fits, if there is one only.

    Call it for issuers that an operator has named. Raises Untrusted when the issuer has no such
    key, Unavailable when nothing is known of the issuer.
    """
    row = await resources.database.read(issuer_keys.find, issuer)
    key = _pick(_keys(resources, issuer, row), token)
    if key is not None:
        if row is not None and _age(row) > FRESH_MS and _due(row):
            _ask(resources, issuer, jwks_url)
        return key
    if _due(row) or _under_way(row):
        # The task is everybody's: one request that is given up must not end it.
        await asyncio.shield(_ask(resources, issuer, jwks_url))
        row = await resources.database.read(issuer_keys.find, issuer)
    keys = _keys(resources, issuer, row)
    if not keys:
        raise Unavailable("the keys of the token's issuer cannot be had now", retry_after=30)
    key = _pick(keys, token)
    if key is None:
        raise Untrusted("the issuer has no key %(kid)s", kid=ascii(token.kid)[:200])
    return key


async def fetch(resources: Resources, issuer: str, jwks_url: str | None) -> None:
    """Ask the issuer now, however short ago it was asked: for operators. Raises FetchFailed."""
    await resources.database.write(issuer_keys.claim, issuer, WAIT_MS)
    document = await discovery.fetch_keys(issuer, jwks_url)
    await resources.database.write(issuer_keys.store, issuer, document)


def _pick(keys: Sequence[Key], token: Jws) -> Key | None:
    if token.kid is not None:
        return next((one for one in keys if one.kid == token.kid), None)
    fitting = [one for one in keys if token.algorithm in one.algorithms]
    return fitting[0] if len(fitting) == 1 else None


def _keys(resources: Resources, issuer: str, row: KeysRow | None) -> Sequence[Key]:
    """The keys of a row, read once for each time that they were fetched."""
    if row is None or row.document is None or row.fetched_at is None or _age(row) > USABLE_MS:
        return ()
    known = resources.memory.keep(_Issuers).known
    found = known.get(issuer)
    if found is None or found.fetched_at != row.fetched_at:
        # RSA keys that name no algorithm are meant for RS256 (OpenID Connect Core, 10.1).
        keys = keys_of(parse_object(row.document.encode()), rsa=("RS256",))
        found = known[issuer] = _Known(row.fetched_at, keys)
    return found.keys


def _age(row: KeysRow) -> int:
    return row.now - (row.fetched_at or 0)


def _due(row: KeysRow | None) -> bool:
    return row is None or not 0 <= row.now - row.attempted_at < WAIT_MS


def _under_way(row: KeysRow | None) -> bool:
    """Whether somebody has begun to ask and may still be waiting for the answer."""
    return (
        row is not None
        and (row.fetched_at or 0) < row.attempted_at
        and row.now - row.attempted_at < _UNDER_WAY_MS
    )


def _ask(resources: Resources, issuer: str, jwks_url: str | None) -> "asyncio.Task[None]":
    """The one task of this worker that asks the issuer, or waits for the worker that does."""
    asking = resources.memory.keep(_Issuers).asking
    task = asking.get(issuer)
    if task is None:
        task = asking[issuer] = asyncio.create_task(_refresh(resources, issuer, jwks_url))
        task.add_done_callback(lambda _: asking.pop(issuer, None))
    return task


async def _refresh(resources: Resources, issuer: str, jwks_url: str | None) -> None:
    """Never raises: what was known before serves on."""
    try:
        claimed = await resources.database.write(issuer_keys.claim, issuer, WAIT_MS)
        if claimed is None:
            await _watch(resources, issuer)
            return
        try:
            document = await discovery.fetch_keys(issuer, jwks_url)
        except FetchFailed as error:
            reason = str(error)
            telemetry.log_event("issuer keys not fetched", "warning", issuer=issuer, reason=reason)
            as_of = claimed - _UNDER_WAY_MS
            await resources.database.write(issuer_keys.give_up, issuer, claimed, as_of)
            return
        await resources.database.write(issuer_keys.store, issuer, document)
        telemetry.log_event("issuer keys fetched", issuer=issuer)
    except RegistryError as error:
        telemetry.log_failure("issuer keys not kept", error, issuer=issuer)


async def _watch(resources: Resources, issuer: str) -> None:
    """Wait until another worker has its answer, or must have given up."""
    while _under_way(await resources.database.read(issuer_keys.find, issuer)):  # noqa: ASYNC110
        await asyncio.sleep(_LOOK_SECONDS)
