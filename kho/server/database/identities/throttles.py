"""Rows of failed logins, and of the addresses that accounts sign in from."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from sqlalchemy import BigInteger, BindParameter, Integer, bindparam, case, delete, select
from sqlalchemy.dialects.postgresql import insert

from kho.server.database.constructs import Now, OneOf, listed
from kho.server.database.engine import Transaction
from kho.server.database.schema import familiar_addresses, throttles
from kho.server.database.statement import Statement

_table = throttles.c
_familiar = familiar_addresses.c


def _number(name: str) -> BindParameter[int]:
    return bindparam(name, type_=BigInteger())


_EMPTY_IN: Final = Statement(
    select(_table.key, _table.free_at - Now()).where(OneOf(_table.key, "keys"))
)
_SEEN: Final = Statement(
    select(Now() - _familiar.seen_at)
    .where(_familiar.user_name == bindparam("user"))
    .where(_familiar.address == bindparam("address"))
)
# policy.throttle.after_failure, where two workers cannot come in between.
_ADD: Final = Statement(
    insert(throttles)
    .values(key=bindparam("key"), free_at=Now() + _number("every"))
    .on_conflict_do_update(
        index_elements=[_table.key],
        set_={
            "free_at": case(
                (_table.free_at <= Now(), Now() + _number("every")),
                (
                    _table.free_at + _number("every") > Now() + _number("most"),
                    Now() + _number("most"),
                ),
                else_=_table.free_at + _number("every"),
            )
        },
    )
)
_REMEMBER: Final = Statement(
    insert(familiar_addresses)
    .values(user_name=bindparam("user"), address=bindparam("address"), seen_at=Now())
    .on_conflict_do_update(
        index_elements=[_familiar.user_name, _familiar.address], set_={"seen_at": Now()}
    )
)
_DROP_EMPTY: Final = Statement(
    delete(throttles)
    .where(
        _table.key.in_(
            select(_table.key)
            .where(_table.free_at <= Now())
            .limit(bindparam("limit", type_=Integer()))
        )
    )
    .where(_table.free_at <= Now())  # asked again of a row that somebody changes meanwhile
)
_DROP_OLD: Final = Statement(
    delete(familiar_addresses).where(_familiar.seen_at < Now() - _number("older_than"))
)


class Standing(NamedTuple):
    """Milliseconds until buckets are empty, by key; and since an account signed in from there."""

    empty_in: dict[str, int]
    seen_ago: int | None


async def standing(tx: Transaction, keys: Iterable[str], user_name: str, address: str) -> Standing:
    """What is known of these buckets, and of the user at the address."""
    rows = await tx.all(_EMPTY_IN, keys=listed(keys))
    seen = await tx.one(_SEEN, user=user_name, address=address)
    return Standing(dict(rows), None if seen is None else seen[0])


async def add(tx: Transaction, key: str, every_ms: int, most_ms: int) -> None:
    """Put one drop into a bucket; when the work runs again, one more."""
    await tx.run(_ADD, key=key, every=every_ms, most=most_ms)


async def remember(tx: Transaction, user_name: str, address: str) -> None:
    """The user has signed in from there just now."""
    await tx.run(_REMEMBER, user=user_name, address=address)


async def purge(tx: Transaction, limit: int, familiar_ms: int) -> int:
    """Drop empty buckets, and addresses that were not seen for `familiar_ms`; how many rows."""
    empty = await tx.run(_DROP_EMPTY, limit=limit)
    return empty + await tx.run(_DROP_OLD, older_than=familiar_ms)
