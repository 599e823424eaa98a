"""Rows of what is inside layers: which are to be read, who reads them, and what was found.

    request ─► waiting ─► lease ─► running ─► put_part … finish ─► done
                  ▲                   ├─ refuse ─► refused
                  └──── release ──────┘   and the lease may run out: somebody else takes it

Who holds a lease knows the number of its attempt, and what it writes counts only while that is the
last one.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    Integer,
    LargeBinary,
    bindparam,
    case,
    cast,
    delete,
    exists,
    literal_column,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.elements import ColumnElement

from kho.oci.digest import Digest, parse_digest
from kho.server.database.blobs import size_anywhere
from kho.server.database.constructs import Now, OneOf, OneOfNumbers, listed, strings
from kho.server.database.engine import Transaction
from kho.server.database.index_schema import layer_files, layer_listings
from kho.server.database.repositories import ID_OF_NAME
from kho.server.database.schema import blobs, repository_blobs
from kho.server.database.statement import Statement

FRESH: Final = 50

_table = layer_listings.c
_files = layer_files.c
_links = repository_blobs.c


def _number(name: str) -> ColumnElement[int]:
    return bindparam(name, type_=BigInteger())


def _bytes(name: str) -> ColumnElement[bytes]:
    return bindparam(name, type_=LargeBinary())


_digests = strings("digests")
_ids = strings("ids")
_REQUEST: Final = Statement(
    insert(layer_listings)
    .from_select(
        ["digest", "state", "requested_at"],
        # SQLite takes ON CONFLICT for a part of FROM where there is no WHERE.
        select(_digests.c.value, bindparam("state"), Now()).where(_digests.c.value > ""),
    )
    .on_conflict_do_nothing()
)
_WAITING: Final = (
    select(_table.id)
    .where(_table.state == "waiting")
    .order_by(_table.requested_at.desc(), _table.id.desc())
    .limit(literal_column("1"))
    .with_for_update(skip_locked=True)
    .scalar_subquery()
)
_LEFT: Final = (
    select(_table.id)
    .where(_table.state == "running")
    .where(_table.lease_until < Now())
    .order_by(_table.requested_at.desc(), _table.id.desc())
    .limit(literal_column("1"))
    .with_for_update(skip_locked=True)
    .scalar_subquery()
)


def _lease(which: ColumnElement[int]) -> Statement:
    return Statement(
        update(layer_listings)
        .values(
            state="running",
            attempts=_table.attempts + 1,
            lease_until=Now() + _number("lease"),
        )
        .where(_table.id == which)
        .returning(_table.id, _table.digest, _table.attempts)
    )


_LEASE: Final = (_lease(_WAITING), _lease(_LEFT))
_IS_WAITING: Final = Statement(
    select(
        or_(
            exists().where(_table.state == "waiting"),
            exists().where(_table.state == "running").where(_table.lease_until < Now()),
        )
    )
)
_HELD: Final = (
    update(layer_listings)
    .where(_table.id == _number("id"))
    .where(_table.state == "running")
    .where(_table.attempts == bindparam("attempt", type_=Integer()))
)
_RENEW: Final = Statement(_HELD.values(lease_until=Now() + _number("lease")))
_RELEASE: Final = Statement(
    _HELD.values(state="waiting", lease_until=null(), attempts=_table.attempts - 1)
)
_FINISH: Final = Statement(
    _HELD.values(
        state="done",
        reason=null(),
        lease_until=null(),
        files=_number("files"),
        total_size=_number("total_size"),
        listed_at=Now(),
    )
)
_REFUSE: Final = Statement(
    _HELD.values(state="refused", reason=bindparam("reason"), lease_until=null(), listed_at=Now())
)
_is_fresh = (_table.state == "waiting") & (_table.attempts == literal_column("0"))
_FRESH: Final = Statement(
    select(_table.id, _table.digest, blobs.c.size)
    .join(blobs, blobs.c.digest == _table.digest)
    .where(_is_fresh)
    .order_by(_table.requested_at.desc(), _table.id.desc())
    .limit(literal_column(str(FRESH)))
)
_REFUSE_FRESH: Final = Statement(
    update(layer_listings)
    .values(state="refused", reason=bindparam("reason"), listed_at=Now())
    .where(
        _table.id.in_(
            select(_table.id)
            .where(OneOfNumbers(_table.id, "numbers"))
            .where(_is_fresh)
            .with_for_update(skip_locked=True)
        )
    )
    .returning(_table.digest)
)
_PUT: Final = Statement(
    insert(layer_files)
    .values(
        layer_id=_number("layer_id"),
        directory=_bytes("directory"),
        first=_bytes("first"),
        entries=_bytes("entries"),
    )
    .on_conflict_do_nothing()
)
_CLEAR: Final = Statement(delete(layer_files).where(_files.layer_id == _number("layer_id")))
_STATES: Final = Statement(
    select(
        _links.digest,
        _table.id,
        _table.state,
        _table.reason,
        _table.attempts,
        _table.files,
        _table.total_size,
        _table.listed_at,
        blobs.c.size,
    )
    .select_from(repository_blobs)
    .join(blobs, blobs.c.digest == _links.digest)
    .join(layer_listings, _table.digest == _links.digest, isouter=True)
    .where(_links.repository_id == ID_OF_NAME)
    .where(OneOf(_links.digest, "digests"))
)
# Circumstances may have changed since three attempts have failed; a bad layer stays one.
_AGAIN: Final = Statement(
    update(layer_listings)
    .values(state="waiting", attempts=0, reason=null(), requested_at=Now())
    .where(_table.digest == bindparam("digest"))
    .where(_table.state == "refused")
    .where(_table.attempts >= bindparam("failures", type_=Integer()))
    .where(_table.listed_at < Now() - _number("older_than"))
)
_HEADS: Final = Statement(
    select(_files.layer_id, _files.first, case((_files.first == b"", _files.entries)))
    .where(_files.layer_id.in_(select(cast(_ids.c.value, BigInteger()))))
    .where(_files.directory == _bytes("directory"))
    .order_by(_files.layer_id, _files.first)
)
_PART: Final = Statement(
    select(_files.entries)
    .where(_files.layer_id == _number("layer_id"))
    .where(_files.directory == _bytes("directory"))
    .where(_files.first == _bytes("first"))
)
_ORPHANS: Final = Statement(
    delete(layer_listings).where(
        _table.id.in_(
            select(_table.id)
            .where(~exists().where(_links.digest == _table.digest))
            .limit(bindparam("limit", type_=Integer()))
        )
    )
)


class Lease(NamedTuple):
    """A layer that nobody else reads now; `size` is None when no such blob is known."""

    id: int
    digest: str
    attempt: int
    size: int | None


class Fresh(NamedTuple):
    """A layer that nobody has looked at."""

    id: int
    digest: str
    size: int


class Listed(NamedTuple):
    """What is known of a layer that a repository has; `state` is None when nobody asked."""

    digest: str
    id: int | None
    state: str | None
    reason: str | None
    attempts: int | None
    files: int | None
    total_size: int | None
    listed_at: int | None
    stored_size: int


class Head(NamedTuple):
    """A part of a directory of one layer: its first name; its entries are told of first parts."""

    layer_id: int
    first: bytes
    entries: bytes | None


async def request(tx: Transaction, digests: Iterable[Digest]) -> None:
    """Have these layers listed, unless they were or will be."""
    # In one order: two pushes of the same layers must not wait for each other.
    wanted = sorted({str(one) for one in digests})
    await tx.run(_REQUEST, digests=listed(wanted), state="waiting")


async def request_again(tx: Transaction, digest: Digest, attempts: int, older_ms: int) -> bool:
    """Have it tried again if it failed so often, and that was long ago."""
    name = str(digest)
    return await tx.run(_AGAIN, digest=name, failures=attempts, older_than=older_ms) > 0


async def is_waiting(tx: Transaction) -> bool:
    """Whether there is something to lease."""
    row = await tx.one(_IS_WAITING)
    return row is not None and bool(row[0])


async def fresh(tx: Transaction) -> list[Fresh]:
    """The newest that nobody has leased so far, FRESH at most."""
    return [Fresh(*row) for row in await tx.all(_FRESH)]


async def refuse_fresh(tx: Transaction, ids: Iterable[int], reason: str) -> list[str]:
    """They will not be listed; the digests of those that nobody has leased meanwhile."""
    rows = await tx.all(_REFUSE_FRESH, numbers=json.dumps(list(ids)), reason=reason)
    return [digest for (digest,) in rows]


async def lease(tx: Transaction, lease_ms: int) -> Lease | None:
    """Take the newest that waits, else one whose reader has not been heard of."""
    for statement in _LEASE:
        row = await tx.one(statement, lease=lease_ms)
        if row is not None:
            id_, digest, attempt = row
            return Lease(id_, digest, attempt, await size_anywhere(tx, parse_digest(digest)))
    return None


async def renew(tx: Transaction, held: Lease, lease_ms: int) -> bool:
    """Go on with it; False when somebody else has taken it."""
    return await tx.run(_RENEW, id=held.id, attempt=held.attempt, lease=lease_ms) > 0


async def release(tx: Transaction, held: Lease) -> None:
    """Let somebody else do it; the attempt does not count."""
    await tx.run(_RELEASE, id=held.id, attempt=held.attempt)


async def clear(tx: Transaction, held: Lease) -> None:
    """Forget what an earlier attempt has left."""
    await tx.run(_CLEAR, layer_id=held.id)


async def put_parts(
    tx: Transaction, held: Lease, lease_ms: int, parts: Sequence[tuple[bytes, bytes, bytes]]
) -> bool:
    """Add parts (directory, first name, entries), and renew; False when it is not held any more."""
    if not await renew(tx, held, lease_ms):
        return False
    for directory, first, entries in parts:
        await tx.run(_PUT, layer_id=held.id, directory=directory, first=first, entries=entries)
    return True


async def finish(tx: Transaction, held: Lease, files: int, total_size: int) -> bool:
    """All parts are there; `total_size` is bytes of files."""
    values = {"files": files, "total_size": total_size}
    return await tx.run(_FINISH, id=held.id, attempt=held.attempt, **values) > 0


async def refuse(tx: Transaction, held: Lease, reason: str) -> bool:
    """It will not be listed; what was found of it is forgotten."""
    if not await tx.run(_REFUSE, id=held.id, attempt=held.attempt, reason=reason):
        return False
    await tx.run(_CLEAR, layer_id=held.id)
    return True


async def states(tx: Transaction, repository: str, digests: Iterable[Digest]) -> dict[str, Listed]:
    """By digest, of those layers that this repository may read."""
    rows = await tx.all(_STATES, repository=repository, digests=listed(digests))
    return {row[0]: Listed(*row) for row in rows}


async def heads(tx: Transaction, ids: Iterable[int], directory: bytes) -> list[Head]:
    """The parts of one directory in these layers, by layer and by name."""
    return [Head(*row) for row in await tx.all(_HEADS, ids=listed(ids), directory=directory)]


async def part(tx: Transaction, layer_id: int, directory: bytes, first: bytes) -> bytes | None:
    """The entries of one part."""
    row = await tx.one(_PART, layer_id=layer_id, directory=directory, first=first)
    return None if row is None else bytes(row[0])


async def purge(tx: Transaction, limit: int) -> int:
    """Forget layers that no repository has any more; how many."""
    return await tx.run(_ORPHANS, limit=limit)
