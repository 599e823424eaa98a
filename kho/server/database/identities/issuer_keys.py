"""Rows of issuers' keys: what was fetched, and whose turn it is to fetch."""

from typing import Final, NamedTuple

import sqlalchemy
from sqlalchemy import BigInteger, bindparam, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from kho.server.database.constructs import Now
from kho.server.database.engine import Transaction
from kho.server.database.schema import issuer_keys
from kho.server.database.statement import Statement

_table = issuer_keys.c
_OF_ISSUER: Final = _table.issuer == bindparam("of")

_FIND: Final = Statement(
    select(_table.document, _table.fetched_at, _table.attempted_at, Now()).where(_OF_ISSUER)
)
_CLAIM: Final = Statement(
    insert(issuer_keys)
    .values(issuer=bindparam("issuer"), attempted_at=Now())
    .on_conflict_do_update(
        index_elements=[_table.issuer],
        set_={"attempted_at": Now()},
        where=or_(
            _table.attempted_at <= Now() - bindparam("wait_ms", type_=BigInteger()),
            _table.attempted_at > Now(),  # a clock that was set back
        ),
    )
    .returning(_table.attempted_at)
)
_GIVE_UP: Final = Statement(
    update(issuer_keys)
    .values(attempted_at=bindparam("as_of", type_=BigInteger()))
    .where(_OF_ISSUER)
    .where(_table.attempted_at == bindparam("claimed", type_=BigInteger()))
)
_STORE: Final = Statement(
    update(issuer_keys).values(document=bindparam("keys"), fetched_at=Now()).where(_OF_ISSUER)
)
_DELETE: Final = Statement(sqlalchemy.delete(issuer_keys).where(_OF_ISSUER))


class KeysRow(NamedTuple):
    """A JWKS as text and its times in milliseconds; `now` is the database's clock."""

    document: str | None
    fetched_at: int | None
    attempted_at: int
    now: int


async def find(tx: Transaction, issuer: str) -> KeysRow | None:
    """What is known of an issuer; None when nobody ever asked it."""
    row = await tx.one(_FIND, of=issuer)
    return None if row is None else KeysRow(*row)


async def claim(tx: Transaction, issuer: str, wait_ms: int) -> int | None:
    """The time, when the caller may ask the issuer now: nobody else may for the next `wait_ms`.

    When COMMIT itself loses its connection nobody may: rather that than two.
    """
    row = await tx.one(_CLAIM, issuer=issuer, wait_ms=wait_ms)
    return None if row is None else row[0]


async def give_up(tx: Transaction, issuer: str, claimed: int, as_of: int) -> None:
    """Say that what was claimed came to nothing; it counts as asked at `as_of` from now on."""
    await tx.run(_GIVE_UP, of=issuer, claimed=claimed, as_of=as_of)


async def store(tx: Transaction, issuer: str, document: str) -> None:
    """Keep what the issuer answered."""
    await tx.run(_STORE, of=issuer, keys=document)


async def forget(tx: Transaction, issuer: str) -> None:
    """Drop the keys of an issuer that no rule names any more."""
    await tx.run(_DELETE, of=issuer)
