"""A tag that points again where it pointed before."""

import msgspec

from kho.oci.digest import Digest
from kho.oci.errors import Denied, ManifestUnknown, NameUnknown, PreconditionFailed
from kho.server.database import manifests, repositories, tags
from kho.server.database.contents import history
from kho.server.database.engine import Transaction
from kho.server.policy.access import Action, Caller, allowed
from kho.server.registry import indexing, trail
from kho.server.resources import Resources


class Restored(msgspec.Struct, frozen=True):
    """Where the tag points now, and where it did before; None is nowhere."""

    tag: str
    from_digest: str | None
    to_digest: str


async def roll_back(
    resources: Resources,
    repository: str,
    tag: str,
    digest: Digest,
    caller: Caller,
    if_match: str | None = None,
) -> Restored:
    """Point the tag at a digest of its history, whose manifest is still there.

    `if_match` is where it must point now, "" must be absent, None asks nothing. Rights are those
    of a push. Raises NameUnknown, ManifestUnknown, PreconditionFailed or Denied.
    """
    return await resources.database.write(_restore, repository, tag, digest, caller, if_match)


async def _restore(
    tx: Transaction, repository: str, tag: str, digest: Digest, caller: Caller, if_match: str | None
) -> Restored:
    repository_id = await repositories.find(tx, repository)
    if repository_id is None:
        raise NameUnknown("repository unknown to this registry", detail={"name": repository})
    current = await tags.digest_of(tx, repository_id, tag)
    if if_match is not None and (current or "") != if_match:
        raise PreconditionFailed("the tag does not point where the request says", detail=current)
    _check(caller, repository, tag, current)
    if not await history.pointed_at(tx, repository_id, tag, str(digest)):
        raise ManifestUnknown("the tag has never pointed there", detail={"reference": str(digest)})
    if not await manifests.sizes(tx, repository_id, [digest]):  # which also keeps it there
        raise ManifestUnknown("the manifest is gone", detail={"reference": str(digest)})
    await tags.point(tx, repository_id, tag, digest, caller.name)
    if current != str(digest):
        details = {"digest": str(digest), "from": current}
        await trail.record(tx, caller, "tag.restore", repository, tag, details)
        await indexing.pointed(tx, repository_id, new_tags=int(current is None))
    return Restored(tag, current, str(digest))


def _check(caller: Caller, repository: str, tag: str, current: str | None) -> None:
    """As in a push: making a tag and moving one are rights of their own."""
    for action in (Action.PUSH, Action.TAG if current is None else Action.OVERWRITE):
        if not allowed(caller.principal, action, repository):
            raise Denied(
                "pointing this tag elsewhere needs the action `%(action)s`",
                action=action,
                detail=tag,
            )
