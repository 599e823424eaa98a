"""Tags and manifests deleted together; and before that, what would go with them.

    asked for: tags, digests
       │  a tag goes alone; its manifest is left without a tag, or has others
       │  a manifest goes with its tags
       ▼
    loose: the manifests that nothing holds any more ─► their children that no other index lists
       │                                             └► their referrers, which belong to nothing
       ▼
    freed: the blobs of these that no other manifest of the repository lists
           of them, on the disk: those that no other repository holds

Bytes are free when garbage collection has run; until then nothing but rows is gone. The look is
bounded in number and time: `complete` says whether it came to its end; what is told is a lower
bound then.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from kho.oci.digest import Digest, parse_digest
from kho.oci.errors import Denied, InvalidRequest, NameUnknown
from kho.server.database import manifests, repositories, tags
from kho.server.database.contents import removal as rows
from kho.server.database.contents.removal import Standing
from kho.server.database.contents.tags import texts
from kho.server.database.engine import Transaction
from kho.server.policy.access import Action, Caller, Principal, allowed
from kho.server.policy.sight import Kind, sight_of
from kho.server.registry import indexing, trail
from kho.server.registry.loose import Loose, find_loose
from kho.server.resources import Resources

MOST: Final = 500
SECONDS: Final = 1.0
_CHUNK: Final = 20


class Left(msgspec.Struct, frozen=True):
    """A manifest that a deletion concerns. `tags` still point at it, `indexes` still list it."""

    digest: str
    kind: str
    tags: tuple[str, ...]
    more_tags: bool
    indexes: tuple[str, ...]


class Impact(msgspec.Struct, frozen=True):
    """What a deletion would do; sizes in bytes.

    `unknown` are tags and digests that are not here. `other_tags` go because their manifest does,
    `broken_indexes` would list a manifest that is gone. `held` are the manifests of deleted tags
    that something else still names; `loose` manifests nothing names any more, with their children;
    `orphans` are referrers of what is gone or loose.
    `freed_here`: of the repository; `freed_on_disk`: no other repository holds them. None for who
    may not see all repositories: it would tell what hidden ones hold.
    """

    unknown: tuple[str, ...]
    other_tags: tuple[str, ...]
    broken_indexes: tuple[str, ...]
    held: tuple[Left, ...]
    loose: tuple[str, ...]
    orphans: tuple[str, ...]
    blobs: int
    freed_here: int
    freed_on_disk: int | None
    complete: bool


class Outcome(msgspec.Struct, frozen=True):
    """What became of one tag or digest. `moved`: it points elsewhere than was said, and stays."""

    target: str
    result: Literal["deleted", "unknown", "moved"]


class Doomed(msgspec.Struct, frozen=True):
    """A tag to delete; only while it points at `digest`, when that is given."""

    tag: str
    digest: str | None = None


async def delete(
    resources: Resources,
    repository: str,
    doomed: Sequence[Doomed],
    digests: Sequence[Digest],
    caller: Caller,
) -> tuple[Outcome, ...]:
    """Delete tags, then manifests with all their tags, in one transaction.

    Each has its outcome, in the order asked. Raises Denied, NameUnknown or InvalidRequest.
    """
    if not allowed(caller.principal, Action.DELETE, repository):
        raise Denied("deleting needs the action `delete`")
    _check_number(len(doomed) + len(digests))
    return await resources.database.remove(
        _delete, repository, tuple(doomed), tuple(digests), caller
    )


async def _delete(
    tx: Transaction,
    repository: str,
    doomed: tuple[Doomed, ...],
    digests: tuple[Digest, ...],
    caller: Caller,
) -> tuple[Outcome, ...]:
    repository_id = await _number(tx, repository)
    results: dict[str, Outcome] = {}
    bytes_gone = tags_gone = 0
    # Sorted, so that two of these never wait for each other.
    for one in sorted(doomed, key=lambda one: one.tag):
        outcome = await _delete_tag(tx, repository, repository_id, one, caller)
        results[one.tag] = outcome
        tags_gone += outcome.result == "deleted"
    for digest in sorted(digests, key=str):
        freed = await rows.freed_with(tx, repository_id, str(digest))
        gone = await manifests.delete(tx, repository, digest, caller.name)
        if gone is not None:
            details = {"tags": gone.tags, "freed": freed}
            await trail.record(tx, caller, "manifest.delete", repository, str(digest), details)
            bytes_gone += gone.size
            tags_gone += gone.tags
        results[str(digest)] = Outcome(str(digest), "deleted" if gone else "unknown")
    if bytes_gone or tags_gone:
        await indexing.removed(tx, repository_id, size=bytes_gone, tags=tags_gone)
    asked = [*(one.tag for one in doomed), *map(str, digests)]
    return tuple(results[target] for target in dict.fromkeys(asked))


async def _delete_tag(
    tx: Transaction, repository: str, repository_id: int, one: Doomed, caller: Caller
) -> Outcome:
    current = await tags.digest_of(tx, repository_id, one.tag)
    if current is None:
        return Outcome(one.tag, "unknown")
    if one.digest is not None and one.digest != current:
        return Outcome(one.tag, "moved")
    await tags.delete(tx, repository, one.tag, caller.name)
    await trail.record(tx, caller, "tag.delete", repository, one.tag)
    return Outcome(one.tag, "deleted")


@dataclass(slots=True)
class _Freed:
    """Bytes and number of blobs, as far as they were counted."""

    blobs: int = 0
    here: int = 0
    on_disk: int = 0
    complete: bool = True


@dataclass(slots=True)
class _Looked:
    """What is asked for, as the rows have it."""

    repository_id: int
    unknown: list[str]
    gone: dict[str, Standing]
    other_tags: list[str]
    bereft: dict[str, Standing]
    tags: dict[str, list[str]] = field(default_factory=dict)


async def impact(
    resources: Resources,
    repository: str,
    names: Sequence[str],
    digests: Sequence[Digest],
    *,
    principal: Principal | None = None,
    seconds: float = SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> Impact:
    """What deleting these tags, and these manifests with their tags, would do.

    `principal` is who is told. Raises NameUnknown or InvalidRequest.
    """
    _check_number(len(names) + len(digests))
    until = clock() + seconds
    looked = await resources.database.read(_look, repository, list(names), list(map(str, digests)))
    found = await find_loose(
        resources.database,
        looked.repository_id,
        list(looked.gone.values()),
        [one for one in looked.bereft.values() if not looked.tags[one.digest]],
    )
    freed = await _count(resources, looked.repository_id, found, lambda: clock() > until)
    held = [
        Left(
            digest=one.digest,
            kind=one.kind or "",
            tags=tuple(looked.tags[one.digest][: rows.TAGS]),
            more_tags=len(looked.tags[one.digest]) > rows.TAGS,
            indexes=tuple(found.listing.get(one.digest, ())),
        )
        for one in looked.bereft.values()
        if one.id not in found.ids
    ]
    loose = found.loose - set(looked.gone)
    return Impact(
        unknown=tuple(looked.unknown),
        other_tags=tuple(sorted(looked.other_tags)),
        broken_indexes=tuple(sorted(found.broken)),
        held=tuple(held),
        loose=tuple(sorted(loose)),
        orphans=tuple(sorted(found.orphans)),
        blobs=freed.blobs,
        freed_here=freed.here + found.manifest_bytes,
        freed_on_disk=freed.on_disk + found.manifest_bytes if _sees_all(principal) else None,
        complete=found.complete and freed.complete,
    )


def _sees_all(principal: Principal | None) -> bool:
    return principal is not None and sight_of(principal).kind is Kind.EVERYTHING


async def _look(tx: Transaction, repository: str, names: list[str], digests: list[str]) -> _Looked:
    repository_id = await _number(tx, repository)
    pointing = await rows.pointing(tx, repository_id, names)
    wanted = sorted({*pointing.values(), *digests})
    standing = {one.digest: one for one in await rows.by_digest(tx, repository_id, wanted)}
    left = await rows.tags_of(tx, repository_id, wanted, list(pointing))
    remaining = {digest: sorted(texts(found)) for digest, found in left.items()}
    gone = {digest: standing[digest] for digest in digests if digest in standing}
    return _Looked(
        repository_id=repository_id,
        unknown=[
            *(name for name in names if name not in pointing),
            *(digest for digest in digests if digest not in standing),
        ],
        gone=gone,
        other_tags=[name for digest in gone for name in remaining[digest]],
        bereft={digest: standing[digest] for digest in pointing.values() if digest not in gone},
        tags=remaining,
    )


async def _count(
    resources: Resources, repository_id: int, found: Loose, late: Callable[[], bool]
) -> _Freed:
    """Sum up what nothing else needs, some blobs at a time: no read holds others up for long."""
    freed = _Freed()
    ids = sorted(found.ids)
    blobs = await resources.database.read(rows.blobs_of, repository_id, ids, rows.BLOBS + 1)
    freed.complete = len(blobs) <= rows.BLOBS
    for start in range(0, min(len(blobs), rows.BLOBS), _CHUNK):
        if late():
            freed.complete = False
            break
        chunk = blobs[start : start + _CHUNK]
        count, here, on_disk, all_counted = await resources.database.read(
            _count_some, repository_id, chunk, ids
        )
        freed.blobs += count
        freed.here += here
        freed.on_disk += on_disk
        freed.complete = freed.complete and all_counted
    return freed


async def _count_some(
    tx: Transaction, repository_id: int, blobs: list[str], ids: list[int]
) -> tuple[int, int, int, bool]:
    """Blobs, bytes of the repository, bytes of the disk, whether all of them were looked at."""
    few = await rows.uncrowded(tx, blobs)
    count, here = await rows.freed(tx, repository_id, few, ids, on_disk=False)
    _, on_disk = await rows.freed(tx, repository_id, few, ids, on_disk=True)
    crowded = [digest for digest in blobs if digest not in few]
    kept = await rows.used(tx, repository_id, crowded, ids) if crowded else []
    return count, here, on_disk, len(kept) == len(crowded)


async def _number(tx: Transaction, repository: str) -> int:
    found = await repositories.find(tx, repository)
    if found is None:
        raise NameUnknown("repository unknown to this registry", detail={"name": repository})
    return found


def _check_number(count: int) -> None:
    if not 1 <= count <= MOST:
        raise InvalidRequest("1 to %(most)s tags and digests at a time", most=MOST)


def parse_targets(targets: Sequence[str]) -> tuple[list[str], list[Digest]]:
    """Tags, and digests; raise DigestInvalid."""
    digests = [parse_digest(one) for one in targets if ":" in one]
    return [one for one in targets if ":" not in one], digests
