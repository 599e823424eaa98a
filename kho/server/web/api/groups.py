"""Groups of users: `khod groups`."""

from typing import Final

from kho.server.index.people import groups
from kho.server.index.people.groups import Group as Row
from kho.server.policy.access import Action
from kho.server.resources import Resources
from kho.server.web.api.operation import Call, Given, Operation, Told
from kho.server.web.api.paging import Listing, Paged, key_of, listing
from kho.server.web.api.values import Name, Time, time_of


class NewGroup(Given, frozen=True):
    """A group to be made."""

    name: Name


class Group(Told, frozen=True):
    """A group and how many are in it."""

    name: str
    members: int
    created_at: Time


class Member(Told, frozen=True):
    """Who is in a group, and what put them there: local (an operator), ldap or oidc."""

    user: str
    source: str


class GroupDetails(Told, frozen=True):
    """A group with its members."""

    name: str
    members: list[Member]


async def list_groups(resources: Resources, call: Call[Paged, None]) -> Listing[Group]:
    """By name."""
    query = call.query
    rows = await groups.page(resources, key_of(query.after, str), query.limit + 1)
    return listing(rows, query.limit, _told, lambda row: row.name)


async def add_group(resources: Resources, call: Call[None, NewGroup]) -> GroupDetails:
    """It is empty, and may nothing until a grant names it: `group:NAME`."""
    await groups.add(resources, call.body.name, by=call.by)
    return await _details(resources, call.body.name)


async def show_group(resources: Resources, call: Call[None, None]) -> GroupDetails:
    """Members that a directory or provider brought are there since their last login."""
    return await _details(resources, call.part("group"))


async def remove_group(resources: Resources, call: Call[None, None]) -> None:
    """With its memberships and grants; its members stay as users."""
    await groups.remove(resources, call.part("group"), by=call.by)


async def add_member(resources: Resources, call: Call[None, None]) -> None:
    """Whoever is in it already: 409."""
    await groups.add_member(resources, call.part("group"), call.part("user"), by=call.by)


async def remove_member(resources: Resources, call: Call[None, None]) -> None:
    """Who came by a login is taken out where the login is from: 409 here."""
    await groups.remove_member(resources, call.part("group"), call.part("user"), by=call.by)


def _told(row: Row) -> Group:
    return Group(name=row.name, members=row.members, created_at=time_of(row.created_at))


async def _details(resources: Resources, name: str) -> GroupDetails:
    rows = await groups.members(resources, name)
    members = [Member(user=row.user_name, source=row.source) for row in rows]
    return GroupDetails(name=name, members=members)


OPERATIONS: Final = (
    Operation(
        id="listGroups",
        noun="groups",
        method="GET",
        path="/groups",
        action=Action.ADMIN,
        summary="List the groups",
        function=list_groups,
        query=Paged,
        answer=Listing[Group],
    ),
    Operation(
        id="addGroup",
        noun="groups",
        method="POST",
        path="/groups",
        action=Action.ADMIN,
        summary="Make a group",
        function=add_group,
        body=NewGroup,
        answer=GroupDetails,
        status=201,
    ),
    Operation(
        id="showGroup",
        noun="groups",
        method="GET",
        path="/groups/{group}",
        action=Action.ADMIN,
        summary="Show who is in a group",
        function=show_group,
        answer=GroupDetails,
    ),
    Operation(
        id="removeGroup",
        noun="groups",
        method="DELETE",
        path="/groups/{group}",
        action=Action.ADMIN,
        summary="Remove a group",
        function=remove_group,
    ),
    Operation(
        id="addGroupMember",
        noun="groups",
        method="PUT",
        path="/groups/{group}/members/{user}",
        action=Action.ADMIN,
        summary="Put a user into a group",
        function=add_member,
    ),
    Operation(
        id="removeGroupMember",
        noun="groups",
        method="DELETE",
        path="/groups/{group}/members/{user}",
        action=Action.ADMIN,
        summary="Take a user out of a group",
        function=remove_member,
    ),
)
