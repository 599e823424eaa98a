"""How many of what there is, for who looks after the registry."""

from kho.server.database.identities import counts as rows
from kho.server.database.identities.counts import Counts, Indexing
from kho.server.resources import Resources

__all__ = ["Counts", "Indexing", "every", "indexing"]


async def every(resources: Resources) -> Counts:
    """Counted now."""
    return await resources.database.read(rows.all_counts)


async def indexing(resources: Resources) -> Indexing:
    """What the index has still to find out."""
    return await resources.database.read(rows.indexing)
