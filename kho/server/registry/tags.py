"""Tags: list and delete. A push moves them (registry/manifests.py)."""

from kho.oci.errors import ManifestUnknown, NameUnknown
from kho.server.database import repositories
from kho.server.database import tags as rows
from kho.server.database.engine import Transaction
from kho.server.policy.access import Caller
from kho.server.registry import indexing, trail
from kho.server.resources import Resources


async def page(resources: Resources, repository: str, after: str | None, limit: int) -> list[str]:
    """Tags after `after` in byte order; raise NameUnknown for a repository that never was."""
    found = await resources.database.read(rows.page, repository, after, limit)
    if not found and await resources.database.read(repositories.find, repository) is None:
        raise NameUnknown("repository unknown to this registry", detail={"name": repository})
    return found


async def delete(resources: Resources, repository: str, tag: str, caller: Caller) -> None:
    """Remove the tag alone; raise ManifestUnknown."""
    if not await resources.database.remove(_delete, repository, tag, caller):
        raise ManifestUnknown("tag unknown to this repository", detail={"tag": tag})


async def _delete(tx: Transaction, repository: str, tag: str, caller: Caller) -> bool:
    found = await rows.delete(tx, repository, tag, caller.name)
    if found is None:
        return False
    await trail.record(tx, caller, "tag.delete", repository, tag)
    await indexing.removed(tx, found, size=0, tags=1)
    return True
