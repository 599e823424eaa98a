"""Tags with what they point at: filtered, in four orders, page by page.

    the index of the order ──> keys and names of a page ──> everything that is shown of these

A filter is tried on the index alone, so that a hundred thousand tags are walked in milliseconds.
"""

import json
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Text,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    or_,
    select,
    tuple_,
)

from kho.server.database.constructs import OneOf, listed
from kho.server.database.contents.collected import collected, there
from kho.server.database.engine import Transaction
from kho.server.database.schema import images, manifests, tags
from kho.server.database.statement import Row, Statement, Value

Order = Literal["name", "pushed", "size", "pulls"]

ALIASES: Final = 12
# Signatures by the type of their manifest; a bundle may also hold another statement.
SIGNATURES: Final = (
    "application/vnd.cncf.notary.signature",
    "application/vnd.dev.cosign.artifact.sig.v1+json",
    "application/vnd.dev.cosign.simplesigning.v1+json",
)
BUNDLES: Final = (
    "application/vnd.dev.sigstore.bundle.v0.3+json",
    "application/vnd.dev.sigstore.bundle+json;version=0.3",
)
_PREDICATE: Final = "dev.sigstore.bundle.predicateType"
_SIGNED_PREDICATE: Final = "https://sigstore.dev/cosign/sign/v1"

_table = tags.c
_KEYS: Final[dict[Order, ColumnElement[int | str]]] = {
    "name": _table.natural_key,
    "pushed": _table.updated_at,
    "size": _table.size,
    "pulls": _table.pulls,
}


class Wanted(NamedTuple):
    """Which tags, in which order. `like` is a lower-case pattern of LIKE, escaped by `!`.

    `after` is the key and the name of the last tag of the page before.
    """

    order: Order = "name"
    descending: bool = False
    like: str | None = None
    after: tuple[int | str, str] | None = None


class TagRow(NamedTuple):
    """A tag; times in milliseconds, 0 is never. `aliases` may hold its own name."""

    name: str
    digest: str
    updated_at: int
    pushed_by: str
    pulled_at: int
    pulls: int
    media_type: str
    artifact_type: str | None
    manifest_size: int
    kind: str | None
    platforms: str | None
    total_size: int | None
    built_at: int | None
    aliases: str
    signed: int


@lru_cache(maxsize=64)
def keys_statement(order: Order, *, descending: bool, filtered: bool, first: bool) -> Statement:
    """Keys and names of a page, from the index of the order."""
    key = _KEYS[order]
    query = select(key, _table.name).where(_table.repository_id == bindparam("repository_id"))
    if not first:
        typed = bindparam("key", type_=Text() if order == "name" else BigInteger())
        here, last = tuple_(key, _table.name), tuple_(typed, bindparam("after", type_=Text()))
        query = query.where(here < last if descending else here > last)
    if filtered:
        like = bindparam("like", type_=Text())
        query = query.where(func.lower(_table.name).like(like, escape="!"))
    ordered = (key.desc(), _table.name.desc()) if descending else (key, _table.name)
    return Statement(query.order_by(*ordered).limit(bindparam("limit", type_=Integer())))


def _quoted(text: str) -> ColumnElement[str]:
    return literal_column("'" + text.replace("'", "''") + "'", Text())


def _one_of(column: ColumnElement[str], texts: tuple[str, ...]) -> ColumnElement[bool]:
    return column.in_([_quoted(text) for text in texts])


def has_signature(
    repository_id: ColumnElement[int], digest: ColumnElement[str]
) -> ColumnElement[int]:
    """1 when something that says it is a signature of the manifest is there, unverified."""
    signature, old = manifests.alias("signature"), tags.alias("old_signature")
    notes = signature.c.annotations
    signs = or_(
        notes.is_(None),
        notes.not_like(_quoted(f"%{_PREDICATE}%")),
        notes.like(_quoted(f"%{_SIGNED_PREDICATE}%")),
    )
    type_ = signature.c.artifact_type
    attached = there(
        select(signature.c.id)
        .where(signature.c.repository_id == repository_id)
        .where(signature.c.subject_digest == digest)
        .where(or_(_one_of(type_, SIGNATURES), and_(_one_of(type_, BUNDLES), signs)))
        .correlate_except(signature)
    )
    # cosign before referrers: sha256-<hex>.sig
    named = func.replace(digest, _quoted(":"), _quoted("-")) + _quoted(".sig")
    by_tag = there(
        select(old.c.name)
        .where(old.c.repository_id == repository_id)
        .where(old.c.name == named)
        .correlate_except(old)
    )
    return case((or_(attached, by_tag), literal_column("1")), else_=literal_column("0"))


_other = tags.alias("other")
_ALIASES: Final = collected(
    select(_other.c.name)
    .where(_other.c.repository_id == _table.repository_id)
    .where(_other.c.digest == _table.digest)
    .correlate(tags),
    ALIASES + 2,
)
_ROWS: Final = Statement(
    select(
        _table.name,
        _table.digest,
        _table.updated_at,
        _table.pushed_by,
        _table.pulled_at,
        _table.pulls,
        manifests.c.media_type,
        manifests.c.artifact_type,
        manifests.c.size,
        images.c.kind,
        images.c.platforms,
        images.c.total_size,
        images.c.built_at,
        _ALIASES,
        has_signature(_table.repository_id, _table.digest),
    )
    .join(
        manifests,
        (manifests.c.repository_id == _table.repository_id) & (manifests.c.digest == _table.digest),
    )
    .outerjoin(images, images.c.manifest_id == manifests.c.id)
    .where(_table.repository_id == bindparam("repository_id"))
    .where(OneOf(_table.name, "names"))
)
_OF_DIGEST: Final = Statement(
    select(_table.name)
    .where(_table.repository_id == bindparam("repository_id"))
    .where(_table.digest == bindparam("digest"))
    .limit(bindparam("limit", type_=Integer()))
)


async def keys(tx: Transaction, repository_id: int, wanted: Wanted, limit: int) -> list[Row]:
    """The key and the name of each tag of the page."""
    values: dict[str, Value] = {"repository_id": repository_id, "limit": limit}
    if wanted.like is not None:
        values["like"] = wanted.like
    if wanted.after is not None:
        values["key"], values["after"] = wanted.after
    statement = keys_statement(
        wanted.order,
        descending=wanted.descending,
        filtered=wanted.like is not None,
        first=wanted.after is None,
    )
    return await tx.all(statement, **values)


async def rows(tx: Transaction, repository_id: int, names: list[str]) -> dict[str, TagRow]:
    """What is shown of these tags."""
    found = await tx.all(_ROWS, repository_id=repository_id, names=listed(names))
    return {row[0]: TagRow(*row) for row in found}


async def names_of(tx: Transaction, repository_id: int, digest: str, limit: int) -> list[str]:
    """So many tags of a manifest, in no order: there may be a hundred thousand."""
    found = await tx.all(_OF_DIGEST, repository_id=repository_id, digest=digest, limit=limit)
    return [name for (name,) in found]


def texts(json_list: str | None) -> list[str]:
    """A JSON list of strings from a row."""
    return [str(one) for one in json.loads(json_list)] if json_list else []
