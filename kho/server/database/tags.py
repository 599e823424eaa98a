"""Rows of tags, and the history of their moves."""

from typing import Any, Final, NamedTuple

import sqlalchemy
from sqlalchemy import Integer, bindparam, func, insert, literal_column, select, update

from kho.oci.digest import Digest
from kho.oci.reference import natural_key
from kho.server.database.constructs import Claim, Now
from kho.server.database.engine import Transaction
from kho.server.database.repositories import ID_OF_NAME
from kho.server.database.schema import images, manifests, tag_history, tags
from kho.server.database.statement import Statement

_table = tags.c

_PAGE: Final = Statement(
    select(_table.name)
    .where(_table.repository_id == ID_OF_NAME)
    .where(_table.name > bindparam("after"))
    .order_by(_table.name)
    .limit(bindparam("limit", type_=Integer()))
)
_LOCK: Final = Statement(
    select(_table.digest)
    .where(_table.repository_id == bindparam("repository_id"))
    .where(_table.name == bindparam("tag"))
    .with_for_update()
)
_CLAIM: Final = Statement(select(Claim("repository_id", "tag")))
# What it points at has to be known before.
_size = func.coalesce(
    select(images.c.total_size)
    .join(manifests, manifests.c.id == images.c.manifest_id)
    .where(manifests.c.repository_id == bindparam("repository_id"))
    .where(manifests.c.digest == bindparam("digest"))
    .scalar_subquery(),
    literal_column("0"),
)
_INSERT: Final = Statement(
    insert(tags).values(
        repository_id=bindparam("repository_id"),
        name=bindparam("tag"),
        digest=bindparam("digest"),
        updated_at=Now(),
        pushed_by=bindparam("pushed_by"),
        natural_key=bindparam("natural_key"),
        size=_size,
    )
)
_MOVE: Final = Statement(
    update(tags)
    .values(
        digest=bindparam("digest"),
        updated_at=Now(),
        pushed_by=bindparam("pushed_by"),
        size=_size,
    )
    .where(_table.repository_id == bindparam("repository_id"))
    .where(_table.name == bindparam("tag"))
)
_DELETE: Final = Statement(
    sqlalchemy.delete(tags)
    .where(_table.repository_id == ID_OF_NAME)
    .where(_table.name == bindparam("tag"))
    .returning(_table.repository_id, _table.digest)
)
_RECORD: Final = Statement(
    insert(tag_history).values(
        repository_id=bindparam("repository_id"),
        tag=bindparam("tag"),
        from_digest=bindparam("from_digest"),
        to_digest=bindparam("to_digest"),
        actor=bindparam("actor"),
        at=Now(),
    )
)
_HISTORY: Final = Statement(
    select(
        tag_history.c.from_digest, tag_history.c.to_digest, tag_history.c.actor, tag_history.c.at
    )
    .where(tag_history.c.repository_id == ID_OF_NAME)
    .where(tag_history.c.tag == bindparam("tag"))
    .order_by(tag_history.c.id)
)


class TagMove(NamedTuple):
    """One move: from None is a creation, to None a deletion; `at` in milliseconds."""

    from_digest: str | None
    to_digest: str | None
    actor: str
    at: int


async def page(tx: Transaction, repository: str, after: str | None, limit: int) -> list[str]:
    """The tags after `after`, by bytes."""
    rows = await tx.all(_PAGE, repository=repository, after=after or "", limit=limit)
    return [name for (name,) in rows]


async def digest_of(tx: Transaction, repository_id: int, tag: str) -> str | None:
    """Where a tag points, for a decision: it stays so, absence included, until this write ends."""
    at: dict[str, Any] = {"repository_id": repository_id, "tag": tag}
    row = await tx.one(_LOCK, **at)
    if row is None and not tx.alone:  # there is no row to lock: nobody else may make one now
        await tx.run(_CLAIM, **at)
        row = await tx.one(_LOCK, **at)
    return None if row is None else row[0]


async def point(
    tx: Transaction, repository_id: int, tag: str, digest: Digest, actor: str
) -> str | None:
    """Point a tag at a manifest of the repository; where it pointed before.

    A move leaves a row of history.
    """
    at: dict[str, Any] = {"repository_id": repository_id, "tag": tag}
    to = str(digest)
    current = await digest_of(tx, repository_id, tag)
    if current == to:
        return current
    new: dict[str, Any] = {**at, "digest": to, "pushed_by": actor}
    if current is None:
        await tx.run(_INSERT, **new, natural_key=natural_key(tag))
    else:
        await tx.run(_MOVE, **new)
    await tx.run(_RECORD, **at, from_digest=current, to_digest=to, actor=actor)
    return current


async def delete(tx: Transaction, repository: str, tag: str, actor: str) -> int | None:
    """Take a tag away, but not its manifest; the id of the repository, None when there was none."""
    row = await tx.one(_DELETE, repository=repository, tag=tag)
    if row is None:
        return None
    await tx.run(
        _RECORD, repository_id=row[0], tag=tag, from_digest=row[1], to_digest=None, actor=actor
    )
    return int(row[0])


async def history(tx: Transaction, repository: str, tag: str) -> list[TagMove]:
    """Every move of a tag, the oldest first; it outlives the tag."""
    return [TagMove(*row) for row in await tx.all(_HISTORY, repository=repository, tag=tag)]
