"""Manifests by digest, the newest first; what hangs on another one is shown under it.

manifests by id ──> a window of so many ──> those that stand on their own, filtered ──> page
                      └─ children of indexes and referrers are left out, and come with theirs
"""

from functools import lru_cache
from typing import Final, Literal, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    Text,
    bindparam,
    func,
    literal_column,
    select,
)

from kho.server.database.constructs import OneOf, listed
from kho.server.database.contents.collected import before, collected, numbers, one_of_numbers, there
from kho.server.database.contents.tags import has_signature
from kho.server.database.engine import Transaction
from kho.server.database.schema import images, manifest_references, manifests, tags
from kho.server.database.statement import Statement, Value

Tagged = Literal["all", "tagged", "untagged"]
Kind = Literal["image", "index", "artifact"]

WINDOW: Final = 1000
TAGS: Final = 20
CHILDREN: Final = 32
REFERRERS: Final = 20

_table = manifests.c
_MANIFEST: Final = literal_column("'manifest'", Text())


class VersionRow(NamedTuple):
    """A manifest that stands on its own; `tags` and `referrers` are JSON lists."""

    id: int
    digest: str
    media_type: str
    artifact_type: str | None
    manifest_size: int
    created_at: int
    kind: str | None
    platforms: str | None
    total_size: int | None
    pushed_by: str | None
    pulled_at: int | None
    pulls: int | None
    tags: str
    referrers: str
    signed: int


class ChildRow(NamedTuple):
    """What an index lists; `media_type` is None when it is not here."""

    index_id: int
    digest: str
    media_type: str | None
    artifact_type: str | None
    manifest_size: int | None
    kind: str | None
    platforms: str | None
    total_size: int | None


class AttachedRow(NamedTuple):
    """A manifest with a subject."""

    subject: str
    digest: str
    media_type: str
    artifact_type: str | None
    size: int
    created_at: int


class Window(NamedTuple):
    """The lowest id of the next WINDOW manifests, None when there are none; how many it holds."""

    low: int | None
    held: int


_next = (
    select(_table.id)
    .where(_table.repository_id == bindparam("repository_id"))
    .where(_table.id < before())
    .order_by(_table.id.desc())
    .limit(bindparam("limit", type_=Integer()))
    .subquery()
)
_WINDOW: Final = Statement(select(func.min(_next.c.id), func.count()).select_from(_next))


def _is_child() -> ColumnElement[bool]:
    """An index of the same repository lists the manifest."""
    parent, listing = manifests.alias("parent"), manifest_references.alias("listing")
    return there(
        select(parent.c.id)
        .where(listing.c.digest == _table.digest)
        .where(listing.c.kind == _MANIFEST)
        .where(parent.c.id == listing.c.manifest_id)
        .where(parent.c.repository_id == _table.repository_id)
        .correlate(manifests)
    )


def _is_attached() -> ColumnElement[bool]:
    """Its subject is there."""
    subject = manifests.alias("subject")
    return there(
        select(subject.c.id)
        .where(subject.c.repository_id == _table.repository_id)
        .where(subject.c.digest == _table.subject_digest)
        .correlate(manifests)
    )


def _is_tagged() -> ColumnElement[bool]:
    tag = tags.alias("tag")
    return there(
        select(tag.c.name)
        .where(tag.c.repository_id == _table.repository_id)
        .where(tag.c.digest == _table.digest)
        .correlate(manifests)
    )


def _shown() -> Select[tuple[object, ...]]:
    tag, referrer = tags.alias("shown_tag"), manifests.alias("referrer")
    names = (
        select(tag.c.name)
        .where(tag.c.repository_id == _table.repository_id)
        .where(tag.c.digest == _table.digest)
        .correlate(manifests)
    )
    referrers = (
        select(referrer.c.digest)
        .where(referrer.c.repository_id == _table.repository_id)
        .where(referrer.c.subject_digest == _table.digest)
        .correlate(manifests)
    )
    return (
        select(
            _table.id,
            _table.digest,
            _table.media_type,
            _table.artifact_type,
            _table.size,
            _table.created_at,
            images.c.kind,
            images.c.platforms,
            images.c.total_size,
            images.c.pushed_by,
            images.c.pulled_at,
            images.c.pulls,
            collected(names, TAGS + 1),
            collected(referrers, REFERRERS + 1),
            has_signature(_table.repository_id, _table.digest),
        )
        .outerjoin(images, images.c.manifest_id == _table.id)
        .where(_table.repository_id == bindparam("repository_id"))
    )


@lru_cache(maxsize=16)
def page_statement(tagged: Tagged, *, of_kind: bool) -> Statement:
    """The manifests of a window that stand on their own."""
    query = _shown().where(_table.id < before())
    query = query.where(_table.id >= bindparam("low", type_=BigInteger()))
    query = query.where(~_is_child()).where(~_is_attached())
    if tagged != "all":
        query = query.where(_is_tagged() if tagged == "tagged" else ~_is_tagged())
    if of_kind:
        query = query.where(images.c.kind == bindparam("kind", type_=Text()))
    return Statement(query.order_by(_table.id.desc()).limit(bindparam("limit", type_=Integer())))


_ONE: Final = Statement(_shown().where(_table.digest == bindparam("digest")))
_child = manifests.alias("child")
_CHILDREN: Final = Statement(
    select(
        manifest_references.c.manifest_id,
        manifest_references.c.digest,
        _child.c.media_type,
        _child.c.artifact_type,
        _child.c.size,
        images.c.kind,
        images.c.platforms,
        images.c.total_size,
    )
    .select_from(manifest_references)
    .outerjoin(
        _child,
        (_child.c.repository_id == bindparam("repository_id", type_=BigInteger()))
        & (_child.c.digest == manifest_references.c.digest),
    )
    .outerjoin(images, images.c.manifest_id == _child.c.id)
    .where(one_of_numbers(manifest_references.c.manifest_id, "ids"))
    .where(manifest_references.c.kind == _MANIFEST)
    .where(manifest_references.c.position <= literal_column(str(CHILDREN)))
    .order_by(manifest_references.c.manifest_id, manifest_references.c.position)
)
_ATTACHED: Final = Statement(
    select(
        _table.subject_digest,
        _table.digest,
        _table.media_type,
        _table.artifact_type,
        _table.size,
        _table.created_at,
    )
    .where(_table.repository_id == bindparam("repository_id"))
    .where(OneOf(_table.digest, "digests"))
    .order_by(_table.id.desc())
)


async def window(tx: Transaction, repository_id: int, below: int) -> Window:
    """The next manifests with an id below."""
    row = await tx.one(_WINDOW, repository_id=repository_id, before=below, limit=WINDOW)
    return Window(None, 0) if row is None else Window(*row)


async def page(
    tx: Transaction,
    repository_id: int,
    between: tuple[int, int],
    tagged: Tagged,
    kind: Kind | None,
    limit: int,
) -> list[VersionRow]:
    """Manifests with low <= id < below that stand on their own."""
    low, below = between
    values: dict[str, Value] = {"repository_id": repository_id, "low": low, "before": below}
    if kind is not None:
        values["kind"] = kind
    statement = page_statement(tagged, of_kind=kind is not None)
    return [VersionRow(*row) for row in await tx.all(statement, **values, limit=limit)]


async def one(tx: Transaction, repository_id: int, digest: str) -> VersionRow | None:
    """One manifest, wherever it hangs."""
    row = await tx.one(_ONE, repository_id=repository_id, digest=digest)
    return None if row is None else VersionRow(*row)


async def children(tx: Transaction, repository_id: int, ids: list[int]) -> list[ChildRow]:
    """What these indexes list, the first CHILDREN + 1 of each."""
    found = await tx.all(_CHILDREN, repository_id=repository_id, ids=numbers(ids))
    return [ChildRow(*row) for row in found]


async def attached(tx: Transaction, repository_id: int, digests: list[str]) -> list[AttachedRow]:
    """These manifests, as referrers, the newest first."""
    found = await tx.all(_ATTACHED, repository_id=repository_id, digests=listed(digests))
    return [AttachedRow(*row) for row in found]
