"""Sign-in of devices without a browser (RFC 8628), where khod is the authorization server.

kho login ── begin ──> device code, user code         poll: redeem ──> authorization_pending
a person, signed in ── pending(user code) ── decide ──────────────────> Identity, once
"""

import json
import secrets
from typing import Final, NamedTuple

from kho.oci.errors import Unauthorized
from kho.server.database.engine import Transaction
from kho.server.database.identities import credentials as rows
from kho.server.database.identities import sign_ins
from kho.server.database.identities.credentials import CredentialRow
from kho.server.index.audit import Event, note
from kho.server.index.browser.sessions import From, Visitor
from kho.server.index.rights import access
from kho.server.index.tokens import credentials
from kho.server.policy.identity import Identity
from kho.server.resources import Resources

KIND: Final = "device"
SECONDS: Final = 600
INTERVAL: Final = 5
# A poll that was sent in time may arrive a little early.
_TOLERANCE_MS: Final = 500
# Letters that are told apart in every font and spell no words: 20 ** 8 codes.
LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
_HALF: Final = 4
_DENIED: Final = "nobody"  # the subject of a row that was denied
_CLIENT_LENGTH: Final = 64


class Asked(NamedTuple):
    """What the device is told."""

    device_code: str
    user_code: str
    expires_in: int = SECONDS
    interval: int = INTERVAL


class Pending(NamedTuple):
    """A device that waits, as the person who may approve it sees it."""

    id: int
    user_code: str
    client: str
    address: str
    minutes: int


async def begin(resources: Resources, client: str, origin: From) -> Asked:
    """A device asks. `client` is what it calls itself, and proves nothing."""
    letters = "".join(secrets.choice(LETTERS) for _ in range(2 * _HALF))
    user_code = f"{letters[:_HALF]}-{letters[_HALF:]}"
    shown = "".join(char for char in client if char.isprintable())[:_CLIENT_LENGTH]
    device_code = await credentials.create(
        resources,
        kind=KIND,
        subject=sign_ins.NOBODY,
        name=user_code,
        expires_seconds=SECONDS,
        details={"client": shown, "address": origin.address},
    )
    return Asked(device_code, user_code)


def read_code(text: str) -> str | None:
    """A user code as people type it; None when it cannot be one."""
    letters = "".join(char for char in text.upper() if char not in " -\t")
    if len(letters) != 2 * _HALF or not set(letters) <= set(LETTERS):
        return None
    return f"{letters[:_HALF]}-{letters[_HALF:]}"


async def pending(resources: Resources, user_code: str) -> Pending | None:
    """The device that shows this code, while it waits."""
    row = await resources.database.read(rows.by_name, sign_ins.NOBODY, KIND, user_code)
    if row is None:
        return None
    details = credentials.details_of(row)
    minutes = (row.now - row.created_at) // 60_000
    return Pending(row.id, row.name, str(details["client"]), str(details["address"]), minutes)


async def decide(
    resources: Resources, waiting: Pending, visitor: Visitor, origin: From, *, approve: bool
) -> bool:
    """Let the device in as the visitor, or not; False when that was decided already."""
    subject = visitor.identity.subject
    details = {
        "source": visitor.identity.source,
        "client": waiting.client,
        "address": waiting.address,
    }
    decided = await resources.database.write(
        sign_ins.decide, waiting.id, subject if approve else _DENIED, json.dumps(details)
    )
    if decided:
        note(
            resources,
            Event(
                "device.approve",
                "allowed" if approve else "denied",
                subject,
                address=origin.address,
                request_id=origin.request_id,
                details={"client": waiting.client, "asked_from": waiting.address},
            ),
        )
    return decided


async def redeem(resources: Resources, device_code: str) -> Identity:
    """Who approved the device; once.

    Raises Unauthorized, whose `detail` is the error of RFC 8628: authorization_pending, slow_down,
    access_denied, expired_token, or invalid_grant for what is no device code (any more).
    """
    if credentials.kind_of(device_code) != KIND:
        raise Unauthorized("this is no device code", detail="invalid_grant")
    secret_hash = credentials.hash_of(device_code)
    row = await resources.database.read(rows.find, secret_hash)
    if row is None:
        if await resources.database.read(sign_ins.expired, KIND, secret_hash):
            raise Unauthorized("the code has expired: start again", detail="expired_token")
        raise Unauthorized("the code is unknown or was used", detail="invalid_grant")
    if row.subject == sign_ins.NOBODY:
        raise await _not_yet(resources, row)
    taken = await resources.database.write(_take, secret_hash)
    if taken is None:
        raise Unauthorized("the code was used", detail="invalid_grant")
    if taken.subject == _DENIED:
        raise Unauthorized("the person said no", detail="access_denied")
    details = credentials.details_of(taken)
    identity = Identity(taken.subject, str(details["source"]), details=details)
    await access.refresh(resources)
    try:
        await access.principal_of(resources, identity)
    except Unauthorized as error:  # gone or disabled meanwhile
        raise Unauthorized(
            error.template, detail="access_denied", headers=(), **error.values
        ) from None
    return identity


async def _take(tx: Transaction, secret_hash: str) -> CredentialRow | None:
    return await rows.take(tx, secret_hash, KIND)


async def _not_yet(resources: Resources, row: CredentialRow) -> Unauthorized:
    last = row.last_used_at
    await resources.database.write(sign_ins.polled, row.id)
    if last is not None and row.now - last < INTERVAL * 1000 - _TOLERANCE_MS:
        return Unauthorized("asked too often: wait 5 seconds longer", detail="slow_down")
    return Unauthorized("nobody has approved this yet", detail="authorization_pending")
