"""Rows of images: what is known of a manifest beside its bytes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Integer, Select, Text, bindparam, cast, select
from sqlalchemy.dialects.postgresql import insert

from kho.oci.digest import Digest
from kho.server.database.constructs import OneOf, listed
from kho.server.database.engine import Transaction
from kho.server.database.repositories import ID_OF_NAME
from kho.server.database.schema import blobs, images, manifests, repository_blobs
from kho.server.database.statement import Statement

_table = images.c
_columns = (
    "manifest_id",
    "kind",
    "platforms",
    "config_digest",
    "layers",
    "total_size",
    "built_at",
    "labels",
    "pushed_by",
)


def _text(name: str) -> ColumnElement[str]:
    return cast(bindparam(name), Text())


def _values() -> Select[tuple[object, ...]]:
    return (
        select(
            manifests.c.id,
            _text("kind"),
            _text("platforms"),
            _text("config_digest"),
            cast(bindparam("layers"), Integer()),
            cast(bindparam("total_size"), BigInteger()),
            cast(bindparam("built_at"), BigInteger()),
            _text("labels"),
            _text("pushed_by"),
        )
        .where(manifests.c.repository_id == bindparam("repository_id"))
        .where(manifests.c.digest == bindparam("digest"))
    )


_insert = insert(images).from_select(_columns, _values())
_PUT: Final = Statement(_insert.on_conflict_do_nothing())
# Who pushed it, and what was pulled of it, stay as they are.
_REPLACE: Final = Statement(
    _insert.on_conflict_do_update(
        index_elements=[_table.manifest_id],
        set_={name: _insert.excluded[name] for name in _columns[1:-1]},
    )
)
_LOOK: Final = Statement(
    select(
        select(_table.manifest_id)
        .join(manifests, manifests.c.id == _table.manifest_id)
        .where(manifests.c.repository_id == ID_OF_NAME)
        .where(manifests.c.digest == bindparam("digest"))
        .scalar_subquery(),
        select(blobs.c.size)
        .join(repository_blobs, repository_blobs.c.digest == blobs.c.digest)
        .where(repository_blobs.c.repository_id == ID_OF_NAME)
        .where(repository_blobs.c.digest == bindparam("config"))
        .scalar_subquery(),
    )
)
_CHILDREN: Final = Statement(
    select(
        manifests.c.digest,
        _table.kind,
        _table.platforms,
        _table.total_size,
        _table.built_at,
        _table.labels,
    )
    .join(manifests, manifests.c.id == _table.manifest_id)
    .where(manifests.c.repository_id == bindparam("repository_id"))
    .where(OneOf(manifests.c.digest, "digests"))
)


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """`platforms` and `labels` are JSON; `layers` is 0 of an index; `built_at` in milliseconds."""

    kind: str
    platforms: str
    config_digest: str | None
    layers: int
    total_size: int
    built_at: int | None
    labels: str | None


class Child(NamedTuple):
    """What an index takes from a manifest that it lists."""

    kind: str
    platforms: str
    total_size: int
    built_at: int | None
    labels: str | None


async def look(
    tx: Transaction, repository: str, digest: Digest, config: Digest
) -> tuple[bool, int | None]:
    """Whether the image is known, and how long its config is where the repository has that."""
    row = await tx.one(_LOOK, repository=repository, digest=str(digest), config=str(config))
    return (False, None) if row is None else (row[0] is not None, row[1])


async def put(
    tx: Transaction,
    repository_id: int,
    digest: str,
    facts: ImageFacts,
    pushed_by: str,
    *,
    again: bool = False,
) -> None:
    """Record what is known of a stored manifest; what is recorded stays, unless `again`."""
    await tx.run(
        _REPLACE if again else _PUT,
        repository_id=repository_id,
        digest=digest,
        kind=facts.kind,
        platforms=facts.platforms,
        config_digest=facts.config_digest,
        layers=facts.layers,
        total_size=facts.total_size,
        built_at=facts.built_at,
        labels=facts.labels,
        pushed_by=pushed_by,
    )


async def children(
    tx: Transaction, repository_id: int, digests: Sequence[Digest]
) -> dict[str, Child]:
    """What is known of these manifests, by digest."""
    rows = await tx.all(_CHILDREN, repository_id=repository_id, digests=listed(digests))
    return {row[0]: Child(*row[1:]) for row in rows}
