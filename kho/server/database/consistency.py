"""Rows of manifests and tags, page by page and each by itself, for those who compare them all.

What must agree is read in one statement: a look at it is one moment.
"""

from typing import Any, Final, NamedTuple

from sqlalchemy import BigInteger, bindparam, exists, select, tuple_
from sqlalchemy.sql.selectable import ScalarSelect

from kho.oci.digest import Digest
from kho.server.database.constructs import OneOf, listed
from kho.server.database.engine import Transaction
from kho.server.database.inventory import firsts, limited
from kho.server.database.schema import (
    blobs,
    manifest_references,
    manifests,
    repositories,
    repository_blobs,
    tag_history,
    tags,
)
from kho.server.database.statement import Statement

Key = tuple[int, str]

_name = repositories.c.name


def _number(name: str) -> Any:  # noqa: ANN401
    return bindparam(name, type_=BigInteger())


_MANIFESTS: Final = limited(
    select(manifests.c.id).where(manifests.c.id > _number("after")).order_by(manifests.c.id)
)
_MANIFEST: Final = Statement(
    select(
        manifests.c.repository_id,
        _name,
        manifests.c.digest,
        manifests.c.media_type,
        manifests.c.subject_digest,
        manifests.c.size,
        manifests.c.body,
    )
    .join(repositories, repositories.c.id == manifests.c.repository_id, isouter=True)
    .where(manifests.c.id == _number("id"))
)
_REFERENCES: Final = Statement(
    select(manifest_references.c.kind, manifest_references.c.digest)
    .where(manifest_references.c.manifest_id == _number("id"))
    .order_by(manifest_references.c.position)
)
_LINKED: Final = Statement(
    select(repository_blobs.c.digest)
    .where(repository_blobs.c.repository_id == _number("repository_id"))
    .where(OneOf(repository_blobs.c.digest, "digests"))
)
_LISTED: Final = Statement(
    select(manifests.c.digest)
    .where(manifests.c.repository_id == _number("repository_id"))
    .where(OneOf(manifests.c.digest, "digests"))
)


def _later(
    table: Any,  # noqa: ANN401
    column: str,
) -> Statement:
    """The keys (repository, `column`) after one."""
    key = tuple_(table.c.repository_id, table.c[column])
    after = tuple_(_number("repository_id"), bindparam("after"))
    query = select(table.c.repository_id, table.c[column]).where(key > after)
    return limited(query.order_by(table.c.repository_id, table.c[column]))


_TAGS: Final = _later(tags, "name")
_LINKS: Final = _later(repository_blobs, "digest")


def _latest() -> ScalarSelect[Any]:
    """Where the tag went last."""
    newest = (
        select(tag_history.c.to_digest)
        .where(tag_history.c.repository_id == tags.c.repository_id)
        .where(tag_history.c.tag == tags.c.name)
    )
    return newest.order_by(tag_history.c.id.desc()).limit(1).scalar_subquery()


_TAG: Final = Statement(
    select(_name, tags.c.digest, manifests.c.id, _latest())
    .join(repositories, repositories.c.id == tags.c.repository_id, isouter=True)
    .join(
        manifests,
        (manifests.c.repository_id == tags.c.repository_id) & (manifests.c.digest == tags.c.digest),
        isouter=True,
    )
    .where(tags.c.repository_id == _number("repository_id"))
    .where(tags.c.name == bindparam("name"))
)
_LINK: Final = Statement(
    select(_name, blobs.c.digest)
    .select_from(repository_blobs)
    .join(repositories, repositories.c.id == repository_blobs.c.repository_id, isouter=True)
    .join(blobs, blobs.c.digest == repository_blobs.c.digest, isouter=True)
    .where(repository_blobs.c.repository_id == _number("repository_id"))
    .where(repository_blobs.c.digest == bindparam("digest"))
)

_later_move = tag_history.alias("later_move")
_MOVES: Final = limited(
    select(tag_history.c.id).where(tag_history.c.id > _number("after")).order_by(tag_history.c.id)
)
# A tag that went somewhere last, and that is not there.
_LOST: Final = Statement(
    select(_name, tag_history.c.tag, tag_history.c.to_digest)
    .join(repositories, repositories.c.id == tag_history.c.repository_id, isouter=True)
    .where(tag_history.c.id == _number("id"))
    .where(tag_history.c.to_digest.is_not(None))
    .where(
        ~exists()
        .where(_later_move.c.repository_id == tag_history.c.repository_id)
        .where(_later_move.c.tag == tag_history.c.tag)
        .where(_later_move.c.id > tag_history.c.id)
    )
    .where(
        ~exists()
        .where(tags.c.repository_id == tag_history.c.repository_id)
        .where(tags.c.name == tag_history.c.tag)
    )
)


class ManifestFacts(NamedTuple):
    """A manifest's row; `repository` is None when there is no such repository."""

    repository_id: int
    repository: str | None
    digest: str
    media_type: str
    subject: str | None
    size: int
    body: bytes


class TagFacts(NamedTuple):
    """A tag's row, the manifest that it names, and where its history says that it went last."""

    repository: str | None
    digest: str
    manifest_id: int | None
    moved_to: str | None


class LostTag(NamedTuple):
    """What history tells of a tag that is not there."""

    repository: str | None
    tag: str
    digest: str


async def manifest_ids(tx: Transaction, after: int, limit: int) -> list[int]:
    """The ids of manifests after `after`."""
    return firsts(await tx.all(_MANIFESTS, after=after, limit=limit))


async def manifest(tx: Transaction, id: int) -> ManifestFacts | None:  # noqa: A002
    """One manifest with its bytes."""
    row = await tx.one(_MANIFEST, id=id)
    return None if row is None else ManifestFacts(*row)


async def references(tx: Transaction, manifest_id: int) -> list[tuple[str, str]]:
    """Kind and digest of what a manifest needs, in order."""
    return [(kind, digest) for kind, digest in await tx.all(_REFERENCES, id=manifest_id)]


async def held(tx: Transaction, repository_id: int, digests: list[Digest]) -> set[str]:
    """Those that are blobs or manifests of the repository."""
    wanted = listed(digests)
    linked = await tx.all(_LINKED, repository_id=repository_id, digests=wanted)
    rows = await tx.all(_LISTED, repository_id=repository_id, digests=wanted)
    return {*firsts(linked), *firsts(rows)}


async def tag_keys(tx: Transaction, after: Key, limit: int) -> list[Key]:
    """Repository and name of the tags after one."""
    rows = await tx.all(_TAGS, repository_id=after[0], after=after[1], limit=limit)
    return [(repository, name) for repository, name in rows]


async def tag(tx: Transaction, key: Key) -> TagFacts | None:
    """One tag."""
    row = await tx.one(_TAG, repository_id=key[0], name=key[1])
    return None if row is None else TagFacts(*row)


async def move_ids(tx: Transaction, after: int, limit: int) -> list[int]:
    """The ids of moves of tags after `after`."""
    return firsts(await tx.all(_MOVES, after=after, limit=limit))


async def lost_tag(tx: Transaction, move_id: int) -> LostTag | None:
    """The tag, when this is its last move and it should be there but is not."""
    row = await tx.one(_LOST, id=move_id)
    return None if row is None else LostTag(*row)


async def link_keys(tx: Transaction, after: Key, limit: int) -> list[Key]:
    """Repository and digest of the blobs of repositories after one."""
    rows = await tx.all(_LINKS, repository_id=after[0], after=after[1], limit=limit)
    return [(repository, digest) for repository, digest in rows]


async def link(tx: Transaction, key: Key) -> tuple[str | None, str | None] | None:
    """The repository's name and the blob's digest, each None when that is not there."""
    row = await tx.one(_LINK, repository_id=key[0], digest=key[1])
    return None if row is None else (row[0], row[1])
