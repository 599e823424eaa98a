"""How many of what there is, for who looks after the registry."""

from kho.server.database import counts as rows
from kho.server.database.counts import Counts
from kho.server.resources import Resources

__all__ = ["Counts", "every"]


async def every(resources: Resources) -> Counts:
    """Counted now."""
    return await resources.database.read(rows.all_counts)
