"""Repositories: list those that hold manifests."""

from kho.server.database import repositories as rows
from kho.server.resources import Resources


async def page(resources: Resources, after: str | None, limit: int) -> list[str]:
    """Names after `after`, sorted with `/` lowest."""
    return await resources.database.read(rows.page, after, limit)
