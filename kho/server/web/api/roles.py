"""Roles made of single actions: `khod roles`."""

from typing import Annotated, Final, Literal

from msgspec import Meta

from kho.server.index.rights import roles
from kho.server.policy.access import ROLES, Action
from kho.server.resources import Resources
from kho.server.web.api.operation import Call, Given, Operation, Told
from kho.server.web.api.paging import Listing, Paged, cut
from kho.server.web.api.values import Name

_BUILT_IN: Final = tuple(ROLES)
# Those of policy.access.ON_REPOSITORIES, and all of them.
ActionWord = Literal["pull", "push", "create", "tag", "overwrite", "delete", "settings", "*"]


class NewRole(Given, frozen=True):
    """A role to be made; `*` is every action."""

    name: Name
    actions: Annotated[list[ActionWord], Meta(min_length=1, max_length=16)]


class Role(Told, frozen=True):
    """A role and its actions."""

    name: str
    built_in: bool
    actions: list[str]


async def list_roles(resources: Resources, call: Call[Paged, None]) -> Listing[Role]:
    """The built-in ones first: reader, writer, maintainer, admin, monitor."""
    return cut(await roles.every(resources), call.query, _told, _place)


def _place(row: roles.Role) -> str:
    """What they are sorted by."""
    return f"0{_BUILT_IN.index(row.name)}" if row.built_in else f"1{row.name}"


async def add_role(resources: Resources, call: Call[None, NewRole]) -> Role:
    """`push` alone is blobs and manifests: no tag, no new repository."""
    new = call.body
    return _told(await roles.add(resources, new.name, new.actions, by=call.by))


async def remove_role(resources: Resources, call: Call[None, None]) -> None:
    """Not while a grant gives it: 409."""
    await roles.remove(resources, call.part("role"), by=call.by)


def _told(row: roles.Role) -> Role:
    return Role(name=row.name, built_in=row.built_in, actions=row.actions)


OPERATIONS: Final = (
    Operation(
        id="listRoles",
        noun="roles",
        method="GET",
        path="/roles",
        action=Action.ADMIN,
        summary="List the roles",
        function=list_roles,
        query=Paged,
        answer=Listing[Role],
    ),
    Operation(
        id="addRole",
        noun="roles",
        method="POST",
        path="/roles",
        action=Action.ADMIN,
        summary="Make a role",
        function=add_role,
        body=NewRole,
        answer=Role,
        status=201,
    ),
    Operation(
        id="removeRole",
        noun="roles",
        method="DELETE",
        path="/roles/{role}",
        action=Action.ADMIN,
        summary="Remove a role",
        function=remove_role,
    ),
)
