"""Robots: accounts of machines, as operators make and remove them."""

from typing import Final

from kho.server.database import audit
from kho.server.database.audit import Event
from kho.server.database.engine import Transaction
from kho.server.database.identities import robots as rows
from kho.server.database.identities.robots import RobotRow
from kho.server.index import pages
from kho.server.index.errors import Conflict, Invalid, NotFound
from kho.server.index.people.accounts import nobody_yet
from kho.server.index.people.names import ROBOT, check_name
from kho.server.resources import Resources

Robot = RobotRow

DESCRIPTION_LENGTH: Final = 500


async def add(resources: Resources, name: str, description: str = "", *, by: str) -> bool:
    """Create a robot, which can do nothing yet; True when there was nobody before.

    Raises Invalid, Conflict.
    """
    check_name(name, ROBOT)
    if len(description) > DESCRIPTION_LENGTH or not description.isprintable():
        raise Invalid(
            "a description is one line of at most %(most)s characters", most=DESCRIPTION_LENGTH
        )
    return await resources.database.write(_add, name, description, by)


async def set_disabled(resources: Resources, name: str, disabled: bool, *, by: str) -> RobotRow:
    """Shut a robot out, or let it in again. Raises NotFound."""
    return await resources.database.remove(_set_disabled, name, disabled, by)


async def remove(resources: Resources, name: str, *, by: str) -> None:
    """Take a robot away with its grants and tokens.

    Raises NotFound; Conflict while trust rules let workloads in as this robot.
    """
    await resources.database.remove(_remove, name, by)


async def show(resources: Resources, name: str) -> RobotRow:
    """A robot. Raises NotFound."""
    return await resources.database.read(_find, name)


async def every(resources: Resources) -> list[RobotRow]:
    """All robots, by name."""
    return await pages.every(lambda last, limit: page(resources, last and last.name, limit))


async def page(resources: Resources, after: str | None, limit: int) -> list[RobotRow]:
    """The robots after that name."""
    return await resources.database.read(rows.page, after, limit)


async def _add(tx: Transaction, name: str, description: str, by: str) -> bool:
    first = await nobody_yet(tx)
    if not await rows.add(tx, name, description):
        raise Conflict("there is a robot %(name)s already", name=name)
    await _record(tx, "robot.add", name, by)
    return first


async def _set_disabled(tx: Transaction, name: str, disabled: bool, by: str) -> RobotRow:
    robot = await _find(tx, name)
    if robot.disabled != disabled:
        await rows.set_disabled(tx, name, disabled)
        await _record(tx, "robot.set", name, by, disabled=disabled)
    return await _find(tx, name)


async def _remove(tx: Transaction, name: str, by: str) -> None:
    rules = await rows.trusted_by(tx, name)
    if rules:
        raise Conflict(
            "workloads come in as robot %(name)s by the trust rules %(rules)s; remove"
            " those first: khod trust remove NAME",
            name=name,
            rules=", ".join(rules),
        )
    if not await rows.delete(tx, name):
        raise _unknown(name)
    await _record(tx, "robot.remove", name, by)


async def _find(tx: Transaction, name: str) -> RobotRow:
    robot = await rows.find(tx, name)
    if robot is None:
        raise _unknown(name)
    return robot


async def _record(tx: Transaction, action: str, name: str, by: str, **details: object) -> None:
    await audit.record(tx, Event(action, "allowed", by, target=f"robot:{name}", details=details))


def _unknown(name: str) -> NotFound:
    return NotFound(
        "there is no robot %(name)s; `khod robots list` shows which there are", name=name[:129]
    )
