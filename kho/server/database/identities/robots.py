"""Rows of robots: accounts of machines, which have access tokens and no password."""

from typing import Final, NamedTuple

import sqlalchemy
from sqlalchemy import Integer, bindparam, select, update
from sqlalchemy.dialects.postgresql import insert

from kho.server.database.constructs import Now
from kho.server.database.engine import Transaction
from kho.server.database.identities import revisions
from kho.server.database.schema import credentials, grants, robots, trust_rules
from kho.server.database.statement import Row, Statement

_table = robots.c
_COLUMNS: Final = (_table.name, _table.description, _table.disabled, _table.created_at)
_OF_NAME: Final = _table.name == bindparam("of")

_FIND: Final = Statement(select(*_COLUMNS).where(_OF_NAME))
_HOLD: Final = Statement(select(_table.name).where(_OF_NAME).with_for_update(read=True))
_INSERT: Final = Statement(
    insert(robots)
    .values(
        name=bindparam("name"), description=bindparam("description"), disabled=0, created_at=Now()
    )
    .on_conflict_do_nothing()
    .returning(_table.name)
)
_SET_DISABLED: Final = Statement(update(robots).values(disabled=bindparam("to")).where(_OF_NAME))
_DELETE: Final = Statement(sqlalchemy.delete(robots).where(_OF_NAME))
_DROP_GRANTS: Final = Statement(
    sqlalchemy.delete(grants).where(grants.c.subject == bindparam("subject"))
)
_DROP_CREDENTIALS: Final = Statement(
    sqlalchemy.delete(credentials).where(credentials.c.subject == bindparam("subject"))
)
_TRUSTED_BY: Final = Statement(
    select(trust_rules.c.name)
    .where(trust_rules.c.robot == bindparam("of"))
    .order_by(trust_rules.c.name)
)
_PAGE: Final = Statement(
    select(*_COLUMNS)
    .where(_table.name > bindparam("after"))
    .order_by(_table.name)
    .limit(bindparam("limit", type_=Integer()))
)


class RobotRow(NamedTuple):
    """A robot; the time in milliseconds."""

    name: str
    description: str
    disabled: bool
    created_at: int


async def find(tx: Transaction, name: str) -> RobotRow | None:
    """The robot of that name."""
    row = await tx.one(_FIND, of=name)
    return None if row is None else _robot(row)


async def hold(tx: Transaction, name: str) -> bool:
    """Whether there is such a robot, which then stays until this write ends."""
    return await tx.one(_HOLD, of=name) is not None


async def add(tx: Transaction, name: str, description: str = "") -> bool:
    """Create a robot; False when the name is taken."""
    if await tx.one(_INSERT, name=name, description=description) is None:
        return False
    await revisions.bump(tx)
    return True


async def set_disabled(tx: Transaction, name: str, disabled: bool) -> bool:
    """Shut it out, or let it in again; False when there is no such robot."""
    if not await tx.run(_SET_DISABLED, of=name, to=int(disabled)):
        return False
    await revisions.bump(tx)
    return True


async def delete(tx: Transaction, name: str) -> bool:
    """Take it away with its grants and credentials; False when there was none."""
    found = await tx.run(_DELETE, of=name) > 0
    if found:
        await tx.run(_DROP_GRANTS, subject=f"robot:{name}")
        await tx.run(_DROP_CREDENTIALS, subject=f"robot:{name}")
        await revisions.bump(tx)
    return found


async def trusted_by(tx: Transaction, name: str) -> list[str]:
    """The trust rules that let workloads in as this robot."""
    return [rule for (rule,) in await tx.all(_TRUSTED_BY, of=name)]


async def page(tx: Transaction, after: str | None, limit: int) -> list[RobotRow]:
    """The robots after `after`, by name."""
    return [_robot(row) for row in await tx.all(_PAGE, after=after or "", limit=limit)]


def _robot(row: Row) -> RobotRow:
    robot = RobotRow(*row)
    return robot._replace(disabled=bool(robot.disabled))
