"""Rows of repositories."""

from typing import Final

from sqlalchemy import Integer, bindparam, exists, select
from sqlalchemy.dialects.postgresql import insert

from kho.server.database.constructs import Now
from kho.server.database.engine import Transaction
from kho.server.database.schema import manifests, repositories
from kho.server.database.statement import Statement

_table = repositories.c

# The id of the repository that the parameter `repository` names, inside other statements: evaluated
# once, so that the plan of a page never depends on how many repositories there are.
ID_OF_NAME: Final = (
    select(_table.id).where(_table.name == bindparam("repository")).scalar_subquery()
)

_FIND: Final = Statement(select(_table.id).where(_table.name == bindparam("name")))
_INSERT: Final = Statement(
    insert(repositories)
    .values(name=bindparam("name"), sort_key=bindparam("sort_key"), created_at=Now())
    .on_conflict_do_nothing()
    .returning(_table.id)
)
_PAGE: Final = Statement(
    select(_table.name)
    .where(_table.sort_key > bindparam("after"))
    .where(exists().where(manifests.c.repository_id == _table.id))
    .order_by(_table.sort_key)
    .limit(bindparam("limit", type_=Integer()))
)


async def find(tx: Transaction, name: str) -> int | None:
    """The id of a repository."""
    row = await tx.one(_FIND, name=name)
    return None if row is None else row[0]


async def ensure(tx: Transaction, name: str) -> int:
    """The id of a repository, which exists from now on."""
    while True:
        found = await tx.one(_FIND, name=name) or await tx.one(
            _INSERT, name=name, sort_key=_sort_key(name)
        )
        if found is not None:  # None: another transaction created it between the two statements
            return int(found[0])


async def page(tx: Transaction, after: str | None, limit: int) -> list[str]:
    """The names after `after` of repositories that have manifests; `/` sorts before all else."""
    rows = await tx.all(_PAGE, after=_sort_key(after or ""), limit=limit)
    return [name for (name,) in rows]


def _sort_key(name: str) -> str:
    return name.replace("/", "!")
