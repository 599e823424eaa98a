"""Rows of repositories."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import Integer, Text, bindparam, case, exists, false, select, update
from sqlalchemy.dialects.postgresql import insert

from kho.server.database.constructs import Now, OneOf, listed
from kho.server.database.engine import Transaction
from kho.server.database.identities import revisions
from kho.server.database.schema import manifests, repositories
from kho.server.database.statement import Statement
from kho.server.policy.patterns import NameRange

_table = repositories.c

# The id of the repository that the parameter `repository` names, inside other statements: evaluated
# once, so that the plan of a page never depends on how many repositories there are.
ID_OF_NAME: Final = (
    select(_table.id).where(_table.name == bindparam("repository")).scalar_subquery()
)

_FIND: Final = Statement(select(_table.id).where(_table.name == bindparam("name")))
_INSERT: Final = Statement(
    insert(repositories)
    .values(name=bindparam("name"), sort_key=bindparam("sort_key"), created_at=Now(), indexed=1)
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
_PUBLIC: Final = Statement(select(_table.public).where(_table.name == bindparam("name")))
_SET_PUBLIC: Final = Statement(
    update(repositories).values(public=bindparam("to")).where(_table.name == bindparam("of"))
)
_BETWEEN: Final = (
    select(_table.name)
    .where(_table.sort_key >= bindparam("low"))
    .where(_table.sort_key < bindparam("high"))
    .where(exists().where(manifests.c.repository_id == _table.id))
    .order_by(_table.sort_key)
    .limit(bindparam("limit", type_=Integer()))
)
_PAGE_BETWEEN: Final = Statement(_BETWEEN)
# LIKE goes first: it is twenty times as quick as an expression, and looks at the index alone. In a
# CASE, so that PostgreSQL does not take its guess how rare that is for a reason to sort them all.
_PAGE_MATCHING: Final = Statement(
    _BETWEEN.where(
        case(
            (
                _table.sort_key.like(bindparam("like", type_=Text()))
                & _table.sort_key.not_like(bindparam("unlike", type_=Text())),
                _table.name.regexp_match(bindparam("expression", type_=Text())),
            ),
            else_=false(),
        )
    )
)
_PAGE_NAMED: Final = Statement(
    select(_table.name)
    .where(OneOf(_table.sort_key, "keys"))
    .where(exists().where(manifests.c.repository_id == _table.id))
    .order_by(_table.sort_key)
)
_PAGE_PUBLIC: Final = Statement(
    select(_table.name)
    .where(_table.public == 1)
    .where(_table.sort_key > bindparam("after"))
    .where(exists().where(manifests.c.repository_id == _table.id))
    .order_by(_table.sort_key)
    .limit(bindparam("limit", type_=Integer()))
)
_ROWS: Final = Statement(
    select(_table.name, _table.public, _table.created_at)
    .where(_table.sort_key > bindparam("after"))
    .order_by(_table.sort_key)
    .limit(bindparam("limit", type_=Integer()))
)
_ROW: Final = Statement(
    select(_table.name, _table.public, _table.created_at).where(_table.name == bindparam("name"))
)

# Between a name and whatever is longer: no name holds it, and PostgreSQL takes no NUL.
_NEXT: Final = "\x01"
_END: Final = "\x7f"


class RepositoryRow(NamedTuple):
    """A repository; the time in milliseconds."""

    name: str
    public: bool
    created_at: int


async def find(tx: Transaction, name: str) -> int | None:
    """The id of a repository."""
    row = await tx.one(_FIND, name=name)
    return None if row is None else row[0]


async def ensure(tx: Transaction, name: str) -> int:
    """The id of a repository, which exists from now on."""
    found = await find(tx, name)
    return await make(tx, name) if found is None else found


async def make(tx: Transaction, name: str) -> int:
    """The same, of one that was not found."""
    while True:
        row = await tx.one(_INSERT, name=name, sort_key=_sort_key(name))
        found = await find(tx, name) if row is None else int(row[0])
        if found is not None:  # None: another transaction removed it between the two statements
            return found


async def page(tx: Transaction, after: str | None, limit: int) -> list[str]:
    """The names after `after` of repositories that have manifests; `/` sorts before all else."""
    rows = await tx.all(_PAGE, after=_sort_key(after or ""), limit=limit)
    return [name for (name,) in rows]


async def is_public(tx: Transaction, name: str) -> bool:
    """Whether anyone may pull; False too when there is no such repository."""
    row = await tx.one(_PUBLIC, name=name)
    return row is not None and row[0] == 1


async def set_public(tx: Transaction, name: str, public: bool) -> bool:
    """Open it to all, which creates it when it is absent, or close it.

    False when there is nothing to close.
    """
    if public:
        await ensure(tx, name)
    if not await tx.run(_SET_PUBLIC, of=name, to=int(public)):
        return False
    await revisions.bump(tx)
    return True


async def page_between(
    tx: Transaction, within: NameRange, after_key: str | None, limit: int
) -> list[str]:
    """Names of the range that have manifests, after a sort key, in order."""
    low, high = within.low, within.high
    values: dict[str, str | int] = {
        "low": max(low, after_key + _NEXT) if after_key else low,
        "high": _END if high is None else high.replace("\0", _NEXT),
        "limit": limit,
    }
    if within.expression is None:
        found = await tx.all(_PAGE_BETWEEN, **values)
    else:
        texts = {"like": within.like, "unlike": within.unlike, "expression": within.expression}
        found = await tx.all(_PAGE_MATCHING, **values, **texts)
    return [name for (name,) in found]


async def page_named(tx: Transaction, keys: Sequence[str]) -> list[str]:
    """Names with these sort keys that have manifests, in order."""
    return [name for (name,) in await tx.all(_PAGE_NAMED, keys=listed(keys))]


async def page_public(tx: Transaction, after_key: str | None, limit: int) -> list[str]:
    """Public names that have manifests, after a sort key, in order."""
    rows = await tx.all(_PAGE_PUBLIC, after=after_key or "", limit=limit)
    return [name for (name,) in rows]


async def row_of(tx: Transaction, name: str) -> RepositoryRow | None:
    """The repository, with or without manifests."""
    row = await tx.one(_ROW, name=name)
    return None if row is None else RepositoryRow(row[0], bool(row[1]), row[2])


async def rows(tx: Transaction, after: str | None, limit: int) -> list[RepositoryRow]:
    """Every repository after `after`, with or without manifests, for the operator."""
    found = await tx.all(_ROWS, after=_sort_key(after or ""), limit=limit)
    return [RepositoryRow(name, bool(public), at) for name, public, at in found]


def _sort_key(name: str) -> str:
    return name.replace("/", "!")
