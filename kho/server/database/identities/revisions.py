"""A number that grows with every change of who may do what; workers watch it."""

from typing import Final

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert

from kho.server.database.engine import Transaction
from kho.server.database.schema import revisions
from kho.server.database.statement import Statement

_table = revisions.c
_ACCESS: Final = "access"

_BUMP: Final = Statement(
    insert(revisions)
    .values(name=bindparam("name"), value=1)
    .on_conflict_do_update(index_elements=[_table.name], set_={"value": _table.value + 1})
)
_CURRENT: Final = Statement(select(_table.value).where(_table.name == bindparam("name")))


async def bump(tx: Transaction) -> None:
    """Tell every worker that what it remembers of rights is old, as soon as this commits."""
    await tx.run(_BUMP, name=_ACCESS)


async def current(tx: Transaction) -> int:
    """The number; 0 when nothing was changed yet."""
    row = await tx.one(_CURRENT, name=_ACCESS)
    return 0 if row is None else int(row[0])
