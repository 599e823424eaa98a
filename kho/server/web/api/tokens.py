"""Access tokens of users and robots: `khod tokens`. One's own are in account.py."""

from typing import Annotated, Final

from msgspec import Meta, field

from kho.server.index.tokens import access_tokens
from kho.server.index.tokens.access_tokens import LIFETIMES, AccessToken
from kho.server.policy.access import Action
from kho.server.resources import Resources
from kho.server.web.api.operation import Call, Given, Operation, Told
from kho.server.web.api.paging import Listing, Paged, key_of, listing
from kho.server.web.api.values import Name, Time, number_of, time_of, time_or_none

_DAYS: Final = {kind: round(seconds / 86_400) for kind, seconds in LIFETIMES.items()}
Owner = Annotated[str, Meta(max_length=140, description="user:NAME or robot:NAME")]
Scopes = Annotated[
    list[Annotated[str, Meta(max_length=512, description="GLOB:ACTION[,ACTION]")]],
    Meta(
        max_length=64,
        description="all that the token may do, at most: team/**:pull,push;"
        " none: all that its owner may",
    ),
]
Seconds = Annotated[
    int,
    Meta(
        ge=0,
        le=10 * 365 * 86_400,
        description=f"how long it is good; 0 is as long as usual: {_DAYS['personal']} days for a"
        f" user, {_DAYS['robot']} for a robot; null never ends",
    ),
]


class WhoseTokens(Paged, frozen=True):
    """Whose tokens."""

    owner: Owner = ""


class NewOwnToken(Given, frozen=True):
    """A token to be made for oneself."""

    name: Name
    scopes: Scopes = field(default_factory=list)
    seconds: Seconds | None = 0


class NewToken(NewOwnToken, frozen=True, kw_only=True):
    """A token to be made."""

    owner: Owner


class Token(Told, frozen=True):
    """A token, without its secret, which nobody knows. No `scopes`: all that its owner may do."""

    id: int
    owner: str
    name: str
    scopes: list[str] | None
    created_at: Time
    expires_at: Time | None
    expired: bool
    last_used_at: Time | None


class MadeToken(Told, frozen=True):
    """A new token; `secret` is shown this once. `seconds`: how long it is good."""

    secret: str
    name: str
    owner: str
    seconds: float | None


async def list_tokens(resources: Resources, call: Call[WhoseTokens, None]) -> Listing[Token]:
    """Expired ones too, until they are forgotten."""
    return await listed(resources, call.query, call.query.owner or None)


async def add_token(resources: Resources, call: Call[None, NewToken]) -> MadeToken:
    """It is the password of `docker login` for a machine; the user name does not matter."""
    return await made(resources, call.body.owner, call.body, call.by)


async def remove_token(resources: Resources, call: Call[None, None]) -> None:
    """At once, with the logins that were made with it."""
    token = number_of(call.part("id"))
    await access_tokens.revoke_id(resources, token, None, by=call.by)


async def listed(resources: Resources, query: Paged, owner: str | None) -> Listing[Token]:
    """The tokens of an owner, or of all."""
    after = key_of(query.after, int) or 0
    rows = await access_tokens.page(resources, owner, after, query.limit + 1)
    return listing(rows, query.limit, _told, lambda row: row.id)


async def made(resources: Resources, owner: str, new: NewOwnToken, by: str) -> MadeToken:
    """A new token."""
    done = await access_tokens.create(
        resources,
        owner,
        new.name,
        ceiling=access_tokens.parse_ceiling(new.scopes),
        seconds=new.seconds,
        by=by,
    )
    return MadeToken(secret=done.secret, name=new.name, owner=owner, seconds=done.seconds)


def _told(row: AccessToken) -> Token:
    return Token(
        id=row.id,
        owner=row.owner,
        name=row.name,
        scopes=access_tokens.told_ceiling(row.ceiling),
        created_at=time_of(row.created_at),
        expires_at=time_or_none(row.expires_at),
        expired=row.expired,
        last_used_at=time_or_none(row.last_used_at),
    )


OPERATIONS: Final = (
    Operation(
        id="listTokens",
        noun="tokens",
        method="GET",
        path="/tokens",
        action=Action.ADMIN,
        summary="List access tokens of users and robots",
        function=list_tokens,
        query=WhoseTokens,
        answer=Listing[Token],
    ),
    Operation(
        id="addToken",
        noun="tokens",
        method="POST",
        path="/tokens",
        action=Action.ADMIN,
        summary="Make an access token",
        function=add_token,
        body=NewToken,
        answer=MadeToken,
        status=201,
    ),
    Operation(
        id="removeToken",
        noun="tokens",
        method="DELETE",
        path="/tokens/{id}",
        action=Action.ADMIN,
        summary="End an access token",
        function=remove_token,
    ),
)
