"""Rows of the keys that sign tokens: one signs, retired ones are believed for a while."""

from typing import Final, NamedTuple

import sqlalchemy
from sqlalchemy import BigInteger, bindparam, insert, or_, select, update

from kho.server.database.constructs import Claim, Now
from kho.server.database.engine import Transaction
from kho.server.database.schema import signing_keys
from kho.server.database.statement import Statement

_table = signing_keys.c

_CLAIM: Final = Statement(select(Claim("number", "text")))
_LIST: Final = Statement(
    select(
        _table.kid,
        _table.algorithm,
        _table.private_key,
        _table.created_at,
        _table.retires_at,
        Now().label("now"),
    )
    .where(or_(_table.retires_at.is_(None), _table.retires_at > Now()))
    .order_by(_table.created_at.desc(), _table.kid)
)
_SIGNING: Final = Statement(select(_table.kid).where(_table.retires_at.is_(None)))
_FIND: Final = Statement(select(_table.kid).where(_table.kid == bindparam("kid")))
_INSERT: Final = Statement(
    insert(signing_keys).values(
        kid=bindparam("kid"),
        algorithm=bindparam("algorithm"),
        private_key=bindparam("private_key"),
        created_at=Now(),
    )
)
_RETIRE: Final = Statement(
    update(signing_keys)
    .values(retires_at=Now() + bindparam("milliseconds", type_=BigInteger()))
    .where(_table.retires_at.is_(None))
)
_RETIRE_ALL: Final = Statement(
    update(signing_keys)
    .values(retires_at=Now())
    .where(or_(_table.retires_at.is_(None), _table.retires_at > Now()))
)
_PURGE: Final = Statement(sqlalchemy.delete(signing_keys).where(_table.retires_at <= Now()))


class SigningKeyRow(NamedTuple):
    """One key; times in milliseconds, `now` by the same clock."""

    kid: str
    algorithm: str
    private_key: str
    created_at: int
    retires_at: int | None
    now: int


async def believed(tx: Transaction) -> list[SigningKeyRow]:
    """The keys whose tokens are believed, the newest first."""
    return [SigningKeyRow(*row) for row in await tx.all(_LIST)]


async def add_first(tx: Transaction, kid: str, algorithm: str, private_key: str) -> bool:
    """Insert the key unless one signs already: of several that try, one succeeds."""
    await tx.run(_CLAIM, number=0, text="signing_keys")
    if await tx.one(_SIGNING) is not None:
        return False
    await tx.run(_INSERT, kid=kid, algorithm=algorithm, private_key=private_key)
    return True


async def replace(
    tx: Transaction, kid: str, algorithm: str, private_key: str, overlap: int
) -> bool:
    """Insert the key that signs from now on; the others are believed `overlap` ms longer.

    False when it is there already. With 0 every other key ends at once, those that had retired
    before as well.
    """
    await tx.run(_CLAIM, number=0, text="signing_keys")
    if await tx.one(_FIND, kid=kid) is not None:
        return False  # this work ran before
    if overlap:
        await tx.run(_RETIRE, milliseconds=overlap)
    else:
        await tx.run(_RETIRE_ALL)
    await tx.run(_INSERT, kid=kid, algorithm=algorithm, private_key=private_key)
    return True


async def purge(tx: Transaction) -> int:
    """Delete keys that nobody believes any more."""
    return await tx.run(_PURGE)
