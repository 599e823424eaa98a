"""Manifests of a repository by digest, also those without a tag; parts stand under their whole.

    index ─┬─ its manifests                 image ─┬─ its referrers
           └─ its referrers

A page looks at so many manifests at once and lets others go on between: of a repository where all
is part of something a page may take a few looks, and may come out short, with a cursor.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from typing import Final

import msgspec

from kho.oci.errors import ManifestUnknown
from kho.server.database.contents import versions as rows
from kho.server.database.contents.tags import texts
from kho.server.database.contents.versions import (
    CHILDREN,
    REFERRERS,
    TAGS,
    WINDOW,
    AttachedRow,
    ChildRow,
    Kind,
    Tagged,
    VersionRow,
)
from kho.server.database.engine import Transaction
from kho.server.index.catalogue import paging
from kho.server.index.catalogue.tags import PLATFORMS, Signature, kind_of, signature_of
from kho.server.resources import Resources

__all__ = ["Attached", "Child", "Kind", "Tagged", "Version", "VersionPage", "VersionQuery", "page"]

LOOKS: Final = 30


class VersionQuery(msgspec.Struct, frozen=True):
    """What to list, the newest first."""

    tagged: Tagged = "all"
    kind: Kind | None = None
    cursor: str | None = None
    limit: int = 50


class Child(msgspec.Struct, frozen=True):
    """A manifest that an index lists; `present` is False when the repository does not hold it."""

    digest: str
    present: bool
    media_type: str
    artifact_type: str | None
    kind: str
    platforms: tuple[str, ...]
    size: int


class Attached(msgspec.Struct, frozen=True):
    """A manifest that says it belongs to another; sizes in bytes, of the manifest alone."""

    digest: str
    media_type: str
    artifact_type: str | None
    size: int
    pushed_at: int


class Version(msgspec.Struct, frozen=True):
    """A manifest that is no part of another; times in milliseconds, sizes in bytes.

    `more_…`: there are more than are listed here.
    """

    digest: str
    media_type: str
    artifact_type: str | None
    kind: str
    platforms: tuple[str, ...]
    size: int
    pushed_at: int
    pushed_by: str
    pulled_at: int | None
    pulls: int
    tags: tuple[str, ...]
    more_tags: bool
    children: tuple[Child, ...]
    more_children: bool
    referrers: tuple[Attached, ...]
    more_referrers: bool
    signature: Signature


class VersionPage(msgspec.Struct, frozen=True):
    """Some manifests; `next` is the cursor of those after them. It may be short, even empty."""

    versions: tuple[Version, ...]
    next: str | None


async def page(resources: Resources, repository: str, query: VersionQuery) -> VersionPage:
    """Some manifests of a repository, the newest first; raise NameUnknown or InvalidRequest."""
    limit, below = paging.bounded(query.limit), paging.below(query.cursor)
    found: list[Version] = []
    for _ in range(LOOKS):
        some, low = await resources.database.read(
            _look, repository, query, below, limit - len(found)
        )
        found += some
        if low is None:
            return VersionPage(tuple(found), None)
        below = low
        if len(found) >= limit:
            break
        await asyncio.sleep(0)  # a read of SQLite never lets go by itself
    return VersionPage(tuple(found), paging.encode(below))


async def one(resources: Resources, repository: str, digest: str) -> Version:
    """One manifest with what hangs on it; raise NameUnknown or ManifestUnknown."""
    found = await resources.database.read(_one, repository, digest)
    if found is None:
        raise ManifestUnknown("manifest unknown to this repository", detail={"reference": digest})
    return found


async def _one(tx: Transaction, repository: str, digest: str) -> Version | None:
    repository_id = await paging.repository_id(tx, repository)
    row = await rows.one(tx, repository_id, digest)
    return None if row is None else (await _versions(tx, repository_id, [row]))[0]


async def _look(
    tx: Transaction, repository: str, query: VersionQuery, below: int, limit: int
) -> tuple[list[Version], int | None]:
    """What the next window holds, and where to go on; None at the end."""
    repository_id = await paging.repository_id(tx, repository)
    window = await rows.window(tx, repository_id, below)
    if window.low is None:
        return [], None
    between = window.low, below
    shown = await rows.page(tx, repository_id, between, query.tagged, query.kind, limit + 1)
    found = await _versions(tx, repository_id, shown[:limit])
    if len(shown) > limit:
        return found, shown[limit - 1].id
    return found, window.low if window.held == WINDOW else None


async def _versions(tx: Transaction, repository_id: int, shown: list[VersionRow]) -> list[Version]:
    indexes = [row.id for row in shown if kind_of(row.kind, row.media_type) == "index"]
    children: dict[int, list[ChildRow]] = defaultdict(list)
    for child in await rows.children(tx, repository_id, indexes) if indexes else ():
        children[child.index_id].append(child)
    wanted = {digest for row in shown for digest in texts(row.referrers)[:REFERRERS]}
    attached: dict[str, list[AttachedRow]] = defaultdict(list)
    for one in await rows.attached(tx, repository_id, sorted(wanted)) if wanted else ():
        attached[one.subject].append(one)
    return [_version(row, children[row.id], attached[row.digest]) for row in shown]


def _version(row: VersionRow, children: list[ChildRow], attached: Iterable[AttachedRow]) -> Version:
    tags = sorted(texts(row.tags))
    return Version(
        digest=row.digest,
        media_type=row.media_type,
        artifact_type=row.artifact_type,
        kind=kind_of(row.kind, row.media_type),
        platforms=tuple(texts(row.platforms)[:PLATFORMS]),
        size=row.manifest_size if row.total_size is None else row.total_size,
        pushed_at=row.created_at,
        pushed_by=row.pushed_by or "",
        pulled_at=row.pulled_at or None,
        pulls=row.pulls or 0,
        tags=tuple(tags[:TAGS]),
        more_tags=len(tags) > TAGS,
        children=tuple(map(_child, children[:CHILDREN])),
        more_children=len(children) > CHILDREN,
        referrers=tuple(Attached(*one[1:]) for one in attached),
        more_referrers=len(texts(row.referrers)) > REFERRERS,
        signature=signature_of(row.signed),
    )


def _child(row: ChildRow) -> Child:
    media_type = row.media_type or ""
    return Child(
        digest=row.digest,
        present=row.media_type is not None,
        media_type=media_type,
        artifact_type=row.artifact_type,
        kind=kind_of(row.kind, media_type),
        platforms=tuple(texts(row.platforms)[:PLATFORMS]),
        size=row.total_size or row.manifest_size or 0,
    )
