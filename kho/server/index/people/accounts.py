"""Accounts of people, as operators make, change and remove them."""

from typing import Final, NamedTuple

from kho.server.config import Config
from kho.server.database import audit
from kho.server.database.audit import Event
from kho.server.database.engine import Transaction
from kho.server.database.identities import accounts as rows
from kho.server.database.identities import grants, groups, robots
from kho.server.database.identities.accounts import AccountRow
from kho.server.database.identities.grants import GrantRow
from kho.server.index import pages
from kho.server.index.errors import Conflict, Invalid, NotFound
from kho.server.index.people.names import check_name
from kho.server.resources import Resources

Account = AccountRow

LOCAL: Final = "local"
PASSWORD_BYTES: Final = (8, 1024)
EMAIL_LENGTH: Final = 254


class Known(NamedTuple):
    """An account with what belongs to it; `grants` are its own, without those of its groups."""

    account: AccountRow
    groups: list[str]
    grants: list[GrantRow]


class Change(NamedTuple):
    """What becomes different; None stays. An empty e-mail address is none."""

    admin: bool | None = None
    disabled: bool | None = None
    email: str | None = None


def check_password(password: str) -> None:
    """Raise Invalid for a password that is too short or too long."""
    least, most = PASSWORD_BYTES
    try:
        size = len(password.encode())
    except UnicodeEncodeError:
        raise Invalid("the password is not UTF-8") from None
    if not least <= size <= most:
        raise Invalid(
            "the password has %(size)s bytes; allowed are %(least)s to %(most)s bytes",
            size=size,
            least=least,
            most=most,
        )


def users_come_from_elsewhere(config: Config) -> bool:
    """Whether somebody without an account here may sign in, or get one by signing in."""
    return bool(
        config.auth.htpasswd or config.ldap.url or config.oidc.issuer or config.http.subject_header
    )


async def add(
    resources: Resources,
    name: str,
    password: str,
    *,
    by: str,
    admin: bool = False,
    email: str | None = None,
) -> bool:
    """Create an account; True when there was nobody before. Raises Invalid, Conflict."""
    from kho.server.index.sources.passwords import hash_password  # noqa: PLC0415

    check_name(name)
    check_password(password)
    email = _checked_email(email)
    if await resources.database.read(rows.find, name) is not None:
        raise _taken(name)  # said before the hash is paid for
    password_hash = await hash_password(resources, password)
    return await resources.database.write(_add, name, password_hash, email, admin, by)


async def set_password(
    resources: Resources, name: str, password: str, *, by: str, keep: int = 0
) -> int:
    """Replace the password, and end the user's sessions and refresh tokens: their number.

    `keep` is the session that stays. Raises Invalid, NotFound.
    """
    from kho.server.index.sources.passwords import hash_password  # noqa: PLC0415

    check_password(password)
    _require_local(_found(await resources.database.read(rows.find, name), name))
    password_hash = await hash_password(resources, password)
    return await resources.database.write(_set_password, name, password_hash, by, keep)


async def change(
    resources: Resources, name: str, to: Change, *, by: str, force: bool = False
) -> AccountRow:
    """Change an account. Raises NotFound, Invalid; Conflict when no administrator would be left."""
    if to.email is not None:
        to = to._replace(email=_checked_email(to.email) or "")
    # Among the changes is disabling an account, which a full disk must not hinder.
    return await resources.database.remove(_change, name, to, by, force)


async def remove(resources: Resources, name: str, *, by: str, force: bool = False) -> None:
    """Take an account away with its memberships, grants and credentials.

    Raises NotFound; Conflict when no administrator would be left.
    """
    await resources.database.remove(_remove, name, by, force)


async def show(resources: Resources, name: str) -> Known:
    """An account, its groups and its grants. Raises NotFound."""
    return await resources.database.read(_show, name)


async def every(resources: Resources) -> list[AccountRow]:
    """All accounts, by name."""
    return await pages.every(lambda last, limit: page(resources, last and last.name, limit))


async def page(resources: Resources, after: str | None, limit: int) -> list[AccountRow]:
    """The accounts after that name."""
    return await resources.database.read(rows.page, after, limit)


async def nobody_yet(tx: Transaction) -> bool:
    """Whether there is neither an account nor a robot."""
    return not await rows.any_exists(tx) and not await robots.page(tx, None, 1)


async def _add(
    tx: Transaction, name: str, password_hash: str, email: str | None, admin: bool, by: str
) -> bool:
    first = await nobody_yet(tx)
    if not await rows.add(
        tx, name, source=LOCAL, password_hash=password_hash, email=email, admin=admin
    ):
        raise _taken(name)
    await _record(tx, "user.add", name, by, admin=admin)
    return first


async def _set_password(tx: Transaction, name: str, password_hash: str, by: str, keep: int) -> int:
    _require_local(_found(await rows.find(tx, name), name))
    await rows.set_password(tx, name, password_hash)
    ended = await rows.sign_out(tx, name, keep)
    await _record(tx, "user.password", name, by, ended=ended)
    return ended


async def _change(tx: Transaction, name: str, to: Change, by: str, force: bool) -> AccountRow:
    if (to.admin is False or to.disabled) and not force:
        await _require_another_admin(tx, name)
    account = _found(await rows.find(tx, name), name)
    told: dict[str, object] = {}
    if to.admin is not None and to.admin != account.admin:
        await rows.set_admin(tx, name, to.admin)
        told["admin"] = to.admin
    if to.disabled is not None and to.disabled != account.disabled:
        await rows.set_disabled(tx, name, to.disabled)
        told["disabled"] = to.disabled
    if to.email is not None and (to.email or None) != account.email:
        await rows.set_email(tx, name, to.email or None)
        told["email"] = to.email
    if told:
        await _record(tx, "user.set", name, by, **told)
    return _found(await rows.find(tx, name), name)


async def _remove(tx: Transaction, name: str, by: str, force: bool) -> None:
    if not force:
        await _require_another_admin(tx, name)
    if not await rows.delete(tx, name):
        raise _unknown(name)
    await _record(tx, "user.remove", name, by)


async def _show(tx: Transaction, name: str) -> Known:
    account = _found(await rows.find(tx, name), name)
    own = await grants.of_subject(tx, f"user:{name}")
    return Known(account, await groups.of_user(tx, name), own)


async def _require_another_admin(tx: Transaction, name: str) -> None:
    if await rows.enabled_admins(tx) == [name]:
        raise Conflict(
            "%(name)s is the last administrator who can come in; make another one first,"
            " or use --force",
            name=name,
        )


async def _record(tx: Transaction, action: str, name: str, by: str, **details: object) -> None:
    await audit.record(tx, Event(action, "allowed", by, target=f"user:{name}", details=details))


def _found(account: AccountRow | None, name: str) -> AccountRow:
    if account is None:
        raise _unknown(name)
    return account


def _require_local(account: AccountRow) -> None:
    if account.source != LOCAL:
        raise Invalid(
            "%(name)s signs in at the %(source)s provider and has no password here",
            name=account.name,
            source=account.source,
        )


def _checked_email(email: str | None) -> str | None:
    """An address, or None for none. Raises Invalid."""
    if not email:
        return None
    before, at, after = email.rpartition("@")
    if not (before and at and after and email.isprintable()) or " " in email:
        raise Invalid(
            "%(email)s is no e-mail address; allowed is NAME@DOMAIN", email=ascii(email[:80])
        )
    if len(email) > EMAIL_LENGTH:
        raise Invalid("an e-mail address has at most %(most)s characters", most=EMAIL_LENGTH)
    return email


def _unknown(name: str) -> NotFound:
    return NotFound(
        "there is no user %(name)s; `khod users list` shows who there is", name=name[:129]
    )


def _taken(name: str) -> Conflict:
    return Conflict(
        "there is a user %(name)s already; `khod users passwd` changes the password", name=name
    )
