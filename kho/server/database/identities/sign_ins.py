"""Rows of people who are signing in: devices that wait for approval, the set-up link.

They are credentials that belong to nobody yet. Whoever deletes the row has used it.
"""

from typing import Final

from sqlalchemy import Text, bindparam, delete, select, update

from kho.server.database.constructs import Now
from kho.server.database.engine import Transaction
from kho.server.database.schema import credentials
from kho.server.database.statement import Statement

NOBODY: Final = ""  # the subject, until somebody has decided

_table = credentials.c
_KIND: Final = _table.kind == bindparam("kind")
_HASH: Final = _table.secret_hash == bindparam("secret_hash")
_ID: Final = _table.id == bindparam("of")
_UNDECIDED: Final = _table.subject == NOBODY

_EXPIRED: Final = Statement(select(_table.id).where(_HASH, _KIND, _table.expires_at <= Now()))
_LIVING: Final = Statement(select(_table.id).where(_HASH, _KIND, _table.expires_at > Now()))
_CLEAR: Final = Statement(delete(credentials).where(_KIND))
_DECIDE: Final = Statement(
    update(credentials)
    .values(
        subject=bindparam("by", type_=Text()),
        details=bindparam("new_details", type_=Text()),
    )
    .where(_ID, _UNDECIDED, _table.expires_at > Now())
)
_POLLED: Final = Statement(update(credentials).values(last_used_at=Now()).where(_ID, _UNDECIDED))


async def lives(tx: Transaction, kind: str, secret_hash: str) -> bool:
    """Whether there is one that has not expired."""
    return await tx.one(_LIVING, kind=kind, secret_hash=secret_hash) is not None


async def expired(tx: Transaction, kind: str, secret_hash: str) -> bool:
    """Whether there is one that has expired, and has not been swept away yet."""
    return await tx.one(_EXPIRED, kind=kind, secret_hash=secret_hash) is not None


async def clear(tx: Transaction, kind: str) -> None:
    """Delete all of a kind."""
    await tx.run(_CLEAR, kind=kind)


async def decide(tx: Transaction, identity: int, by: str, details: str) -> bool:
    """Say yes or no for somebody; False when that was said already, or too late."""
    return await tx.run(_DECIDE, of=identity, by=by, new_details=details) > 0


async def polled(tx: Transaction, identity: int) -> None:
    """Remember that it was asked for just now, unless somebody has decided meanwhile."""
    await tx.run(_POLLED, of=identity)
