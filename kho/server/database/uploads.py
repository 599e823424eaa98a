"""Rows of upload sessions."""

from typing import Final, NamedTuple

from sqlalchemy import Integer, and_, bindparam, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from kho.server.database.constructs import Now
from kho.server.database.engine import Transaction
from kho.server.database.schema import uploads
from kho.server.database.statement import Statement

_table = uploads.c
_columns = ("id", "repository", "actor", "algorithm", "size", "state", "started_at")

_CREATE: Final = Statement(
    insert(uploads)
    .values(
        id=bindparam("id"),
        repository=bindparam("repository"),
        actor=bindparam("actor"),
        algorithm=bindparam("algorithm"),
        size=0,
        started_at=Now(),
        touched_at=Now(),
    )
    .on_conflict_do_nothing()
)
_ROW: Final = (
    select(*(_table[name] for name in _columns))
    .where(_table.id == bindparam("id"))
    .where(_table.repository == bindparam("repository"))
)
_FIND: Final = Statement(_ROW)
_FIND_SETTLED: Final = Statement(_ROW.with_for_update())
# The second half lets the same step be taken twice: the same hash state means the same bytes.
_ADVANCE: Final = Statement(
    update(uploads)
    .values(size=bindparam("size"), state=bindparam("state"), touched_at=Now())
    .where(_table.id == bindparam("id"))
    .where(
        or_(
            _table.size == bindparam("expected"),
            and_(_table.size == bindparam("size"), _table.state == bindparam("state")),
        )
    )
)
_COUNT: Final = Statement(
    select(func.count()).select_from(uploads).where(_table.actor == bindparam("actor"))
)
_REMOVE: Final = Statement(delete(uploads).where(_table.id == bindparam("id")))
_EXPIRED: Final = Statement(
    select(_table.id)
    .where(_table.touched_at < Now() - bindparam("older_than_ms", type_=Integer()))
    .order_by(_table.touched_at)
    .limit(bindparam("limit", type_=Integer()))
)


class UploadRow(NamedTuple):
    """A session: `size` bytes are stored, `state` is that of their hash."""

    id: str
    repository: str
    actor: str
    algorithm: str
    size: int
    state: bytes | None
    started_at: int


async def create(tx: Transaction, id: str, repository: str, actor: str, algorithm: str) -> None:  # noqa: A002
    """Start a session without bytes; the id is new."""
    await tx.run(_CREATE, id=id, repository=repository, actor=actor, algorithm=algorithm)


async def find(tx: Transaction, id: str, repository: str) -> UploadRow | None:  # noqa: A002
    """A session of this repository."""
    row = await tx.one(_FIND, id=id, repository=repository)
    return None if row is None else UploadRow(*row)


async def find_settled(tx: Transaction, id: str, repository: str) -> UploadRow | None:  # noqa: A002
    """The same for `read_settled`: no `advance` whose outcome is unknown can come after it."""
    row = await tx.one(_FIND_SETTLED, id=id, repository=repository)
    return None if row is None else UploadRow(*row)


async def advance(
    tx: Transaction,
    id: str,  # noqa: A002
    *,
    expected: int,
    size: int,
    state: bytes | None,
) -> bool:
    """Move from `expected` to `size` bytes; False when somebody else moved the session first."""
    return await tx.run(_ADVANCE, id=id, expected=expected, size=size, state=state) > 0


async def remove(tx: Transaction, id: str) -> bool:  # noqa: A002
    """End a session; False when it had ended."""
    return await tx.run(_REMOVE, id=id) > 0


async def count(tx: Transaction, actor: str) -> int:
    """How many sessions somebody has open."""
    row = await tx.one(_COUNT, actor=actor)
    return 0 if row is None else int(row[0])


async def expired(tx: Transaction, older_than_ms: int, limit: int) -> list[str]:
    """Ids of sessions untouched for longer than that, the oldest first."""
    rows = await tx.all(_EXPIRED, older_than_ms=older_than_ms, limit=limit)
    return [id_ for (id_,) in rows]
