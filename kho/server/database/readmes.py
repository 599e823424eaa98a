"""Rows of what people write about a repository: one line, and a page."""

from typing import Final

from sqlalchemy import BigInteger, Text, bindparam, delete, update
from sqlalchemy.dialects.postgresql import insert

from kho.server.database.constructs import Now
from kho.server.database.engine import Transaction
from kho.server.database.schema import readmes, repositories
from kho.server.database.searching import search_writing
from kho.server.database.statement import Statement

_of = bindparam("of", type_=BigInteger())
_DESCRIBE: Final = Statement(
    update(repositories)
    .values(description=bindparam("to", type_=Text()))
    .where(repositories.c.id == _of)
)
_put = insert(readmes).values(
    repository_id=_of, updated_at=Now(), updated_by=bindparam("by"), body=bindparam("text")
)
_PUT: Final = Statement(
    _put.on_conflict_do_update(
        index_elements=[readmes.c.repository_id],
        set_={
            "updated_at": _put.excluded.updated_at,
            "updated_by": _put.excluded.updated_by,
            "body": _put.excluded.body,
        },
    )
)
_DELETE: Final = Statement(delete(readmes).where(readmes.c.repository_id == _of))


async def describe(tx: Transaction, repository_id: int, text: str) -> None:
    """Set the line; last in its transaction."""
    await tx.run(_DESCRIBE, of=repository_id, to=text)
    await search_writing.refresh(tx, repository_id)


async def put(tx: Transaction, repository_id: int, text: str, by: str) -> None:
    """Set the page; last in its transaction."""
    await tx.run(_PUT, of=repository_id, text=text, by=by)
    await search_writing.lock(tx, repository_id)
    await search_writing.refresh(tx, repository_id)


async def remove(tx: Transaction, repository_id: int) -> bool:
    """Take the page away; False when there is none. Last in its transaction."""
    found = await tx.run(_DELETE, of=repository_id)
    await search_writing.lock(tx, repository_id)
    await search_writing.refresh(tx, repository_id)
    return found > 0
