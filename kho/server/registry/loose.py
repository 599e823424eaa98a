"""The manifests that nothing holds any more when some are gone, level by level, within bounds."""

from dataclasses import dataclass, field
from typing import Final

from kho.server.database.contents import removal as rows
from kho.server.database.contents.removal import Standing
from kho.server.database.engine import Database, Transaction

LEVELS: Final = 6
MANIFESTS: Final = 2000


@dataclass(slots=True)
class Loose:
    """By number (`ids`) all that is gone or would be collected.

    By digest: `loose` those that nothing names, `orphans` their referrers, `broken` indexes that
    list what was deleted. `listing` names the indexes that hold a manifest.
    """

    ids: set[int] = field(default_factory=set)
    loose: set[str] = field(default_factory=set)
    orphans: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    listing: dict[str, list[str]] = field(default_factory=dict)
    manifest_bytes: int = 0
    complete: bool = True

    def add(self, one: Standing, *, orphan: bool = False) -> None:
        """Count it in."""
        if one.id not in self.ids:
            self.ids.add(one.id)
            self.manifest_bytes += one.size
            (self.orphans if orphan else self.loose).add(one.digest)


async def find_loose(
    database: Database, repository_id: int, gone: list[Standing], bereft: list[Standing]
) -> Loose:
    """What hangs on manifests that are deleted, and on those that have lost their last tag."""
    found = Loose()
    for one in gone:
        found.add(one)
    if gone:
        await database.read(_broken, repository_id, found, [one.digest for one in gone])
    new = gone + await database.read(_let_go, repository_id, found, bereft)
    for _ in range(LEVELS):
        if not new:
            return found
        if len(found.ids) > MANIFESTS:
            break
        new = await database.read(_below, repository_id, found, new)
    found.complete = not new
    return found


async def _broken(tx: Transaction, repository_id: int, found: Loose, digests: list[str]) -> None:
    listings = await rows.parents(tx, repository_id, digests, MANIFESTS)
    found.broken = {one.index_digest for one in listings if one.index_id not in found.ids}


async def _let_go(
    tx: Transaction, repository_id: int, found: Loose, candidates: list[Standing]
) -> list[Standing]:
    """Those of the candidates, all without a tag, that no index holds which stays."""
    new = [one for one in candidates if one.id not in found.ids]
    if not new:
        return []
    listings = await rows.parents(tx, repository_id, [one.digest for one in new], MANIFESTS + 1)
    if len(listings) > MANIFESTS:
        found.complete = False
        return []
    held: dict[str, list[str]] = {}
    for listing in listings:
        if listing.index_id not in found.ids:
            held.setdefault(listing.digest, []).append(listing.index_digest)
    found.listing |= held
    free = [one for one in new if one.digest not in held]
    for one in free:
        found.add(one)
    return free


async def _below(
    tx: Transaction, repository_id: int, found: Loose, level: list[Standing]
) -> list[Standing]:
    """What falls with a level: children without a tag, and referrers without one."""
    listed = await rows.children(tx, [one.id for one in level], MANIFESTS + 1)
    digests = [one.digest for one in level]
    referrers = await rows.referrers(tx, repository_id, digests, MANIFESTS + 1)
    if len(listed) > MANIFESTS or len(referrers) > MANIFESTS:
        found.complete = False
    children = await rows.by_digest(tx, repository_id, listed[:MANIFESTS])
    named = await rows.tags_of(
        tx, repository_id, [one.digest for one in (*children, *referrers)], []
    )
    untagged = [one for one in children if named.get(one.digest, "[]") == "[]"]
    new = await _let_go(tx, repository_id, found, untagged)
    orphans = [
        one
        for one in referrers[:MANIFESTS]
        if one.id not in found.ids and named.get(one.digest, "[]") == "[]"
    ]
    for one in orphans:
        found.add(one, orphan=True)
    return new + orphans
