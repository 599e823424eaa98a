"""What stands on manifests that are to go: tags, indexes, referrers, blobs."""

from typing import Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    FromClause,
    Integer,
    ScalarSelect,
    Text,
    bindparam,
    func,
    literal_column,
    select,
)

from kho.server.database.constructs import OneOf, listed, strings
from kho.server.database.contents.collected import collected, numbers, one_of_numbers, there
from kho.server.database.engine import Transaction
from kho.server.database.schema import (
    blobs,
    images,
    manifest_references,
    manifests,
    repository_blobs,
    tags,
)
from kho.server.database.statement import Statement

TAGS: Final = 50
CROWD: Final = 1000
BLOBS: Final = 5000

_table = manifests.c
_repository: Final = bindparam("repository_id", type_=BigInteger())
_MANIFEST: Final = literal_column("'manifest'", Text())


class Standing(NamedTuple):
    """A manifest of the repository; its kind is None where nobody has worked it out."""

    id: int
    digest: str
    media_type: str
    artifact_type: str | None
    size: int
    kind: str | None
    subject: str | None


class Listing(NamedTuple):
    """An index (by number and digest) lists a manifest (by digest)."""

    index_id: int
    index_digest: str
    digest: str


_standing = select(
    _table.id,
    _table.digest,
    _table.media_type,
    _table.artifact_type,
    _table.size,
    images.c.kind,
    _table.subject_digest,
).outerjoin(images, images.c.manifest_id == _table.id)
_BY_DIGEST: Final = Statement(
    _standing.where(_table.repository_id == _repository).where(OneOf(_table.digest, "digests"))
)
_BY_SUBJECT: Final = Statement(
    _standing.where(_table.repository_id == _repository)
    .where(OneOf(_table.subject_digest, "digests"))
    .limit(bindparam("limit", type_=Integer()))
)
_BY_TAG: Final = Statement(
    select(tags.c.name, tags.c.digest)
    .where(tags.c.repository_id == _repository)
    .where(OneOf(tags.c.name, "names"))
)
_asked = strings("digests")
_tag = tags.alias("tag")
_TAGS: Final = Statement(
    select(
        _asked.c.value,
        collected(
            select(_tag.c.name)
            .where(_tag.c.repository_id == _repository)
            .where(_tag.c.digest == _asked.c.value)
            .where(~OneOf(_tag.c.name, "without"))
            .correlate(_asked),
            TAGS + 1,
        ),
    )
)
_parent = manifests.alias("parent")


def _home(reference: FromClause) -> ScalarSelect[int]:
    """The repository of the manifest that refers.

    A subquery, not a join: SQLite would begin a join with all manifests of the repository.
    """
    return (
        select(_parent.c.repository_id)
        .where(_parent.c.id == reference.c.manifest_id)
        .correlate(reference)
        .scalar_subquery()
    )


_listing = manifest_references.alias("listing")
_PARENTS: Final = Statement(
    select(
        _listing.c.manifest_id,
        select(_parent.c.digest)
        .where(_parent.c.id == _listing.c.manifest_id)
        .correlate(_listing)
        .scalar_subquery(),
        _listing.c.digest,
    )
    .where(OneOf(_listing.c.digest, "digests"))
    .where(_listing.c.kind == _MANIFEST)
    .where(_home(_listing) == _repository)
    .limit(bindparam("limit", type_=Integer()))
)
_LISTED: Final = Statement(
    select(manifest_references.c.digest)
    .distinct()
    .where(one_of_numbers(manifest_references.c.manifest_id, "ids"))
    .where(manifest_references.c.kind == _MANIFEST)
    .limit(bindparam("limit", type_=Integer()))
)
_link, _elsewhere = repository_blobs.alias("link"), repository_blobs.alias("elsewhere")
_HERE: Final = there(
    select(_link.c.digest)
    .where(_link.c.repository_id == _repository)
    .where(_link.c.digest == manifest_references.c.digest)
    .correlate(manifest_references)
)
_BLOBS: Final = Statement(
    select(manifest_references.c.digest)
    .distinct()
    .where(one_of_numbers(manifest_references.c.manifest_id, "ids"))
    .where(manifest_references.c.kind != _MANIFEST)
    .where(_HERE)
    .limit(bindparam("limit", type_=Integer()))
)
# Of these blobs: those that a manifest of the repository lists which does not go.
_using = manifest_references.alias("using")
_STILL_USED: Final = there(
    select(_using.c.manifest_id)
    .where(_using.c.digest == blobs.c.digest)
    .where(~one_of_numbers(_using.c.manifest_id, "ids"))
    .where(_home(_using) == _repository)
    .correlate(blobs)
)
_HELD_ELSEWHERE: Final = there(
    select(_elsewhere.c.digest)
    .where(_elsewhere.c.digest == blobs.c.digest)
    .where(_elsewhere.c.repository_id != _repository)
    .correlate(blobs)
)
_sizes = func.coalesce(func.sum(blobs.c.size), literal_column("0"))
_unused = select(func.count(), _sizes).where(OneOf(blobs.c.digest, "digests")).where(~_STILL_USED)
_FREED: Final = Statement(_unused)
_FREED_ON_DISK: Final = Statement(_unused.where(~_HELD_ELSEWHERE))


_use = manifest_references.alias("a_use")
_uses = (
    select(_use.c.manifest_id)
    .where(_use.c.digest == _asked.c.value)
    .limit(literal_column(str(CROWD)))
    .correlate(_asked)
    .subquery()
)
_UNCROWDED: Final = Statement(
    select(_asked.c.value).where(
        select(func.count()).select_from(_uses).scalar_subquery() < literal_column(str(CROWD))
    )
)

_USED_FOR_SURE: Final = Statement(
    select(_asked.c.value).where(
        there(
            select(_uses.c.manifest_id)
            .where(~one_of_numbers(_uses.c.manifest_id, "ids"))
            .where(_home(_uses) == _repository)
        )
    )
)


async def by_digest(tx: Transaction, repository_id: int, digests: list[str]) -> list[Standing]:
    """Those of the manifests that are here."""
    found = await tx.all(_BY_DIGEST, repository_id=repository_id, digests=listed(digests))
    return [Standing(*row) for row in found]


async def referrers(
    tx: Transaction, repository_id: int, digests: list[str], limit: int
) -> list[Standing]:
    """Manifests whose subject is one of these."""
    found = await tx.all(
        _BY_SUBJECT, repository_id=repository_id, digests=listed(digests), limit=limit
    )
    return [Standing(*row) for row in found]


async def pointing(tx: Transaction, repository_id: int, names: list[str]) -> dict[str, str]:
    """Where these tags point."""
    found = await tx.all(_BY_TAG, repository_id=repository_id, names=listed(names))
    return dict(found)


async def tags_of(
    tx: Transaction, repository_id: int, digests: list[str], without: list[str]
) -> dict[str, str]:
    """By digest, a JSON list of TAGS + 1 tags at most, other than those `without`."""
    found = await tx.all(
        _TAGS, repository_id=repository_id, digests=listed(digests), without=listed(without)
    )
    return dict(found)


async def parents(
    tx: Transaction, repository_id: int, digests: list[str], limit: int
) -> list[Listing]:
    """Indexes of the repository that list one of these."""
    found = await tx.all(
        _PARENTS, repository_id=repository_id, digests=listed(digests), limit=limit
    )
    return [Listing(*row) for row in found]


async def children(tx: Transaction, ids: list[int], limit: int) -> list[str]:
    """The digests that these indexes list."""
    found = await tx.all(_LISTED, ids=numbers(ids), limit=limit)
    return [digest for (digest,) in found]


async def blobs_of(tx: Transaction, repository_id: int, ids: list[int], limit: int) -> list[str]:
    """Blobs of the repository that these manifests list."""
    found = await tx.all(_BLOBS, repository_id=repository_id, ids=numbers(ids), limit=limit)
    return [digest for (digest,) in found]


async def freed(
    tx: Transaction, repository_id: int, digests: list[str], ids: list[int], *, on_disk: bool
) -> tuple[int, int]:
    """How many of these blobs nothing needs when those manifests are gone, and their bytes.

    In the repository; or on the disk, where other repositories count too.
    """
    row = await tx.one(
        _FREED_ON_DISK if on_disk else _FREED,
        repository_id=repository_id,
        digests=listed(digests),
        ids=numbers(ids),
    )
    return (0, 0) if row is None else (int(row[0]), int(row[1]))


async def uncrowded(tx: Transaction, digests: list[str]) -> list[str]:
    """Those of the blobs that fewer than CROWD manifests list, wherever these are."""
    found = await tx.all(_UNCROWDED, digests=listed(digests))
    return [digest for (digest,) in found]


async def used(
    tx: Transaction, repository_id: int, digests: list[str], ids: list[int]
) -> list[str]:
    """Those that a manifest of the repository lists which stays, seen among their first CROWD."""
    found = await tx.all(
        _USED_FOR_SURE, repository_id=repository_id, digests=listed(digests), ids=numbers(ids)
    )
    return [digest for (digest,) in found]


async def freed_with(tx: Transaction, repository_id: int, digest: str) -> int:
    """Bytes of a manifest that is here and of the blobs on the disk that nothing else needs.

    Ask before it goes. Blobs that very many manifests list count as needed.
    """
    found = await by_digest(tx, repository_id, [digest])
    ids = [one.id for one in found]
    few = await uncrowded(tx, await blobs_of(tx, repository_id, ids, BLOBS))
    _, size = await freed(tx, repository_id, few, ids, on_disk=True)
    return size + sum(one.size for one in found)
