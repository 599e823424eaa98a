"""The link that makes the first administrator: good once, for a day, until there is one."""

from typing import Final

from kho.oci.errors import Unauthorized
from kho.server.database import audit
from kho.server.database.audit import Event
from kho.server.database.engine import Transaction
from kho.server.database.identities import accounts, sign_ins
from kho.server.database.identities import credentials as rows
from kho.server.index.browser.sessions import From
from kho.server.index.errors import Conflict, Invalid
from kho.server.index.rights import access
from kho.server.index.sources import passwords
from kho.server.index.tokens import credentials
from kho.server.policy.access import By
from kho.server.policy.names import ALLOWED_TEXT, is_name
from kho.server.resources import Resources

KIND: Final = "setup"
HOURS: Final = 24
LEAST_CHARACTERS: Final = 8


async def ensure_link(resources: Resources) -> str | None:
    """A fresh code, earlier ones being dead from now on; None: there is an administrator."""
    if not await resources.database.write(_clear):
        return None
    return await credentials.create(
        resources,
        kind=KIND,
        subject=sign_ins.NOBODY,
        name="first administrator",
        expires_seconds=HOURS * 3600,
    )


class _Needed:
    """Whether the first administrator is missing; None before somebody has looked."""

    def __init__(self) -> None:
        self.known: bool | None = None


async def is_needed(resources: Resources) -> bool:
    """Whether the link is the way in: there is no administrator, and no setting brings people.

    Remembered until rights change.
    """
    if access.configured(resources.config) or resources.config.auth.open:
        return False
    await access.refresh(resources)
    drawer = resources.memory.drawer(_Needed)
    if drawer.known is None:
        drawer.known = not await resources.database.read(accounts.admins)
    return drawer.known


async def is_good(resources: Resources, code: str) -> bool:
    """Whether a code would be taken."""
    if credentials.kind_of(code) != KIND:
        return False
    secret_hash = credentials.hash_of(code)
    if not await resources.database.read(sign_ins.lives, KIND, secret_hash):
        return False
    return not await resources.database.write(accounts.enabled_admins)


async def redeem(
    resources: Resources, code: str, username: str, password: str, origin: From
) -> None:
    """Make the first administrator; of two that try, one does.

    Raises Unauthorized when the code is good no more; Invalid for a name or password that is not
    allowed and Conflict for a name that is taken: then the code stays good.
    """
    _check(username, password)
    if not await is_good(resources, code):
        raise _gone()
    password_hash = await passwords.hash_password(resources, password)
    by = By(f"user:{username}", origin.address, origin.request_id)
    await resources.database.write(_redeem, credentials.hash_of(code), by, username, password_hash)


def _gone() -> Unauthorized:
    return Unauthorized(
        "This link is not good any more: it was used, it is older than 24 hours, a newer one was"
        " made, or there is an administrator already."
    )


def _check(username: str, password: str) -> None:
    if not is_name(username):
        raise Invalid(
            "This username is not allowed; allowed are %(allowed)s.", allowed=ALLOWED_TEXT
        )
    if len(password) < LEAST_CHARACTERS:
        raise Invalid(
            "The password is too short: it needs %(least)s characters at least.",
            least=LEAST_CHARACTERS,
        )


async def _clear(tx: Transaction) -> bool:
    await sign_ins.clear(tx, KIND)
    return not await accounts.enabled_admins(tx)


async def _redeem(
    tx: Transaction, secret_hash: str, by: By, username: str, password_hash: str
) -> None:
    # The row goes first: whoever else has the code waits for this to end, and finds none.
    if await rows.take(tx, secret_hash, KIND) is None or await accounts.enabled_admins(tx):
        raise _gone()
    if not await accounts.add(
        tx, username, source="local", password_hash=password_hash, admin=True
    ):
        raise Conflict(
            "There is an account named %(username)s already: take another name.", username=username
        )
    await audit.record(tx, Event("setup.redeem", "allowed", by, target=by))
