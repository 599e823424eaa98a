"""One's own account: password, access tokens, logins."""

from typing import Annotated, Final

from msgspec import Meta

from kho.server.index.browser import own_account
from kho.server.index.browser.own_account import Login as Row
from kho.server.index.errors import NotFound
from kho.server.index.tokens import access_tokens
from kho.server.policy.access import Action
from kho.server.resources import Resources
from kho.server.web import visits
from kho.server.web.api.operation import Call, Given, Operation, Told
from kho.server.web.api.paging import Listing, Paged, key_of, listing
from kho.server.web.api.tokens import MadeToken, NewOwnToken, Token, listed, made
from kho.server.web.api.users import Ended
from kho.server.web.api.values import Password, Time, number_of, time_of, time_or_none
from kho.server.web.request import Request


class PasswordChange(Given, frozen=True):
    """The password until now, and the one from now on."""

    old: Annotated[str, Meta(max_length=1024)]
    new: Password


class Account(Told, frozen=True):
    """One's own account. `has_password`: it is kept here, and can be changed here.

    No times for who comes from a file, a directory or a proxy.
    """

    name: str
    source: str
    has_password: bool
    admin: bool
    email: str | None
    groups: list[str]
    created_at: Time | None
    last_login_at: Time | None


class Login(Told, frozen=True):
    """Where one is signed in: `kind` is session (a browser) or refresh (a client's login).

    `current` is the one that asks.
    """

    id: int
    kind: str
    label: str
    address: str
    current: bool
    created_at: Time
    last_used_at: Time | None
    expires_at: Time | None
    expired: bool


async def show_account(resources: Resources, call: Call[None, None]) -> Account:
    """Whoever it is that asks."""
    name = _own_name(call.request)
    known = await own_account.show(resources, name)
    row = known.account
    return Account(
        name=name,
        source=row.source if row else "elsewhere",
        has_password=row is not None and row.password_hash is not None,
        admin=row is not None and row.admin,
        email=row.email if row else None,
        groups=known.groups,
        created_at=time_of(row.created_at) if row else None,
        last_login_at=time_or_none(row.last_login_at) if row else None,
    )


async def change_password(resources: Resources, call: Call[None, PasswordChange]) -> Ended:
    """Ends all other sessions, and what clients have kept of logins; access tokens stay."""
    name = _own_name(call.request)
    ended = await own_account.change_password(
        resources,
        name,
        call.body.old,
        call.body.new,
        by=call.by,
        keep=await _session(resources, call.request),
    )
    return Ended(ended=ended)


async def list_own_tokens(resources: Resources, call: Call[Paged, None]) -> Listing[Token]:
    """Without the secrets, which nobody knows."""
    return await listed(resources, call.query, f"user:{_own_name(call.request)}")


async def add_own_token(resources: Resources, call: Call[None, NewOwnToken]) -> MadeToken:
    """The secret is shown this once: it is the password of `docker login`."""
    return await made(resources, f"user:{_own_name(call.request)}", call.body, call.by)


async def remove_own_token(resources: Resources, call: Call[None, None]) -> None:
    """At once, with the logins that were made with it."""
    owner, token = f"user:{_own_name(call.request)}", number_of(call.part("id"))
    await access_tokens.revoke_id(resources, token, owner, by=call.by)


async def list_logins(resources: Resources, call: Call[Paged, None]) -> Listing[Login]:
    """Browsers, and clients such as `docker login`."""
    query, owner = call.query, f"user:{_own_name(call.request)}"
    current = await _session(resources, call.request)
    after = key_of(query.after, int) or 0
    rows = await own_account.logins_of(resources, owner, after, query.limit + 1)
    return listing(rows, query.limit, lambda row: _told(row, current), lambda row: row.id)


async def end_login(resources: Resources, call: Call[None, None]) -> None:
    """Signs out there, within a second."""
    _own_name(call.request)
    await own_account.end_login(resources, call.by, number_of(call.part("id")))


async def end_other_logins(resources: Resources, call: Call[None, None]) -> Ended:
    """All but the session that asks."""
    _own_name(call.request)
    keep = await _session(resources, call.request)
    return Ended(ended=await own_account.end_others(resources, call.by, keep))


def _own_name(request: Request) -> str:
    """The user who asks. Raises NotFound where nobody has an account yet."""
    kind, _, name = request.caller.name.partition(":")
    if kind != "user":
        raise NotFound("you have no account: nobody has one here yet")
    return name


async def _session(resources: Resources, request: Request) -> int:
    """The browser's session; 0 for a program."""
    if request.header(b"authorization"):
        return 0
    visitor = (await visits.visit(resources, request)).visitor
    return 0 if visitor is None else visitor.identity.credential or 0


def _told(row: Row, current: int) -> Login:
    return Login(
        id=row.id,
        kind=row.kind,
        label=row.label,
        address=row.address,
        current=row.id == current,
        created_at=time_of(row.created_at),
        last_used_at=time_or_none(row.last_used_at),
        expires_at=time_or_none(row.expires_at),
        expired=row.expired,
    )


OPERATIONS: Final = (
    Operation(
        id="showAccount",
        noun="account",
        method="GET",
        path="/account",
        action=Action.ACCOUNT,
        summary="Show one's own account",
        function=show_account,
        answer=Account,
    ),
    Operation(
        id="changePassword",
        noun="account",
        method="PUT",
        path="/account/password",
        action=Action.ACCOUNT,
        summary="Change one's own password",
        function=change_password,
        body=PasswordChange,
        answer=Ended,
    ),
    Operation(
        id="listOwnTokens",
        noun="account",
        method="GET",
        path="/account/tokens",
        action=Action.ACCOUNT,
        summary="List one's own access tokens",
        function=list_own_tokens,
        query=Paged,
        answer=Listing[Token],
    ),
    Operation(
        id="addOwnToken",
        noun="account",
        method="POST",
        path="/account/tokens",
        action=Action.ACCOUNT,
        summary="Make an access token for oneself",
        function=add_own_token,
        body=NewOwnToken,
        answer=MadeToken,
        status=201,
    ),
    Operation(
        id="removeOwnToken",
        noun="account",
        method="DELETE",
        path="/account/tokens/{id}",
        action=Action.ACCOUNT,
        summary="End one of one's own access tokens",
        function=remove_own_token,
    ),
    Operation(
        id="listOwnLogins",
        noun="account",
        method="GET",
        path="/account/logins",
        action=Action.ACCOUNT,
        summary="List where one is signed in",
        function=list_logins,
        query=Paged,
        answer=Listing[Login],
    ),
    Operation(
        id="endOtherLogins",
        noun="account",
        method="DELETE",
        path="/account/logins",
        action=Action.ACCOUNT,
        summary="Sign out everywhere else",
        function=end_other_logins,
        answer=Ended,
    ),
    Operation(
        id="endOwnLogin",
        noun="account",
        method="DELETE",
        path="/account/logins/{id}",
        action=Action.ACCOUNT,
        summary="Sign out elsewhere",
        function=end_login,
    ),
)
