"""One's own account, as its owner sees and changes it: password, and where one is signed in."""

from typing import Final, NamedTuple

from kho.oci.errors import Unauthorized
from kho.server.database.engine import Transaction
from kho.server.database.identities import accounts as account_rows
from kho.server.database.identities import credentials as rows
from kho.server.database.identities import groups
from kho.server.database.identities.accounts import AccountRow
from kho.server.database.identities.credentials import CredentialRow
from kho.server.index import logins
from kho.server.index.errors import Invalid
from kho.server.index.people import accounts
from kho.server.index.tokens import credentials
from kho.server.index.workloads import workload
from kho.server.policy.access import By
from kho.server.resources import Resources

# Of browsers, and of clients that keep a refresh token (`docker login`).
SIGNED_IN: Final = ("session", "refresh")
_BATCH: Final = 500


class Own(NamedTuple):
    """An account as its owner sees it; no row for who comes from a file, a directory, a proxy."""

    account: AccountRow | None
    groups: list[str]


class Login(NamedTuple):
    """Where somebody is signed in. `label` is what the browser or client calls itself."""

    id: int
    kind: str
    label: str
    address: str
    created_at: int
    last_used_at: int | None
    expires_at: int | None
    expired: bool


async def show(resources: Resources, name: str) -> Own:
    """What is known of a user."""
    return await resources.database.read(_show, name)


async def change_password(
    resources: Resources, name: str, old: str, new: str, *, by: By, keep: int
) -> int:
    """Replace one's own password, and end all logins but the session `keep`: their number.

    Raises Invalid for a wrong old password, too, and TooManyRequests.
    """
    accounts.check_password(new)
    known = (await show(resources, name)).account
    if known is None or known.source != accounts.LOCAL:
        raise Invalid("your password is not kept here: change it where you got it")
    try:
        if credentials.looks_like(old) or workload.looks_like(old):
            raise Unauthorized("a token is no password")
        await logins.authenticate(resources, name, old, by.address)
    except Unauthorized:
        raise Invalid("the old password is wrong") from None
    return await accounts.set_password(resources, name, new, by=by, keep=keep)


async def logins_of(resources: Resources, subject: str, after: int, limit: int) -> list[Login]:
    """Where a user is signed in, after that id."""
    found = await resources.database.read(rows.page, subject, SIGNED_IN, after, limit)
    return [_told(row) for row in found]


async def end_login(resources: Resources, subject: str, login: int) -> None:
    """Sign out there, at once. Raises NotFound for what is not one's own, too."""
    await resources.database.remove(credentials.remove_owned, login, subject, SIGNED_IN, subject)


async def end_others(resources: Resources, subject: str, keep: int) -> int:
    """Sign out everywhere but in the session `keep`; how many that were."""
    return await resources.database.remove(_end_others, subject, keep)


async def _end_others(tx: Transaction, subject: str, keep: int) -> int:
    ended = 0
    while found := await rows.page(tx, subject, SIGNED_IN, 0, _BATCH):
        others = [row.id for row in found if row.id != keep]
        for one in others:
            await credentials.remove(tx, one, subject)
        ended += len(others)
        if len(found) < _BATCH:
            break
    return ended


async def _show(tx: Transaction, name: str) -> Own:
    return Own(await account_rows.find(tx, name), await groups.of_user(tx, name))


def _told(row: CredentialRow) -> Login:
    return Login(
        id=row.id,
        kind=row.kind,
        label=row.name,
        address=str(credentials.details_of(row).get("address", "")),
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        expires_at=row.expires_at,
        expired=row.expires_at is not None and row.expires_at <= row.now,
    )
