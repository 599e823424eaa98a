"""The keys that sign tokens: made once, shared by all workers, exchanged with an overlap.

    signs   (retires_at NULL)  one; everybody sees the same, whoever made it
    retired (retires_at)       believed until the last token that it signed has ended

A new key signs a moment after it was made: by then every worker has read it.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from kho.server.database import audit
from kho.server.database.engine import Transaction
from kho.server.database.identities import revisions, signing_keys
from kho.server.database.identities.signing_keys import SigningKeyRow
from kho.server.index.jose.jws import LEEWAY_SECONDS
from kho.server.resources import Resources

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import (
        EllipticCurvePrivateKey,
        EllipticCurvePublicKey,
    )

ALGORITHM: Final = "ES256"
# How long a token may be believed, at most: the largest `auth.token_seconds`, and the leeway.
BELIEVED_SECONDS: Final = 3600 + LEEWAY_SECONDS
OVERLAP_SECONDS: Final = BELIEVED_SECONDS + 60  # the retired key signs a little longer
REREAD_SECONDS: Final = 1.0
SETTLE_SECONDS: Final = 2.0  # twice as long as workers take to see a revision


class SigningKey(NamedTuple):
    """A key that is loaded; `since` (it may sign) and `until` (believed) are monotonic times."""

    kid: str
    private: "EllipticCurvePrivateKey"
    public: "EllipticCurvePublicKey"
    since: float
    until: float


class ListedKey(NamedTuple):
    """A key as operators see it; times in milliseconds, no `retires_at` for the one that signs."""

    kid: str
    algorithm: str
    created_at: int
    retires_at: int | None


@dataclass(slots=True)
class _Ring:
    """The keys that are believed, by kid; None before they were read."""

    keys: dict[str, SigningKey] | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(slots=True)
class _Reads:
    """When the keys were read last (monotonic)."""

    at: float = float("-inf")


async def ensure(resources: Resources) -> None:
    """See to it that a key signs; of several that try, one makes it."""
    if not any(row.retires_at is None for row in await _rows(resources)):
        kid, pem = make()
        await resources.database.write(_make_first, kid, pem)


async def _make_first(tx: Transaction, kid: str, pem: str) -> None:
    if await signing_keys.add_first(tx, kid, ALGORITHM, pem):
        await revisions.bump(tx)


def make() -> tuple[str, str]:
    """A new key: its kid (RFC 7638) and its PEM (PKCS#8)."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    from kho.server.index.jose.jwk import thumbprint  # noqa: PLC0415

    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return thumbprint(private.public_key()), pem.decode("ascii")


async def signing(resources: Resources) -> SigningKey:
    """The key that signs; made when there is none."""
    while True:
        loaded = await _loaded(resources)
        now = time.monotonic()  # not before: a key that was just loaded may sign from now on
        fit = [key for key in loaded.values() if key.until - now > BELIEVED_SECONDS]
        if fit:
            return next((key for key in fit if key.since <= now), fit[-1])  # the newest first
        await ensure(resources)
        await _read(resources, resources.memory.drawer(_Ring))


async def believed(resources: Resources, kid: str) -> SigningKey | None:
    """The key of that name, unless it has retired for good.

    One that is unknown may be new: the rows are read again for it, at most once a second.
    """
    key = (await _loaded(resources)).get(kid)
    if key is None:
        reads = resources.memory.keep(_Reads)
        if time.monotonic() - reads.at < REREAD_SECONDS:
            return None
        key = (await _read(resources, resources.memory.drawer(_Ring))).get(kid)
    return key if key is not None and time.monotonic() < key.until else None


async def _loaded(resources: Resources) -> dict[str, SigningKey]:
    ring = resources.memory.drawer(_Ring)
    async with ring.lock:  # of those who come at once, one reads
        return await _read(resources, ring) if ring.keys is None else ring.keys


async def _read(resources: Resources, ring: _Ring) -> dict[str, SigningKey]:
    resources.memory.keep(_Reads).at = time.monotonic()
    known = ring.keys or {}
    ring.keys = {row.kid: _load(row, known.get(row.kid)) for row in await _rows(resources)}
    return ring.keys


async def _rows(resources: Resources) -> list[SigningKeyRow]:
    return await resources.database.read(signing_keys.believed)


def _load(row: SigningKeyRow, known: SigningKey | None) -> SigningKey:
    from cryptography.hazmat.primitives.asymmetric.ec import (  # noqa: PLC0415
        EllipticCurvePrivateKey,
    )
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        load_pem_private_key,
    )

    private = None if known is None else known.private
    if private is None:
        loaded = load_pem_private_key(row.private_key.encode("ascii"), password=None)
        if not isinstance(loaded, EllipticCurvePrivateKey):
            raise TypeError(f"signing key {row.kid} is not of an elliptic curve")
        private = loaded
    now, left = time.monotonic(), float("inf")
    if row.retires_at is not None:
        left = (row.retires_at - row.now) / 1000
    since = now + SETTLE_SECONDS - (row.now - row.created_at) / 1000
    return SigningKey(row.kid, private, private.public_key(), since, now + left)


async def rotate(resources: Resources, *, by: str = "operator", overlap: bool = True) -> str:
    """Make a new key that signs from now on; its kid.

    What the old one signed is believed until it ends, unless `overlap` is False: then every token
    that was issued ends at once, and clients fetch new ones.
    """
    kid, pem = make()
    await resources.database.write(_rotate, kid, pem, by, overlap)
    resources.memory.drawer(_Ring).keys = None
    return kid


async def _rotate(tx: Transaction, kid: str, pem: str, by: str, overlap: bool) -> None:
    milliseconds = OVERLAP_SECONDS * 1000 if overlap else 0
    if await signing_keys.replace(tx, kid, ALGORITHM, pem, milliseconds):
        await revisions.bump(tx)
        await audit.record(
            tx,
            audit.Event("key.rotate", "allowed", by, target=kid, details={"overlap": overlap}),
        )


async def jwks(resources: Resources) -> dict[str, object]:
    """The public halves of all keys that are believed (RFC 7517)."""
    from jwt.algorithms import ECAlgorithm  # noqa: PLC0415

    now = time.monotonic()
    return {
        "keys": [
            {
                **ECAlgorithm.to_jwk(key.public, as_dict=True),
                "kid": key.kid,
                "alg": ALGORITHM,
                "use": "sig",
            }
            for key in (await _loaded(resources)).values()
            if now < key.until
        ]
    }


async def list_keys(resources: Resources) -> list[ListedKey]:
    """Every key that is believed, the newest first."""
    return [
        ListedKey(row.kid, row.algorithm, row.created_at, row.retires_at)
        for row in await _rows(resources)
    ]


async def purge(resources: Resources) -> int:
    """Forget keys that have retired for good; how many."""
    return await resources.database.write(signing_keys.purge)
