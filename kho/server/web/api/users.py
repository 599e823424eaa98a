"""Accounts of people: `khod users`."""

from typing import Annotated, Final

from msgspec import Meta, structs

from kho.server.index.people import accounts
from kho.server.index.people.accounts import Account, Change, Known
from kho.server.policy.access import Action
from kho.server.resources import Resources
from kho.server.web.api.operation import Call, Given, Operation, Told
from kho.server.web.api.paging import Listing, Paged, key_of, listing
from kho.server.web.api.problems import Mistakes
from kho.server.web.api.values import Name, Password, Time, time_of, time_or_none

Email = Annotated[str, Meta(max_length=254, description="NAME@DOMAIN, or nothing for none")]


class NewUser(Given, frozen=True):
    """An account to be made."""

    name: Name
    password: Password
    admin: bool = False
    email: Email = ""


class UserChange(Given, frozen=True):
    """What becomes different of an account; what is not given stays."""

    admin: bool | None = None
    disabled: bool | None = None
    email: Email | None = None


class NewPassword(Given, frozen=True):
    """A password that replaces the one before."""

    password: Password


class User(Told, frozen=True):
    """An account. `source` is local or oidc; an administrator may do everything."""

    name: str
    source: str
    admin: bool
    disabled: bool
    email: str | None
    created_at: Time
    last_login_at: Time | None


class OwnGrant(Told, frozen=True):
    """A role on the repositories of a glob."""

    id: int
    role: str
    pattern: str


class UserDetails(User, frozen=True):
    """An account with its groups, and the grants that it has itself."""

    groups: list[str]
    grants: list[OwnGrant]


class Ended(Told, frozen=True):
    """How many logins a change has ended."""

    ended: int


async def list_users(resources: Resources, call: Call[Paged, None]) -> Listing[User]:
    """By name. Users of htpasswd files, directories and proxies have no accounts here."""
    query = call.query
    rows = await accounts.page(resources, key_of(query.after, str), query.limit + 1)
    return listing(rows, query.limit, _told, lambda row: row.name)


async def add_user(resources: Resources, call: Call[None, NewUser]) -> UserDetails:
    """The first account closes a registry that was open: from then on it asks who is calling."""
    new = call.body
    await accounts.add(
        resources, new.name, new.password, by=call.by, admin=new.admin, email=new.email
    )
    return _details(await accounts.show(resources, new.name))


async def show_user(resources: Resources, call: Call[None, None]) -> UserDetails:
    """With what a group of theirs was given: see `GET /access`."""
    return _details(await accounts.show(resources, call.part("user")))


async def change_user(resources: Resources, call: Call[None, UserChange]) -> UserDetails:
    """Who is disabled is shut out within a second. The last administrator stays one: 409."""
    to = Change(call.body.admin, call.body.disabled, call.body.email)
    if to == Change():
        raise Mistakes("the body is not right", ["admin, disabled, email: give one at least"])
    name = call.part("user")
    await accounts.change(resources, name, to, by=call.by)
    return _details(await accounts.show(resources, name))


async def set_user_password(resources: Resources, call: Call[None, NewPassword]) -> Ended:
    """Ends the sessions and refresh tokens of the user; access tokens stay."""
    name = call.part("user")
    ended = await accounts.set_password(resources, name, call.body.password, by=call.by)
    return Ended(ended=ended)


async def remove_user(resources: Resources, call: Call[None, None]) -> None:
    """With its memberships, grants, tokens and sessions. The last administrator stays: 409."""
    await accounts.remove(resources, call.part("user"), by=call.by)


def _told(row: Account) -> User:
    return User(
        name=row.name,
        source=row.source,
        admin=row.admin,
        disabled=row.disabled,
        email=row.email,
        created_at=time_of(row.created_at),
        last_login_at=time_or_none(row.last_login_at),
    )


def _details(known: Known) -> UserDetails:
    own = [OwnGrant(id=one.id, role=one.role, pattern=one.pattern) for one in known.grants]
    return UserDetails(**structs.asdict(_told(known.account)), groups=known.groups, grants=own)


OPERATIONS: Final = (
    Operation(
        id="listUsers",
        noun="users",
        method="GET",
        path="/users",
        action=Action.ADMIN,
        summary="List the accounts of people",
        function=list_users,
        query=Paged,
        answer=Listing[User],
    ),
    Operation(
        id="addUser",
        noun="users",
        method="POST",
        path="/users",
        action=Action.ADMIN,
        summary="Make an account",
        function=add_user,
        body=NewUser,
        answer=UserDetails,
        status=201,
    ),
    Operation(
        id="showUser",
        noun="users",
        method="GET",
        path="/users/{user}",
        action=Action.ADMIN,
        summary="Show an account with its groups and grants",
        function=show_user,
        answer=UserDetails,
    ),
    Operation(
        id="changeUser",
        noun="users",
        method="PATCH",
        path="/users/{user}",
        action=Action.ADMIN,
        summary="Change an account",
        function=change_user,
        body=UserChange,
        answer=UserDetails,
    ),
    Operation(
        id="setUserPassword",
        noun="users",
        method="PUT",
        path="/users/{user}/password",
        action=Action.ADMIN,
        summary="Replace the password of an account",
        function=set_user_password,
        body=NewPassword,
        answer=Ended,
    ),
    Operation(
        id="removeUser",
        noun="users",
        method="DELETE",
        path="/users/{user}",
        action=Action.ADMIN,
        summary="Remove an account",
        function=remove_user,
    ),
)
