"""Manifests: check and store, find, delete.

PUT ─► bytes hashed ─► parsed ─► one transaction: every reference is here, row, tags ─► 201
"""

from collections.abc import Sequence
from dataclasses import dataclass

from kho.oci.digest import Digest
from kho.oci.errors import (
    Denied,
    DigestInvalid,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestUnknown,
    PreconditionFailed,
)
from kho.oci.manifest import Descriptor, Manifest, parse_manifest
from kho.server.database import blobs, tags
from kho.server.database import manifests as rows
from kho.server.database import repositories as repository_rows
from kho.server.database.contents import removal
from kho.server.database.engine import Transaction
from kho.server.database.images import ImageFacts
from kho.server.database.manifests import ManifestRow
from kho.server.policy.access import Action, Caller, allowed
from kho.server.registry import indexing, repositories, trail, verification
from kho.server.registry.aside import aside
from kho.server.registry.recent import recent
from kho.server.resources import Resources

__all__ = ["Push", "Stored", "delete", "find", "put"]


@dataclass(frozen=True, slots=True)
class Push:
    """A manifest as it came in.

    `tags` are all tags it gets; `digest` is set when it was addressed by one. `if_match` is the
    digest, `*` or "" (must be absent) that the first tag must have now; None asks nothing.
    """

    repository: str
    content: bytes
    content_type: str | None
    digest: Digest | None
    tags: tuple[str, ...]
    caller: Caller
    if_match: str | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """What the answer to a push tells."""

    digest: Digest
    subject: Digest | None


async def find(resources: Resources, repository: str, reference: Digest | str) -> ManifestRow:
    """The exact bytes as they were pushed; raise ManifestUnknown, also when they are damaged."""
    known = recent(resources)
    row = known.manifests.get((repository, reference))
    if row is not None:
        return row
    if isinstance(reference, Digest):
        row = await resources.database.read(rows.by_digest, repository, reference)
    else:
        row = await resources.database.read(rows.by_tag, repository, reference)
    if row is None:
        raise _unknown(reference)
    if not verification.right(resources, repository, row):
        await verification.tell_of_manifest(resources, repository, row)
        raise _unknown(reference)
    known.add_manifest(repository, reference, row)
    return row


def _unknown(reference: Digest | str) -> ManifestUnknown:
    return ManifestUnknown(
        "manifest unknown to this repository", detail={"reference": str(reference)}
    )


async def put(resources: Resources, push: Push) -> Stored:
    """Check and store; raise DigestInvalid, ManifestInvalid or ManifestBlobUnknown."""
    algorithm = "sha256" if push.digest is None else push.digest.algorithm
    digest = Digest.of(push.content, algorithm)
    if push.digest not in (None, digest):
        raise DigestInvalid(
            "the manifest does not match the digest",
            detail={"expected": str(push.digest), "actual": str(digest)},
        )
    size = len(push.content)
    manifest = await aside(resources, size, parse_manifest, push.content, push.content_type)
    facts = await indexing.prepare(resources, push.repository, digest, manifest, size)
    layers = indexing.listable(resources, manifest)
    await resources.database.write(_store, push, digest, manifest, facts, layers)
    return Stored(digest, manifest.subject)


async def _store(
    tx: Transaction,
    push: Push,
    digest: Digest,
    manifest: Manifest,
    facts: ImageFacts | None,
    layers: tuple[Digest, ...],
) -> None:
    repository_id = await repositories.enter(tx, push.repository, push.caller)
    await _check_precondition(tx, repository_id, push)
    await _check_references(tx, repository_id, manifest)
    stored = rows.new_manifest(digest, manifest, push.content)
    new = await rows.put(tx, repository_id, stored)
    learnt = indexing.Learnt(digest, manifest, push.content, facts, new, layers)
    await indexing.learn(tx, repository_id, learnt, push.caller.name)
    new_tags = 0
    for tag in push.tags:
        was = await tags.point(tx, repository_id, tag, digest, push.caller.name)
        _check_tag(push, tag, was, str(digest))
        new_tags += was is None
    target = push.tags[0] if push.tags else str(digest)
    details = {"digest": str(digest), "tags": list(push.tags)}
    await trail.record(tx, push.caller, "manifest.push", push.repository, target, details)
    await indexing.pushed(tx, repository_id, learnt, new_tags)


def _check_tag(push: Push, tag: str, was: str | None, digest: str) -> None:
    """Making a tag and moving one are rights of their own; Denied undoes the transaction.

    Decided here, where nobody can come between the look and the write (A4).
    """
    action = Action.TAG if was is None else Action.OVERWRITE
    if was == digest or allowed(push.caller.principal, action, push.repository):
        return
    if was is None:
        raise Denied(
            "the tag %(tag)s is new, and making one needs the action `%(action)s`",
            tag=tag,
            action=action,
            detail={"tag": tag},
        )
    raise Denied(
        "the tag %(tag)s exists, and moving it needs the action `%(action)s`",
        tag=tag,
        action=action,
        detail={"tag": tag},
    )


async def _check_precondition(tx: Transaction, repository_id: int, push: Push) -> None:
    if push.if_match is None or not push.tags:
        return
    current = await tags.digest_of(tx, repository_id, push.tags[0])
    held = current is not None if push.if_match == "*" else (current or "") == push.if_match
    if not held:
        raise PreconditionFailed("the tag does not point where the request says", detail=current)


async def _check_references(tx: Transaction, repository_id: int, manifest: Manifest) -> None:
    """Everything that the registry must hold is in this repository, with the size it says.

    An index may list blobs too: BuildKit writes its cache that way.
    """
    wanted = [item for item in manifest.references if item.required]
    digests = list({item.digest: None for item in wanted})
    if manifest.is_index:
        sizes = await rows.sizes(tx, repository_id, digests)
        rest = [digest for digest in digests if digest not in sizes]
        sizes |= await blobs.sizes(tx, repository_id, rest) if rest else {}
    else:
        sizes = await blobs.sizes(tx, repository_id, digests)
    missing = [str(digest) for digest in digests if digest not in sizes]
    if missing:
        raise ManifestBlobUnknown(missing)
    _check_sizes(wanted, sizes)


def _check_sizes(wanted: Sequence[Descriptor], sizes: dict[Digest, int]) -> None:
    for item in wanted:
        if sizes[item.digest] != item.size:
            raise ManifestInvalid(
                "the manifest says %(size)s bytes of %(digest)s, the registry holds %(held)s",
                size=item.size,
                digest=item.digest,
                held=sizes[item.digest],
            )


async def delete(resources: Resources, repository: str, digest: Digest, caller: Caller) -> None:
    """Remove the manifest and every tag that points at it; raise ManifestUnknown."""
    if not await resources.database.remove(_delete, repository, digest, caller):
        raise _unknown(digest)


async def _delete(tx: Transaction, repository: str, digest: Digest, caller: Caller) -> bool:
    repository_id = await repository_rows.find(tx, repository)
    freed = 0 if repository_id is None else await removal.freed_with(tx, repository_id, str(digest))
    found = await rows.delete(tx, repository, digest, caller.name)
    if found is None:
        return False
    details = {"tags": found.tags, "freed": freed}
    await trail.record(tx, caller, "manifest.delete", repository, str(digest), details)
    await indexing.removed(tx, found.repository_id, size=found.size, tags=found.tags)
    return True
