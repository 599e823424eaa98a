"""Referrers level by level: all that hangs on some manifests, with bounded annotations."""

from typing import Final, NamedTuple

from sqlalchemy import Integer, Text, bindparam, case, func, literal_column, null, select

from kho.server.database.constructs import OneOf, listed
from kho.server.database.engine import Transaction
from kho.server.database.schema import manifests, tags
from kho.server.database.statement import Statement

# Annotations are as long as manifests may be; a tree of them must not be.
ANNOTATIONS: Final = 4 * 1024

_table = manifests.c
_short = case(
    (func.length(_table.annotations) <= literal_column(str(ANNOTATIONS)), _table.annotations),
    else_=null(),
)
_LEVEL: Final = Statement(
    select(
        _table.subject_digest,
        _table.digest,
        _table.media_type,
        _table.artifact_type,
        _table.size,
        _table.created_at,
        _short,
    )
    .where(_table.repository_id == bindparam("repository_id"))
    .where(OneOf(_table.subject_digest, "subjects"))
    .limit(bindparam("limit", type_=Integer()))
)
_TAGGED: Final = Statement(
    select(
        tags.c.name,
        _table.digest,
        _table.media_type,
        _table.artifact_type,
        _table.size,
        _table.created_at,
        literal_column("NULL", Text()),
    )
    .join_from(
        tags,
        manifests,
        (_table.repository_id == tags.c.repository_id) & (_table.digest == tags.c.digest),
    )
    .where(tags.c.repository_id == bindparam("repository_id"))
    .where(OneOf(tags.c.name, "names"))
    .order_by(tags.c.name)
)


class Attachment(NamedTuple):
    """A manifest and what it hangs on: a digest, or the tag that names it; JSON annotations."""

    on: str
    digest: str
    media_type: str
    artifact_type: str | None
    size: int
    created_at: int
    annotations: str | None


async def level(
    tx: Transaction, repository_id: int, subjects: list[str], limit: int
) -> list[Attachment]:
    """So many of the manifests with one of these subjects, in no order."""
    found = await tx.all(
        _LEVEL, repository_id=repository_id, subjects=listed(subjects), limit=limit
    )
    return [Attachment(*row) for row in found]


async def tagged(tx: Transaction, repository_id: int, names: list[str]) -> list[Attachment]:
    """The manifests of these tags."""
    found = await tx.all(_TAGGED, repository_id=repository_id, names=listed(names))
    return [Attachment(*row) for row in found]
