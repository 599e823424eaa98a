"""Rows of accounts: people whose name this registry holds itself."""

from typing import Final, NamedTuple

import sqlalchemy
from sqlalchemy import BigInteger, Integer, bindparam, select, update
from sqlalchemy.dialects.postgresql import insert

from kho.server.database.constructs import Now, OneOf, listed
from kho.server.database.engine import Transaction
from kho.server.database.identities import revisions
from kho.server.database.schema import accounts, credentials, grants, group_members
from kho.server.database.statement import Row, Statement

_table = accounts.c
_COLUMNS: Final = (
    _table.id,
    _table.name,
    _table.source,
    _table.external_id,
    _table.password_hash,
    _table.email,
    _table.admin,
    _table.disabled,
    _table.created_at,
    _table.last_login_at,
)
_SIGNED_IN: Final = ("refresh", "session", "device")

_OF_NAME: Final = _table.name == bindparam("of")
_FIND: Final = Statement(select(*_COLUMNS).where(_OF_NAME))
_HOLD: Final = Statement(select(_table.id).where(_OF_NAME).with_for_update(read=True))
_BY_EXTERNAL_ID: Final = Statement(
    select(*_COLUMNS).where(_table.external_id == bindparam("external_id"))
)
_INSERT: Final = Statement(
    insert(accounts)
    .values(
        name=bindparam("name"),
        source=bindparam("source"),
        external_id=bindparam("external_id"),
        password_hash=bindparam("password_hash"),
        email=bindparam("email"),
        admin=bindparam("admin"),
        disabled=0,
        created_at=Now(),
    )
    .on_conflict_do_nothing()
    .returning(_table.id)
)
_SET_PASSWORD: Final = Statement(
    update(accounts).values(password_hash=bindparam("to")).where(_OF_NAME)
)
_REHASH: Final = Statement(
    update(accounts)
    .values(password_hash=bindparam("to"))
    .where(_OF_NAME)
    .where(_table.password_hash == bindparam("was"))
)
_SET_ADMIN: Final = Statement(update(accounts).values(admin=bindparam("to")).where(_OF_NAME))
_SET_DISABLED: Final = Statement(update(accounts).values(disabled=bindparam("to")).where(_OF_NAME))
_SET_EMAIL: Final = Statement(update(accounts).values(email=bindparam("to")).where(_OF_NAME))
_LOGGED_IN: Final = Statement(update(accounts).values(last_login_at=Now()).where(_OF_NAME))
_DELETE: Final = Statement(sqlalchemy.delete(accounts).where(_OF_NAME))
_LEAVE_GROUPS: Final = Statement(
    sqlalchemy.delete(group_members).where(group_members.c.user_name == bindparam("of"))
)
_DROP_GRANTS: Final = Statement(
    sqlalchemy.delete(grants).where(grants.c.subject == bindparam("subject"))
)
_DROP_CREDENTIALS: Final = Statement(
    sqlalchemy.delete(credentials).where(credentials.c.subject == bindparam("subject"))
)
_SIGN_OUT: Final = Statement(
    sqlalchemy.delete(credentials)
    .where(credentials.c.subject == bindparam("subject"))
    .where(OneOf(credentials.c.kind, "kinds"))
    .where(credentials.c.id != bindparam("keep", type_=BigInteger()))
)
# The link that makes the first administrator is good until somebody else has become one.
_DROP_SETUP_LINKS: Final = Statement(
    sqlalchemy.delete(credentials).where(credentials.c.kind == "setup")
)
_PAGE: Final = Statement(
    select(*_COLUMNS)
    .where(_table.name > bindparam("after"))
    .order_by(_table.name)
    .limit(bindparam("limit", type_=Integer()))
)
_ANY: Final = Statement(select(_table.id).limit(1))
_ADMINS: Final = (
    select(_table.name).where(_table.admin == 1).where(_table.disabled == 0).order_by(_table.name)
)
_READ_ADMINS: Final = Statement(_ADMINS)
_HOLD_ADMINS: Final = Statement(_ADMINS.with_for_update())


class AccountRow(NamedTuple):
    """An account; times in milliseconds. `source` is local or oidc."""

    id: int
    name: str
    source: str
    external_id: str | None
    password_hash: str | None
    email: str | None
    admin: bool
    disabled: bool
    created_at: int
    last_login_at: int | None


async def find(tx: Transaction, name: str) -> AccountRow | None:
    """The account of that name."""
    row = await tx.one(_FIND, of=name)
    return None if row is None else _account(row)


async def hold(tx: Transaction, name: str) -> bool:
    """Whether there is such an account, which then stays until this write ends."""
    return await tx.one(_HOLD, of=name) is not None


async def by_external_id(tx: Transaction, external_id: str) -> AccountRow | None:
    """The account of a person of another provider."""
    row = await tx.one(_BY_EXTERNAL_ID, external_id=external_id)
    return None if row is None else _account(row)


async def add(
    tx: Transaction,
    name: str,
    *,
    source: str,
    password_hash: str | None = None,
    external_id: str | None = None,
    email: str | None = None,
    admin: bool = False,
) -> bool:
    """Create an account; False when the name (or the external id) is taken."""
    row = await tx.one(
        _INSERT,
        name=name,
        source=source,
        external_id=external_id,
        password_hash=password_hash,
        email=email,
        admin=int(admin),
    )
    if row is None:
        return False
    if admin:
        await tx.run(_DROP_SETUP_LINKS)
    await revisions.bump(tx)
    return True


async def set_password(tx: Transaction, name: str, password_hash: str) -> bool:
    """Keep another hash; False when there is no such account. Ends no session."""
    return await _set(tx, _SET_PASSWORD, name, password_hash)


async def rehash(tx: Transaction, name: str, was: str, to: str) -> bool:
    """Keep another hash of the same password; False when it is another one by now."""
    return await tx.run(_REHASH, of=name, was=was, to=to) > 0


async def set_admin(tx: Transaction, name: str, admin: bool) -> bool:
    """Make an administrator of it, or not; False when there is no such account."""
    found = await _set(tx, _SET_ADMIN, name, int(admin))
    if found and admin:
        await tx.run(_DROP_SETUP_LINKS)
    return found


async def set_disabled(tx: Transaction, name: str, disabled: bool) -> bool:
    """Shut it out, or let it in again; False when there is no such account."""
    return await _set(tx, _SET_DISABLED, name, int(disabled))


async def set_email(tx: Transaction, name: str, email: str | None) -> bool:
    """Keep another address; False when there is no such account."""
    return await tx.run(_SET_EMAIL, of=name, to=email) > 0


async def logged_in(tx: Transaction, name: str) -> None:
    """Remember that it signed in just now."""
    await tx.run(_LOGGED_IN, of=name)


async def sign_out(tx: Transaction, name: str, keep: int = 0) -> int:
    """End its sessions and refresh tokens, and count them; access tokens stay, and `keep`."""
    return await tx.run(_SIGN_OUT, subject=f"user:{name}", kinds=listed(_SIGNED_IN), keep=keep)


async def delete(tx: Transaction, name: str) -> bool:
    """Take it away with its memberships, grants and credentials; False when there was none."""
    # The account first: whoever holds it to give it a grant is waited for.
    found = await tx.run(_DELETE, of=name) > 0
    if found:
        await tx.run(_LEAVE_GROUPS, of=name)
        await tx.run(_DROP_GRANTS, subject=f"user:{name}")
        await tx.run(_DROP_CREDENTIALS, subject=f"user:{name}")
        await revisions.bump(tx)
    return found


async def page(tx: Transaction, after: str | None, limit: int) -> list[AccountRow]:
    """The accounts after `after`, by name."""
    return [_account(row) for row in await tx.all(_PAGE, after=after or "", limit=limit)]


async def any_exists(tx: Transaction) -> bool:
    """Whether there is an account at all."""
    return await tx.one(_ANY) is not None


async def admins(tx: Transaction) -> list[str]:
    """The administrators who can come in, by name."""
    return [name for (name,) in await tx.all(_READ_ADMINS)]


async def enabled_admins(tx: Transaction) -> list[str]:
    """The same for a decision: they stay so until this write ends."""
    return [name for (name,) in await tx.all(_HOLD_ADMINS)]


async def _set(tx: Transaction, statement: Statement, name: str, to: str | int) -> bool:
    if not await tx.run(statement, of=name, to=to):
        return False
    await revisions.bump(tx)
    return True


def _account(row: Row) -> AccountRow:
    account = AccountRow(*row)
    return account._replace(admin=bool(account.admin), disabled=bool(account.disabled))
