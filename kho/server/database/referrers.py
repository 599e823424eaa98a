"""Rows of referrers: manifests whose subject is another one."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Column, Integer, Select, bindparam, select

from kho.oci.digest import Digest
from kho.server.database.constructs import OneOf, listed
from kho.server.database.engine import Transaction
from kho.server.database.repositories import ID_OF_NAME
from kho.server.database.schema import manifests
from kho.server.database.statement import Statement

_table = manifests.c


def _page(*columns: Column[Any]) -> Select[Any]:
    return (
        select(*columns)
        .where(_table.repository_id == ID_OF_NAME)
        .where(_table.subject_digest == bindparam("subject"))
        .where(_table.digest > bindparam("after"))
        .order_by(_table.digest)
        .limit(bindparam("limit", type_=Integer()))
    )


_OF_TYPES: Final = OneOf(_table.artifact_type, "artifact_types")
_SHOWN: Final = _page(
    _table.digest, _table.media_type, _table.artifact_type, _table.size, _table.annotations
)
_PAGE: Final = Statement(_SHOWN)
_PAGE_OF_TYPES: Final = Statement(_SHOWN.where(_OF_TYPES))
_SIZES: Final = Statement(_page(_table.size))
_SIZES_OF_TYPES: Final = Statement(_page(_table.size).where(_OF_TYPES))


class ReferrerRow(NamedTuple):
    """What a list of referrers shows of a manifest; its annotations as JSON."""

    digest: str
    media_type: str
    artifact_type: str | None
    size: int
    annotations: str | None


class ReferrerPage(NamedTuple):
    """Referrers in the order of their digests, and whether more follow."""

    rows: list[ReferrerRow]
    more: bool


async def page(
    tx: Transaction,
    repository: str,
    subject: Digest,
    artifact_types: Sequence[str],
    *,
    after: str | None,
    limit: int,
    most_bytes: int,
) -> ReferrerPage:
    """Manifests whose subject is that digest; no artifact types means all of them.

    Annotations are as long as manifests may be: no more of them are read than manifests of
    `most_bytes` hold together, but one in any case.
    """
    where: dict[str, Any] = {
        "repository": repository,
        "subject": str(subject),
        "after": after or "",
    }
    sizes_of, rows_of = _SIZES, _PAGE
    if artifact_types:
        # No stored text holds NUL, and PostgreSQL refuses to compare with it.
        where["artifact_types"] = listed(text for text in artifact_types if "\0" not in text)
        sizes_of, rows_of = _SIZES_OF_TYPES, _PAGE_OF_TYPES
    sizes = [size for (size,) in await tx.all(sizes_of, **where, limit=limit + 1)]
    if not sizes:
        return ReferrerPage([], more=False)
    count = _fitting(sizes[:limit], most_bytes)
    rows = await tx.all(rows_of, **where, limit=count)
    return ReferrerPage([ReferrerRow(*row) for row in rows], more=len(sizes) > count)


def _fitting(sizes: Sequence[int], most_bytes: int) -> int:
    total = 0
    for count, size in enumerate(sizes):
        total += size
        if count and total > most_bytes:
            return count
    return len(sizes)
