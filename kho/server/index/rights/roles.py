"""Roles: the built-in ones, and those that operators make from single actions."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from kho.server.database import audit
from kho.server.database.audit import Event
from kho.server.database.engine import Transaction
from kho.server.database.identities import grants
from kho.server.database.identities import roles as rows
from kho.server.index import pages
from kho.server.index.errors import Conflict, Invalid, NotFound
from kho.server.index.people.names import ROLE, check_name
from kho.server.policy.access import ON_REPOSITORIES, ROLES, Action, parse_actions
from kho.server.policy.errors import Disallowed
from kho.server.resources import Resources

_ORDER: Final = (*ON_REPOSITORIES, Action.METRICS, Action.ADMIN)


class Role(NamedTuple):
    """A role; `actions` in the order of the list of actions."""

    name: str
    built_in: bool
    actions: list[str]


async def add(resources: Resources, name: str, actions: Iterable[str], *, by: str) -> Role:
    """Create a role. Raises Invalid, Conflict."""
    check_name(name, ROLE)
    try:
        chosen = parse_actions(actions)
    except Disallowed as error:
        raise Invalid(error.template, **error.values) from None
    if not chosen:
        raise Invalid(
            "a role has at least one action of %(actions)s", actions=", ".join(ON_REPOSITORIES)
        )
    if name in ROLES:
        raise Conflict("%(name)s is a built-in role; choose another name", name=name)
    await resources.database.write(_add, name, chosen, by)
    return Role(name, False, _in_order(chosen))


async def remove(resources: Resources, name: str, *, by: str) -> None:
    """Take a role away. Raises Invalid, NotFound; Conflict while grants give it."""
    if name in ROLES:
        raise Invalid("%(name)s is a built-in role and stays", name=name)
    await resources.database.write(_remove, name, by)


async def every(resources: Resources) -> list[Role]:
    """The built-in roles, then the others by name."""
    own = await pages.every(
        lambda last, limit: resources.database.read(rows.page, last and last.name, limit)
    )
    found = [Role(name, True, _in_order(actions)) for name, actions in ROLES.items()]
    return found + [Role(row.name, False, _in_order(row.actions)) for row in own]


async def _add(tx: Transaction, name: str, actions: frozenset[Action], by: str) -> None:
    if not await rows.add(tx, name, actions):
        raise Conflict("there is a role %(name)s already", name=name)
    details = {"actions": _in_order(actions)}
    await audit.record(tx, Event("role.add", "allowed", by, target=name, details=details))


async def _remove(tx: Transaction, name: str, by: str) -> None:
    # The row first: a grant that is being given is waited for, and then counted.
    if not await rows.delete(tx, name):
        raise NotFound(
            "there is no role %(name)s; `khod roles list` shows which there are", name=name[:129]
        )
    used = await grants.count_of_role(tx, name)
    if used:
        if used == 1:
            raise Conflict(
                "the role %(name)s is given 1 time; remove that grant first: `khod grants list`"
                " shows it",
                name=name,
            )
        raise Conflict(
            "the role %(name)s is given %(used)s times; remove those grants first:"
            " `khod grants list` shows them",
            name=name,
            used=used,
        )
    await audit.record(tx, Event("role.remove", "allowed", by, target=name))


def _in_order(actions: Iterable[Action]) -> list[str]:
    return [str(action) for action in sorted(actions, key=_ORDER.index)]
