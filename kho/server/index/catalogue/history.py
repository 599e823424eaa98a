"""The history of tags: from, to, by whom, when; the newest first."""

import msgspec

from kho.server.database.contents import history as rows
from kho.server.database.contents.history import MoveRow
from kho.server.database.engine import Transaction
from kho.server.index.catalogue import paging
from kho.server.resources import Resources


class Move(msgspec.Struct, frozen=True):
    """A move of a tag, at a time in milliseconds; from None is a creation, to None a deletion.

    `…_present` says that the manifest is still there, so that the tag can point at it again.
    """

    id: int
    tag: str
    from_digest: str | None
    to_digest: str | None
    actor: str
    at: int
    from_present: bool
    to_present: bool


class MovePage(msgspec.Struct, frozen=True):
    """Some moves; `next` is the cursor of those before them in time."""

    moves: tuple[Move, ...]
    next: str | None


async def page(
    resources: Resources,
    repository: str,
    *,
    tag: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> MovePage:
    """Moves of one tag, also one that is gone, or of all; raise NameUnknown or InvalidRequest."""
    below = paging.below(cursor)
    return await resources.database.read(_page, repository, tag, below, paging.bounded(limit))


async def _page(
    tx: Transaction, repository: str, tag: str | None, below: int, limit: int
) -> MovePage:
    repository_id = await paging.repository_id(tx, repository)
    found = await rows.moves(tx, repository_id, tag, below, limit + 1)
    next_ = paging.encode(found[limit - 1].id) if len(found) > limit else None
    return MovePage(tuple(map(_move, found[:limit])), next_)


def _move(row: MoveRow) -> Move:
    return Move(*row[:-2], bool(row.from_present), bool(row.to_present))
