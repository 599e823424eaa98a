"""Credentials: secrets that are shown once, stored as hashes, known again by one indexed read.

    khop_ 8Lq0...(32 random characters) 3kQx1A
    kind                                CRC32 of all before, so that scanners can tell ours

docs/operate/tokens.md has the expression for scanners.
"""

import asyncio
import hashlib
import json
import re
import secrets
import zlib
from collections.abc import Mapping
from typing import Final

from kho.oci.errors import RegistryError, Unauthorized
from kho.server import telemetry
from kho.server.database import audit
from kho.server.database.engine import Transaction
from kho.server.database.errors import ConstraintViolated
from kho.server.database.identities import credentials as rows
from kho.server.database.identities import revisions
from kho.server.database.identities.credentials import CredentialRow, NewCredential
from kho.server.index.errors import Conflict, NotFound
from kho.server.policy.access import ON_REPOSITORIES, Allowance, Ceiling, parse_actions
from kho.server.policy.identity import Identity
from kho.server.resources import Resources

PREFIXES: Final[Mapping[str, str]] = {
    "personal": "khop_",
    "robot": "khor_",
    "refresh": "khof_",
    "session": "khos_",
    "setup": "khox_",
    "device": "khod_",
}
# Named by people, shown in lists; the others come and go with logins.
ACCESS_TOKENS: Final = ("personal", "robot")

_KINDS: Final = {prefix: kind for kind, prefix in PREFIXES.items()}
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM: Final = 32
_CHECK: Final = 6  # CRC32 in base 62
_SHAPE: Final = re.compile(r"kho[a-z]_[0-9A-Za-z]{38}", re.ASCII)
_ID_BITS: Final = 40  # random: a number never comes back, so that no token outlives its credential
_PURGE_BATCH: Final = 500


def _base62(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))


def _checksum(text: str) -> str:
    return _base62(zlib.crc32(text.encode("ascii")), _CHECK)


def new_secret(kind: str) -> str:
    """A secret of the kind: 190 random bits."""
    text = PREFIXES[kind] + "".join(secrets.choice(_DIGITS) for _ in range(_RANDOM))
    return text + _checksum(text)


def looks_like(secret: str) -> bool:
    """Whether it was made here, as far as it tells by itself: prefix and checksum."""
    return kind_of(secret) is not None


def kind_of(secret: str) -> str | None:
    """The kind that a secret says it is; None when it is none of ours."""
    if not _SHAPE.fullmatch(secret) or _checksum(secret[:-_CHECK]) != secret[-_CHECK:]:
        return None
    return _KINDS.get(secret[:5])


def hash_of(secret: str) -> str:
    """What is stored. Nobody guesses 190 bits, so a quick hash is enough."""
    return hashlib.sha256(secret.encode("ascii")).hexdigest()


def ceiling_text(ceiling: Ceiling | None) -> str | None:
    """A ceiling as its row keeps it."""
    if ceiling is None:
        return None
    return json.dumps([[line.pattern, sorted(line.actions)] for line in ceiling])


def ceiling_of(text: str | None) -> Ceiling | None:
    """A ceiling as its row keeps it; what is no action any more is nothing."""
    if text is None:
        return None
    return tuple(
        Allowance(pattern, parse_actions(word for word in words if word in ON_REPOSITORIES))
        for pattern, words in json.loads(text)
    )


def details_of(row: CredentialRow) -> dict[str, object]:
    """The row's own facts."""
    found: dict[str, object] = json.loads(row.details) if row.details else {}
    return found


async def create(
    resources: Resources,
    *,
    kind: str,
    subject: str,
    name: str,
    ceiling: Ceiling | None = None,
    expires_seconds: float | None = None,
    sliding: bool = False,
    parent: int | None = None,
    details: Mapping[str, object] | None = None,
    by: str | None = None,
) -> str:
    """Make a credential; the secret, which nobody can ask for again.

    `sliding`: a use prolongs it by `expires_seconds`. `by`: whom the audit trail names; None for
    what a login makes, which the trail has already. `details["source"]` becomes Identity.source.
    Raises Conflict for an access token's name that is in use, Unauthorized without its parent.
    """
    secret = new_secret(kind)
    new = NewCredential(
        id=0,
        kind=kind,
        secret_hash=hash_of(secret),
        subject=subject,
        name=name,
        ceiling=ceiling_text(ceiling),
        details=None if details is None else json.dumps(dict(details)),
        parent_id=parent,
        lifetime=_milliseconds(expires_seconds) if sliding else None,
        expires_in=_milliseconds(expires_seconds),
    )
    try:
        await resources.database.write(insert, new, by)
    except ConstraintViolated:
        raise Unauthorized("the login that this belongs to has ended") from None
    return secret


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else max(1, round(seconds * 1000))


async def insert(tx: Transaction, new: NewCredential, by: str | None) -> None:
    """Insert a credential under a new id; see `create`. Raises Conflict, ConstraintViolated."""
    if await rows.exists(tx, new.secret_hash):
        return  # this work ran before
    named = new.kind in ACCESS_TOKENS
    if named and await rows.claim_name(tx, new.subject, new.kind, new.name) is not None:
        raise Conflict(
            "%(subject)s has a token named %(name)s already",
            subject=new.subject,
            name=ascii(new.name),
        )
    while not await rows.add(tx, new._replace(id=secrets.randbits(_ID_BITS) or 1)):
        pass
    if by is not None:
        details = {"kind": new.kind, "ceiling": new.ceiling, "expires_in_ms": new.expires_in}
        target = f"{new.subject}/{new.name}"
        await audit.record(
            tx, audit.Event("token.create", "allowed", by, target=target, details=details)
        )


async def identify(resources: Resources, secret: str, kinds: tuple[str, ...]) -> Identity:
    """Whose secret it is. Raises Unauthorized.

    Whether that subject still exists is the caller's question.
    """
    return _identity(await lookup(resources, secret, kinds))


async def of_id(resources: Resources, credential_id: int) -> Identity:
    """Whose credential it is that a token names. Raises Unauthorized when it has ended."""
    row = await resources.database.read(rows.of_id, credential_id)
    if row is None:
        raise Unauthorized("the token was revoked, or has expired")
    return _identity(row)


def _identity(row: CredentialRow) -> Identity:
    details = details_of(row)
    shown = {"credential": row.kind, "name": row.name}
    return Identity(
        subject=row.subject,
        source=str(details.get("source", "local")),
        ceiling=ceiling_of(row.ceiling),
        credential=row.id,
        details={**details, **shown},
    )


async def lookup(resources: Resources, secret: str, kinds: tuple[str, ...]) -> CredentialRow:
    """The row of a secret, its use noted. Raises Unauthorized."""
    row = None
    if kind_of(secret) in kinds:
        row = await resources.database.read(rows.find, hash_of(secret))
    if row is None or row.kind not in kinds:
        raise Unauthorized("the token is unknown, or was revoked, or has expired")
    if row.last_used_at is None or row.now - row.last_used_at >= rows.TOUCH_MILLISECONDS:
        _touch_soon(resources, row.id)
    return row


async def take(resources: Resources, secret: str, kind: str) -> CredentialRow:
    """Use up what is good for one use. Raises Unauthorized; of two callers one gets it."""
    row = None
    if kind_of(secret) == kind:
        row = await resources.database.write(rows.take, hash_of(secret), kind)
    if row is None:
        raise Unauthorized("this is unknown, or was used, or has expired")
    return row


class _Touches:
    """Uses that are being written, beside the requests."""

    def __init__(self) -> None:
        self.tasks: dict[int, asyncio.Task[None]] = {}


def _touch_soon(resources: Resources, credential_id: int) -> None:
    tasks = resources.memory.keep(_Touches).tasks
    if credential_id not in tasks:
        task = asyncio.create_task(_touch(resources, credential_id))
        tasks[credential_id] = task
        task.add_done_callback(lambda _: tasks.pop(credential_id, None))


async def _touch(resources: Resources, credential_id: int) -> None:
    try:
        await resources.database.write(rows.touch, credential_id)
    except RegistryError as error:
        telemetry.log_failure("use of a token not noted", error, credential=credential_id)


async def revoke(resources: Resources, credential_id: int, *, by: str) -> bool:
    """End a credential and its children everywhere within a second; False when there is none."""
    return await resources.database.remove(remove, credential_id, by)


async def remove(tx: Transaction, credential_id: int, by: str) -> bool:
    """The same inside a transaction."""
    row = await rows.remove(tx, credential_id)
    if row is None:
        return False
    await revisions.bump(tx)
    target = f"{row.subject}/{row.name}"
    event = audit.Event("token.revoke", "allowed", by, target=target, details={"kind": row.kind})
    await audit.record(tx, event)
    return True


async def remove_owned(
    tx: Transaction, credential_id: int, owner: str | None, kinds: tuple[str, ...], by: str
) -> None:
    """The same, if it is of these kinds and the owner's, or anybody's. Raises NotFound."""
    row = await rows.of_id(tx, credential_id, expired=True)
    own = row is not None and row.kind in kinds and owner in (None, row.subject)
    if not own or not await remove(tx, credential_id, by):
        if "session" in kinds:
            raise NotFound("there is no login %(number)s", number=credential_id)
        raise NotFound("there is no token %(number)s", number=credential_id)


async def purge(resources: Resources) -> int:
    """Delete expired credentials; how many."""
    total = 0
    while True:
        count = await resources.database.remove(rows.purge, _PURGE_BATCH)
        total += count
        if count < _PURGE_BATCH:
            return total
