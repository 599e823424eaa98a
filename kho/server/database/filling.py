"""Rows of which an older version has not written all: what is there, page by page."""

from typing import Final, NamedTuple

from sqlalchemy import BigInteger, Integer, Text, bindparam, func, literal_column, select, update
from sqlalchemy.sql.selectable import ScalarSelect

from kho.oci import media_types
from kho.oci.reference import natural_key
from kho.server.database.engine import Transaction
from kho.server.database.inventory import firsts
from kho.server.database.schema import (
    blobs,
    images,
    manifests,
    repository_blobs,
    tag_history,
    tags,
)
from kho.server.database.statement import Statement

_of = bindparam("of", type_=BigInteger())
_limit = bindparam("limit", type_=Integer())
_is_index = manifests.c.media_type.in_(
    [literal_column(f"'{name}'", Text()) for name in sorted(media_types.INDEXES)]
)


def _pusher() -> ScalarSelect[str]:
    """Whoever moved the tag last."""
    moves = (
        select(tag_history.c.actor)
        .where(tag_history.c.repository_id == tags.c.repository_id)
        .where(tag_history.c.tag == tags.c.name)
    )
    return moves.order_by(tag_history.c.id.desc()).limit(literal_column("1")).scalar_subquery()


def _size() -> ScalarSelect[int]:
    """Of what the tag points at."""
    return (
        select(images.c.total_size)
        .join(manifests, manifests.c.id == images.c.manifest_id)
        .where(manifests.c.repository_id == tags.c.repository_id)
        .where(manifests.c.digest == tags.c.digest)
        .scalar_subquery()
    )


_tagger = (
    select(func.max(tags.c.pushed_by))
    .where(tags.c.repository_id == manifests.c.repository_id)
    .where(tags.c.digest == manifests.c.digest)
    .scalar_subquery()
)
_nothing = literal_column("''", Text())
_found = (
    select(
        manifests.c.id,
        manifests.c.digest,
        manifests.c.media_type,
        manifests.c.body,
        func.coalesce(_tagger, _nothing),
        images.c.manifest_id,
    )
    .outerjoin(images, images.c.manifest_id == manifests.c.id)
    .where(manifests.c.repository_id == _of)
    .where(manifests.c.id > bindparam("after", type_=BigInteger()))
    .order_by(manifests.c.id)
    .limit(_limit)
)
_IMAGES: Final = Statement(_found.where(~_is_index))
_INDEXES: Final = Statement(_found.where(_is_index))
_TAGS: Final = Statement(
    select(tags.c.name)
    .where(tags.c.repository_id == _of)
    .where(tags.c.name > bindparam("after", type_=Text()))
    .order_by(tags.c.name)
    .limit(_limit)
)
_TAG: Final = Statement(
    update(tags)
    .values(
        natural_key=bindparam("to_key"),
        pushed_by=func.coalesce(func.nullif(tags.c.pushed_by, _nothing), _pusher(), _nothing),
        size=func.coalesce(_size(), literal_column("0")),
    )
    .where(tags.c.repository_id == _of)
    .where(tags.c.name == bindparam("tag"))
)
_LENGTH: Final = Statement(
    select(blobs.c.size)
    .join(repository_blobs, repository_blobs.c.digest == blobs.c.digest)
    .where(repository_blobs.c.repository_id == _of)
    .where(repository_blobs.c.digest == bindparam("digest"))
)


class StoredManifest(NamedTuple):
    """A manifest; `known` when it has a row of images."""

    id: int
    digest: str
    media_type: str
    body: bytes
    pushed_by: str
    known: bool


async def manifests_after(
    tx: Transaction, repository_id: int, after: int, limit: int, *, indexes: bool
) -> list[StoredManifest]:
    """Images and artifacts after a number, or indexes."""
    statement = _INDEXES if indexes else _IMAGES
    rows = await tx.all(statement, of=repository_id, after=after, limit=limit)
    return [
        StoredManifest(id_, digest, media_type, body, pushed_by, known is not None)
        for id_, digest, media_type, body, pushed_by, known in rows
    ]


async def blob_length(tx: Transaction, repository_id: int, digest: str) -> int | None:
    """Of a blob that the repository has."""
    row = await tx.one(_LENGTH, of=repository_id, digest=digest)
    return None if row is None else int(row[0])


async def fill_tags(tx: Transaction, repository_id: int, after: str, limit: int) -> str | None:
    """Write what is known of the tags after one; the last of them, None at the end."""
    names = firsts(await tx.all(_TAGS, of=repository_id, after=after, limit=limit))
    for name in names:
        await tx.run(_TAG, of=repository_id, tag=name, to_key=natural_key(name))
    return names[-1] if len(names) == limit else None
