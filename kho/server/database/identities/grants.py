"""Rows of grants: a subject has a role on the repositories of a glob."""

from operator import itemgetter
from typing import Final, NamedTuple

import sqlalchemy
from sqlalchemy import BigInteger, Integer, bindparam, func, select
from sqlalchemy.dialects.postgresql import insert

from kho.server.database.constructs import Now, OneOf, listed
from kho.server.database.engine import Transaction
from kho.server.database.identities import revisions
from kho.server.database.identities.roles import parsed
from kho.server.database.schema import grants, roles
from kho.server.database.statement import Statement
from kho.server.policy.access import ROLES, Grant

_table = grants.c
_COLUMNS: Final = (
    _table.id,
    _table.subject,
    _table.role,
    _table.pattern,
    _table.created_by,
    _table.created_at,
)

_OF_SUBJECTS: Final = Statement(
    # Sorted afterwards: to have them in order, SQLite would read the whole table.
    select(_table.id, _table.subject, _table.role, _table.pattern, roles.c.actions)
    .select_from(grants.outerjoin(roles, roles.c.name == _table.role))
    .where(OneOf(_table.subject, "subjects"))
)
_INSERT: Final = Statement(
    insert(grants)
    .values(
        subject=bindparam("subject"),
        role=bindparam("role"),
        pattern=bindparam("pattern"),
        created_by=bindparam("created_by"),
        created_at=Now(),
    )
    .on_conflict_do_nothing()
    .returning(_table.id)
)
_DELETE: Final = Statement(
    sqlalchemy.delete(grants)
    .where(_table.subject == bindparam("subject"))
    .where(_table.pattern == bindparam("pattern"))
    .where(_table.role == bindparam("role"))
)
_PAGE: Final = Statement(
    select(*_COLUMNS)
    .where(_table.id > bindparam("after", type_=BigInteger()))
    .order_by(_table.id)
    .limit(bindparam("limit", type_=Integer()))
)
_OF_SUBJECT: Final = Statement(
    select(*_COLUMNS).where(_table.subject == bindparam("subject")).order_by(_table.id)
)
_OF_ID: Final = Statement(select(*_COLUMNS).where(_table.id == bindparam("id", type_=BigInteger())))
_COUNT_OF_ROLE: Final = Statement(
    select(func.count()).select_from(grants).where(_table.role == bindparam("role"))
)


class GrantRow(NamedTuple):
    """A grant as it was given; the time in milliseconds."""

    id: int
    subject: str
    role: str
    pattern: str
    created_by: str
    created_at: int


async def of_subjects(tx: Transaction, subjects: list[str]) -> list[Grant]:
    """What these subjects were given, the oldest first; a role that is gone gives nothing."""
    found = []
    for _, subject, role, pattern, own in sorted(
        await tx.all(_OF_SUBJECTS, subjects=listed(set(subjects))), key=itemgetter(0)
    ):
        actions = ROLES.get(role) or (None if own is None else parsed(own))
        if actions is not None:
            found.append(Grant(subject, role, pattern, actions))
    return found


async def add(tx: Transaction, subject: str, role: str, pattern: str, by: str) -> bool:
    """Give a role; False when it was given already."""
    row = await tx.one(_INSERT, subject=subject, role=role, pattern=pattern, created_by=by)
    if row is None:
        return False
    await revisions.bump(tx)
    return True


async def remove(tx: Transaction, subject: str, role: str, pattern: str) -> bool:
    """Take it back; False when it was not given."""
    if not await tx.run(_DELETE, subject=subject, role=role, pattern=pattern):
        return False
    await revisions.bump(tx)
    return True


async def page(tx: Transaction, after: int | None, limit: int) -> list[GrantRow]:
    """The grants after the one of that id, the oldest first."""
    return [GrantRow(*row) for row in await tx.all(_PAGE, after=after or 0, limit=limit)]


async def of_id(tx: Transaction, grant_id: int) -> GrantRow | None:
    """The grant of that number."""
    row = await tx.one(_OF_ID, id=grant_id)
    return None if row is None else GrantRow(*row)


async def of_subject(tx: Transaction, subject: str) -> list[GrantRow]:
    """What one subject was given itself, the oldest first."""
    return [GrantRow(*row) for row in await tx.all(_OF_SUBJECT, subject=subject)]


async def count_of_role(tx: Transaction, role: str) -> int:
    """How many grants give a role."""
    row = await tx.one(_COUNT_OF_ROLE, role=role)
    return 0 if row is None else int(row[0])
