"""Accounts of machines: `khod robots`."""

from typing import Annotated, Final

from msgspec import Meta

from kho.server.index.people import robots
from kho.server.policy.access import Action
from kho.server.resources import Resources
from kho.server.web.api.operation import Call, Given, Operation, Told
from kho.server.web.api.paging import Listing, Paged, key_of, listing
from kho.server.web.api.values import Name, Time, time_of


class NewRobot(Given, frozen=True):
    """A robot to be made."""

    name: Name
    description: Annotated[str, Meta(max_length=500, description="one line of text")] = ""


class RobotChange(Given, frozen=True):
    """What becomes different of a robot."""

    disabled: bool


class Robot(Told, frozen=True):
    """A robot: it comes in with access tokens, or by a trust rule, and has no password."""

    name: str
    description: str
    disabled: bool
    created_at: Time


async def list_robots(resources: Resources, call: Call[Paged, None]) -> Listing[Robot]:
    """By name."""
    query = call.query
    rows = await robots.page(resources, key_of(query.after, str), query.limit + 1)
    return listing(rows, query.limit, _told, lambda row: row.name)


async def add_robot(resources: Resources, call: Call[None, NewRobot]) -> Robot:
    """It may nothing until a grant names it, and comes in with no token until one is made."""
    new = call.body
    await robots.add(resources, new.name, new.description, by=call.by)
    return _told(await robots.show(resources, new.name))


async def show_robot(resources: Resources, call: Call[None, None]) -> Robot:
    """Its tokens: `GET /tokens?owner=robot:NAME`; its grants: `GET /grants?subject=robot:NAME`."""
    return _told(await robots.show(resources, call.part("robot")))


async def change_robot(resources: Resources, call: Call[None, RobotChange]) -> Robot:
    """Who is disabled is shut out within a second."""
    name, disabled = call.part("robot"), call.body.disabled
    return _told(await robots.set_disabled(resources, name, disabled, by=call.by))


async def remove_robot(resources: Resources, call: Call[None, None]) -> None:
    """With its grants and tokens; not while a trust rule lets workloads in as it: 409."""
    await robots.remove(resources, call.part("robot"), by=call.by)


def _told(row: robots.Robot) -> Robot:
    return Robot(
        name=row.name,
        description=row.description,
        disabled=row.disabled,
        created_at=time_of(row.created_at),
    )


OPERATIONS: Final = (
    Operation(
        id="listRobots",
        noun="robots",
        method="GET",
        path="/robots",
        action=Action.ADMIN,
        summary="List the robots",
        function=list_robots,
        query=Paged,
        answer=Listing[Robot],
    ),
    Operation(
        id="addRobot",
        noun="robots",
        method="POST",
        path="/robots",
        action=Action.ADMIN,
        summary="Make a robot",
        function=add_robot,
        body=NewRobot,
        answer=Robot,
        status=201,
    ),
    Operation(
        id="showRobot",
        noun="robots",
        method="GET",
        path="/robots/{robot}",
        action=Action.ADMIN,
        summary="Show a robot",
        function=show_robot,
        answer=Robot,
    ),
    Operation(
        id="changeRobot",
        noun="robots",
        method="PATCH",
        path="/robots/{robot}",
        action=Action.ADMIN,
        summary="Shut a robot out, or let it in again",
        function=change_robot,
        body=RobotChange,
        answer=Robot,
    ),
    Operation(
        id="removeRobot",
        noun="robots",
        method="DELETE",
        path="/robots/{robot}",
        action=Action.ADMIN,
        summary="Remove a robot",
        function=remove_robot,
    ),
)
