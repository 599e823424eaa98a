"""Rows behind the page of one repository: its README, its newest image, its days."""

from typing import Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    bindparam,
    func,
    literal_column,
    select,
    union_all,
)

from kho.server.database.constructs import Now
from kho.server.database.engine import Transaction
from kho.server.database.schema import (
    blobs,
    images,
    manifests,
    readmes,
    repository_blobs,
    tag_history,
    tags,
    traffic,
)
from kho.server.database.statement import Statement

DAY_MS: Final = 86_400_000
MOST_MOVES: Final = 1000
MOST_BLOBS: Final = 20_000

_of = bindparam("of", type_=BigInteger())
_artifact: ColumnElement[str] = literal_column("'artifact'")
_image = select(manifests.c.digest, images.c.labels, images.c.pushed_by).join(
    images, images.c.manifest_id == manifests.c.id
)
_BY_TAG: Final = Statement(
    _image.join(
        tags,
        (tags.c.repository_id == manifests.c.repository_id) & (tags.c.digest == manifests.c.digest),
    )
    .where(tags.c.repository_id == _of)
    .where(images.c.kind != _artifact)
    .order_by(tags.c.updated_at.desc(), tags.c.name.desc())
    .limit(literal_column("1"))
)
_UNTAGGED: Final = Statement(
    _image.where(manifests.c.repository_id == _of)
    .where(images.c.kind != _artifact)
    .order_by(manifests.c.id.desc())
    .limit(literal_column("1"))
)
_README: Final = Statement(select(readmes.c.body).where(readmes.c.repository_id == _of))
_DAYS: Final = Statement(
    select(traffic.c.day, traffic.c.pulls, traffic.c.pushes)
    .where(traffic.c.repository_id == _of)
    .where(traffic.c.tag == bindparam("tag"))
    .where(traffic.c.day > bindparam("after", type_=Integer()))
    .order_by(traffic.c.day)
)
_NOW: Final = Statement(select(Now()))
_MOVES: Final = Statement(
    select(tag_history.c.at, images.c.total_size)
    .join(
        manifests,
        (manifests.c.repository_id == tag_history.c.repository_id)
        & (manifests.c.digest == tag_history.c.to_digest),
    )
    .join(images, images.c.manifest_id == manifests.c.id)
    .where(tag_history.c.repository_id == _of)
    .where(tag_history.c.tag == bindparam("tag"))
    .order_by(tag_history.c.id.desc())
    .limit(literal_column(str(MOST_MOVES)))
)
_BLOBS: Final = Statement(
    select(func.count()).select_from(
        select(repository_blobs.c.digest)
        .where(repository_blobs.c.repository_id == _of)
        .limit(literal_column(str(MOST_BLOBS + 1)))
        .subquery("linked")
    )
)
_grown = union_all(
    select(repository_blobs.c.created_at.label("at"), blobs.c.size.label("size"))
    .join(blobs, blobs.c.digest == repository_blobs.c.digest)
    .where(repository_blobs.c.repository_id == _of),
    select(manifests.c.created_at.label("at"), manifests.c.size.label("size")).where(
        manifests.c.repository_id == _of
    ),
).subquery("grown")
# Of what is there now: when it came.
_GROWTH: Final = Statement(select(_grown.c.at, _grown.c.size).order_by(_grown.c.at))


class Told(NamedTuple):
    """What a page shows beside the repository's row; `labels` is JSON."""

    readme: str | None
    newest: str | None
    labels: str | None
    pushed_by: str | None


class Day(NamedTuple):
    """Days since the epoch, UTC."""

    day: int
    pulls: int
    pushes: int


async def find(tx: Transaction, repository_id: int) -> Told:
    """README, and what was tagged last, or pushed last where nothing is tagged."""
    readme = await tx.one(_README, of=repository_id)
    newest = await tx.one(_BY_TAG, of=repository_id) or await tx.one(_UNTAGGED, of=repository_id)
    digest, labels, pushed_by = newest or (None, None, None)
    return Told(None if readme is None else readme[0], digest, labels, pushed_by)


async def today(tx: Transaction) -> int:
    """The day by the database's clock."""
    row = await tx.one(_NOW)
    return 0 if row is None else int(row[0]) // DAY_MS


async def days(tx: Transaction, repository_id: int, tag: str, after: int) -> list[Day]:
    """Days after `after` with pulls or pushes; the tag "" is the whole repository."""
    return [Day(*row) for row in await tx.all(_DAYS, of=repository_id, tag=tag, after=after)]


async def tag_sizes(tx: Transaction, repository_id: int, tag: str) -> list[tuple[int, int]]:
    """When the tag moved, and how large what it pointed at then is; the oldest first."""
    rows = await tx.all(_MOVES, of=repository_id, tag=tag)
    return [(at, size) for at, size in reversed(rows)]


async def growth(tx: Transaction, repository_id: int) -> list[tuple[int, int]]:
    """When what is there now came, and how large it is; nothing of a very large repository."""
    row = await tx.one(_BLOBS, of=repository_id)
    if row is None or row[0] > MOST_BLOBS:
        return []
    return [(at, size) for at, size in await tx.all(_GROWTH, of=repository_id)]
