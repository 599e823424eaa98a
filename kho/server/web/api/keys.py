"""Keys that sign the tokens of /token: `khod keys`."""

from typing import Final

from kho.server.index.tokens import keys
from kho.server.policy.access import Action
from kho.server.resources import Resources
from kho.server.web.api.operation import Call, Given, Operation, Told
from kho.server.web.api.paging import Listing
from kho.server.web.api.values import Time, time_of, time_or_none


class Rotation(Given, frozen=True):
    """`drop_old`: believe no token of the old keys from now on, after a leak."""

    drop_old: bool = False


class Key(Told, frozen=True):
    """A key whose tokens are believed; the one without `retires_at` signs."""

    kid: str
    algorithm: str
    created_at: Time
    retires_at: Time | None


class NewKey(Told, frozen=True):
    """The key that signs from now on."""

    kid: str


async def list_keys(resources: Resources, call: Call[None, None]) -> Listing[Key]:  # noqa: ARG001
    """The newest first; the public halves are at /token/jwks.json."""
    return Listing([_told(row) for row in await keys.list_keys(resources)], None)


async def rotate(resources: Resources, call: Call[None, Rotation]) -> NewKey:
    """Tokens of the old key are believed until they end, unless `drop_old`."""
    kid = await keys.rotate(resources, by=call.by, overlap=not call.body.drop_old)
    return NewKey(kid=kid)


def _told(row: keys.ListedKey) -> Key:
    return Key(
        kid=row.kid,
        algorithm=row.algorithm,
        created_at=time_of(row.created_at),
        retires_at=time_or_none(row.retires_at),
    )


OPERATIONS: Final = (
    Operation(
        id="listKeys",
        noun="keys",
        method="GET",
        path="/keys",
        action=Action.ADMIN,
        summary="List the keys that sign tokens",
        function=list_keys,
        answer=Listing[Key],
    ),
    Operation(
        id="rotateKeys",
        noun="keys",
        method="POST",
        path="/keys",
        action=Action.ADMIN,
        summary="Make a new key",
        function=rotate,
        body=Rotation,
        answer=NewKey,
        status=201,
    ),
)
