"""Rows of credentials: secrets are known by their hash only, a child ends with its parent."""

from typing import Any, Final, NamedTuple

import sqlalchemy
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Text,
    bindparam,
    case,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.selectable import NamedFromClause

from kho.server.database.constructs import Claim, Now, OneOf, listed
from kho.server.database.engine import Transaction
from kho.server.database.schema import credentials
from kho.server.database.statement import Statement

# The time of the last use is that exact.
TOUCH_MILLISECONDS: Final = 60_000

_table = credentials.c
_parents = credentials.alias("parents")


def _unexpired(table: sqlalchemy.Table | NamedFromClause) -> ColumnElement[bool]:
    return or_(table.c.expires_at.is_(None), table.c.expires_at > Now())


_LIVING: Final = (
    _unexpired(credentials),
    or_(
        _table.parent_id.is_(None),
        sqlalchemy.exists()
        .where(_parents.c.id == _table.parent_id)
        .where(_unexpired(_parents))
        .correlate(credentials),
    ),
)
_ROW: Final = (
    _table.id,
    _table.kind,
    _table.subject,
    _table.name,
    _table.ceiling,
    _table.details,
    _table.parent_id,
    _table.lifetime,
    _table.expires_at,
    _table.created_at,
    _table.last_used_at,
    Now().label("now"),
)
_NAMED: Final = (
    _table.subject == bindparam("subject"),
    _table.kind == bindparam("kind"),
    _table.name == bindparam("name"),
)

_FIND: Final = Statement(
    select(*_ROW).where(_table.secret_hash == bindparam("secret_hash")).where(*_LIVING)
)
_OF_ID: Final = Statement(select(*_ROW).where(_table.id == bindparam("id")).where(*_LIVING))
_OF_ID_OR_EXPIRED: Final = Statement(select(*_ROW).where(_table.id == bindparam("id")))
_ID_OF_HASH: Final = Statement(
    select(_table.id).where(_table.secret_hash == bindparam("secret_hash"))
)
_INSERT: Final = Statement(
    insert(credentials)
    .values(
        id=bindparam("id"),
        kind=bindparam("kind"),
        secret_hash=bindparam("secret_hash"),
        subject=bindparam("subject"),
        name=bindparam("name"),
        ceiling=bindparam("ceiling"),
        details=bindparam("details"),
        parent_id=bindparam("parent_id"),
        lifetime=bindparam("lifetime"),
        expires_at=Now() + bindparam("expires_in", type_=BigInteger()),  # NULL in, NULL out
        created_at=Now(),
    )
    .on_conflict_do_nothing()
    .returning(_table.id)
)
_TOUCH: Final = Statement(
    update(credentials)
    .values(
        last_used_at=Now(),
        expires_at=case(
            (_table.lifetime.is_(None), _table.expires_at), else_=Now() + _table.lifetime
        ),
    )
    .where(_table.id == bindparam("id"))
    .where(or_(_table.last_used_at.is_(None), _table.last_used_at <= Now() - TOUCH_MILLISECONDS))
    .where(_unexpired(credentials))
)
_CLAIM_NAME: Final = Statement(select(Claim("number", "text")))
_NAMED_ROW: Final = Statement(select(*_ROW).where(*_NAMED).where(_unexpired(credentials)))
_DROP_EXPIRED: Final = Statement(
    sqlalchemy.delete(credentials).where(*_NAMED).where(~_unexpired(credentials))
)
_PAGE: Final = Statement(
    select(*_ROW)
    .where(OneOf(_table.kind, "kinds"))
    .where(_table.id > bindparam("after"))
    .order_by(_table.id)
    .limit(bindparam("limit", type_=Integer()))
)
_PAGE_OF_SUBJECT: Final = Statement(
    select(*_ROW)
    .where(_table.subject == bindparam("subject"))
    .where(OneOf(_table.kind, "kinds"))
    .where(_table.id > bindparam("after"))
    .order_by(_table.id)
    .limit(bindparam("limit", type_=Integer()))
)
_REMOVE: Final = Statement(
    sqlalchemy.delete(credentials).where(_table.id == bindparam("id")).returning(*_ROW)
)
_TAKE: Final = Statement(
    sqlalchemy.delete(credentials)
    .where(_table.secret_hash == bindparam("secret_hash"))
    .where(_table.kind == bindparam("kind"))
    .where(_unexpired(credentials))
    .returning(*_ROW)
)
_SETTLE: Final = Statement(
    update(credentials)
    .values(
        subject=bindparam("new_subject", type_=Text()),
        details=bindparam("new_details", type_=Text()),
    )
    .where(_table.id == bindparam("of"))
    .where(_unexpired(credentials))
)
_PURGE: Final = Statement(
    sqlalchemy.delete(credentials).where(
        _table.id.in_(
            select(_table.id)
            .where(_table.expires_at <= Now())
            .order_by(_table.expires_at)
            .limit(bindparam("limit", type_=Integer()))
        )
    )
)


class CredentialRow(NamedTuple):
    """One credential; times in milliseconds, `now` by the same clock; texts are JSON."""

    id: int
    kind: str
    subject: str
    name: str
    ceiling: str | None
    details: str | None
    parent_id: int | None
    lifetime: int | None
    expires_at: int | None
    created_at: int
    last_used_at: int | None
    now: int


class NewCredential(NamedTuple):
    """What is inserted. `expires_in` and `lifetime` in milliseconds; None has no end."""

    id: int
    kind: str
    secret_hash: str
    subject: str
    name: str
    ceiling: str | None
    details: str | None
    parent_id: int | None
    lifetime: int | None
    expires_in: int | None


async def find(tx: Transaction, secret_hash: str) -> CredentialRow | None:
    """The credential, unless it or its parent has expired."""
    row = await tx.one(_FIND, secret_hash=secret_hash)
    return None if row is None else CredentialRow(*row)


async def of_id(
    tx: Transaction, credential_id: int, *, expired: bool = False
) -> CredentialRow | None:
    """The credential, unless it or its parent has expired, where that is not all the same."""
    row = await tx.one(_OF_ID_OR_EXPIRED if expired else _OF_ID, id=credential_id)
    return None if row is None else CredentialRow(*row)


async def exists(tx: Transaction, secret_hash: str) -> bool:
    """Whether there is such a row, expired or not."""
    return await tx.one(_ID_OF_HASH, secret_hash=secret_hash) is not None


async def add(tx: Transaction, new: NewCredential) -> bool:
    """Insert one; False when its id is taken. Raises ConstraintViolated without its parent."""
    return await tx.one(_INSERT, **new._asdict()) is not None


async def claim_name(tx: Transaction, subject: str, kind: str, name: str) -> CredentialRow | None:
    """Who has the name; None: it is free until this write ends. What had expired is dropped."""
    await tx.run(_CLAIM_NAME, number=0, text=f"credentials {subject} {kind} {name}")
    named: dict[str, Any] = {"subject": subject, "kind": kind, "name": name}
    await tx.run(_DROP_EXPIRED, **named)
    return await by_name(tx, subject, kind, name)


async def by_name(tx: Transaction, subject: str, kind: str, name: str) -> CredentialRow | None:
    """The unexpired one of that name."""
    row = await tx.one(_NAMED_ROW, subject=subject, kind=kind, name=name)
    return None if row is None else CredentialRow(*row)


async def touch(tx: Transaction, credential_id: int) -> None:
    """Note a use, once a minute; a sliding end moves with it."""
    await tx.run(_TOUCH, id=credential_id)


async def page(
    tx: Transaction, subject: str | None, kinds: tuple[str, ...], after: int, limit: int
) -> list[CredentialRow]:
    """Credentials of these kinds by id, of one subject or of all; expired ones too."""
    values: dict[str, Any] = {"kinds": listed(kinds), "after": after, "limit": limit}
    if subject is None:
        rows = await tx.all(_PAGE, **values)
    else:
        rows = await tx.all(_PAGE_OF_SUBJECT, **values, subject=subject)
    return [CredentialRow(*row) for row in rows]


async def remove(tx: Transaction, credential_id: int) -> CredentialRow | None:
    """Delete one with its children; the caller bumps the revision."""
    row = await tx.one(_REMOVE, id=credential_id)
    return None if row is None else CredentialRow(*row)


async def take(tx: Transaction, secret_hash: str, kind: str) -> CredentialRow | None:
    """Delete an unexpired one and tell what it was: of two that try, one gets it."""
    row = await tx.one(_TAKE, secret_hash=secret_hash, kind=kind)
    return None if row is None else CredentialRow(*row)


async def settle(tx: Transaction, credential_id: int, subject: str, details: str | None) -> bool:
    """Say later whose an unexpired one is."""
    return bool(await tx.run(_SETTLE, of=credential_id, new_subject=subject, new_details=details))


async def purge(tx: Transaction, limit: int) -> int:
    """Delete expired ones, the oldest first; how many (children not counted)."""
    return await tx.run(_PURGE, limit=limit)
