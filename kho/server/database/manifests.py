"""Rows of manifests: exact bytes, and what they reference."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

import sqlalchemy
from sqlalchemy import bindparam, exists, literal_column, null, select
from sqlalchemy.dialects.postgresql import insert

from kho.oci.digest import Digest, parse_digest
from kho.oci.manifest import Manifest
from kho.server.database.constructs import Now, OneOf, entries, listed, strings
from kho.server.database.engine import Transaction
from kho.server.database.repositories import ID_OF_NAME
from kho.server.database.schema import manifest_references, manifests, tag_history, tags
from kho.server.database.statement import Statement

Kind = Literal["config", "layer", "manifest"]

_table = manifests.c
_needed = entries("references")
_untagged = strings("tags")

_BY_TAG: Final = Statement(
    select(_table.digest, _table.media_type, _table.body)
    .join(tags, (tags.c.repository_id == _table.repository_id) & (tags.c.digest == _table.digest))
    .where(tags.c.repository_id == ID_OF_NAME)
    .where(tags.c.name == bindparam("tag"))
)
_BY_DIGEST: Final = Statement(
    select(_table.digest, _table.media_type, _table.body)
    .where(_table.repository_id == ID_OF_NAME)
    .where(_table.digest == bindparam("digest"))
)
_INSERT: Final = Statement(
    insert(manifests)
    .values(
        repository_id=bindparam("repository_id"),
        digest=bindparam("digest"),
        media_type=bindparam("media_type"),
        artifact_type=bindparam("artifact_type"),
        subject_digest=bindparam("subject_digest"),
        size=bindparam("size"),
        created_at=Now(),
        annotations=bindparam("annotations"),
        body=bindparam("body"),
    )
    .on_conflict_do_nothing()
    .returning(_table.id)
)
_again = (
    sqlalchemy.update(manifests)
    .values(
        artifact_type=bindparam("to_artifact_type"),
        subject_digest=bindparam("to_subject_digest"),
        size=bindparam("to_size"),
        annotations=bindparam("to_annotations"),
        body=bindparam("to_body"),
    )
    .where(_table.repository_id == bindparam("repository_id"))
    .where(_table.digest == bindparam("digest"))
    .returning(_table.id)
)
# Of a row that is right it touches and locks nothing.
_HEAL: Final = Statement(
    _again.where((_table.body != bindparam("to_body")) | (_table.size != bindparam("to_size")))
)
_RECORD_AGAIN: Final = Statement(_again.where(_table.body == bindparam("to_body")))
_FORGET: Final = Statement(
    sqlalchemy.delete(manifest_references).where(
        manifest_references.c.manifest_id == bindparam("manifest_id")
    )
)
_REFER: Final = Statement(
    sqlalchemy.insert(manifest_references).from_select(
        ["manifest_id", "position", "kind", "digest"],
        select(
            sqlalchemy.cast(bindparam("manifest_id"), sqlalchemy.BigInteger()),
            _needed.c.position,
            _needed.c.first,
            _needed.c.second,
        ),
    )
)
_LOCK: Final = Statement(
    select(_table.id, _table.repository_id, _table.size)
    .where(_table.repository_id == ID_OF_NAME)
    .where(_table.digest == bindparam("digest"))
    .with_for_update()
)
_UNTAG: Final = Statement(
    sqlalchemy.delete(tags)
    .where(tags.c.repository_id == bindparam("repository_id"))
    .where(tags.c.digest == bindparam("digest"))
    .returning(tags.c.name)
)
_RECORD: Final = Statement(
    sqlalchemy.insert(tag_history).from_select(
        ["repository_id", "tag", "from_digest", "to_digest", "actor", "at"],
        select(
            sqlalchemy.cast(bindparam("repository_id"), sqlalchemy.BigInteger()),
            _untagged.c.value,
            sqlalchemy.cast(bindparam("digest"), sqlalchemy.Text()),
            null(),
            sqlalchemy.cast(bindparam("actor"), sqlalchemy.Text()),
            Now(),
        ),
    )
)
_DELETE: Final = Statement(sqlalchemy.delete(manifests).where(_table.id == bindparam("id")))
# The locks keep a concurrent delete waiting until the index that needs these is there.
_PRESENT: Final = Statement(
    select(_table.digest)
    .where(_table.repository_id == bindparam("repository_id"))
    .where(OneOf(_table.digest, "digests"))
    .order_by(_table.digest)
    .with_for_update(read=True, key_share=True)
)
_SIZES: Final = Statement(
    select(_table.digest, _table.size)
    .where(_table.repository_id == bindparam("repository_id"))
    .where(OneOf(_table.digest, "digests"))
    .order_by(_table.digest)
    .with_for_update(read=True, key_share=True)
)
_REFERENCED: Final = Statement(
    select(
        exists()
        .where(manifest_references.c.digest == bindparam("digest"))
        .where(manifest_references.c.kind == literal_column("'manifest'"))
        .where(manifest_references.c.manifest_id == _table.id)
        .where(_table.repository_id == ID_OF_NAME)
    )
)


class Deleted(NamedTuple):
    """A manifest that was taken away, with so many tags."""

    repository_id: int
    size: int
    tags: int


class ManifestRow(NamedTuple):
    """A manifest as it was pushed."""

    digest: str
    media_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class NewManifest:
    """A manifest to store; `annotations` and `artifact_type` are those that referrers show."""

    digest: Digest
    media_type: str
    artifact_type: str | None
    subject: Digest | None
    annotations: dict[str, str] | None
    body: bytes
    references: Sequence[tuple[Kind, Digest]]


async def by_tag(tx: Transaction, repository: str, tag: str) -> ManifestRow | None:
    """The manifest that a tag points at."""
    row = await tx.one(_BY_TAG, repository=repository, tag=tag)
    return None if row is None else ManifestRow(*row)


async def by_digest(tx: Transaction, repository: str, digest: Digest) -> ManifestRow | None:
    """A manifest of this repository."""
    row = await tx.one(_BY_DIGEST, repository=repository, digest=str(digest))
    return None if row is None else ManifestRow(*row)


def new_manifest(digest: Digest, manifest: Manifest, body: bytes) -> NewManifest:
    """What is kept of a manifest."""
    return NewManifest(
        digest=digest,
        media_type=manifest.media_type,
        artifact_type=manifest.artifact_type,
        subject=manifest.subject,
        annotations=manifest.annotations if manifest.subject else None,
        body=body,
        references=[(item.kind, item.digest) for item in manifest.references],
    )


async def put(tx: Transaction, repository_id: int, new: NewManifest) -> bool:
    """Store a manifest with its references; one that is there stays, or is healed when damaged.

    Whether it was not there.
    """
    key: dict[str, Any] = {"repository_id": repository_id, "digest": str(new.digest)}
    row = await tx.one(_INSERT, **key, media_type=new.media_type, **_values(new))
    if row is None:
        await _replace(tx, _HEAL, repository_id, new)
        return False
    await _refer(tx, row[0], new)
    return True


async def record_again(tx: Transaction, repository_id: int, new: NewManifest) -> bool:
    """Write anew what is recorded beside the bytes; False when these are others, or gone."""
    return await _replace(tx, _RECORD_AGAIN, repository_id, new)


def _values(new: NewManifest) -> dict[str, Any]:
    return {
        "artifact_type": new.artifact_type,
        "subject_digest": None if new.subject is None else str(new.subject),
        "size": len(new.body),
        "annotations": None if new.annotations is None else json.dumps(new.annotations),
        "body": new.body,
    }


async def _replace(
    tx: Transaction, statement: Statement, repository_id: int, new: NewManifest
) -> bool:
    to = {f"to_{name}": value for name, value in _values(new).items()}
    row = await tx.one(statement, repository_id=repository_id, digest=str(new.digest), **to)
    if row is None:
        return False
    await tx.run(_FORGET, manifest_id=row[0])
    await _refer(tx, row[0], new)
    return True


async def _refer(tx: Transaction, manifest_id: int, new: NewManifest) -> None:
    if new.references:
        pairs = json.dumps([(kind, str(digest)) for kind, digest in new.references])
        await tx.run(_REFER, manifest_id=manifest_id, references=pairs)


async def delete(tx: Transaction, repository: str, digest: Digest, actor: str) -> Deleted | None:
    """Take away a manifest, its references and every tag of it; None when there was none.

    Ask `referenced` after this, in the same transaction: no index can come between.
    """
    found = await tx.one(_LOCK, repository=repository, digest=str(digest))
    if found is None:
        return None
    id_, repository_id, size = found
    at = {"repository_id": repository_id, "digest": str(digest)}
    untagged = [name for (name,) in await tx.all(_UNTAG, **at)]
    if untagged:
        await tx.run(_RECORD, **at, tags=listed(untagged), actor=actor)
    await tx.run(_DELETE, id=id_)
    return Deleted(repository_id, size, len(untagged))


async def referenced(tx: Transaction, repository: str, digest: Digest) -> bool:
    """Whether an index of this repository lists the manifest."""
    row = await tx.one(_REFERENCED, repository=repository, digest=str(digest))
    return row is not None and bool(row[0])


async def missing(tx: Transaction, repository_id: int, digests: Sequence[Digest]) -> list[Digest]:
    """Those that the repository lacks, in order; the others stay until the end of this write."""
    rows = await tx.all(_PRESENT, repository_id=repository_id, digests=listed(digests))
    present = {digest for (digest,) in rows}
    return [digest for digest in digests if str(digest) not in present]


async def sizes(
    tx: Transaction, repository_id: int, digests: Sequence[Digest]
) -> dict[Digest, int]:
    """The stored size of each that the repository has; these stay until the end of this write."""
    rows = await tx.all(_SIZES, repository_id=repository_id, digests=listed(digests))
    return {parse_digest(digest): size for digest, size in rows}
