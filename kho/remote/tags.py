"""Tags of a repository (distribution-spec, end-8)."""

from collections.abc import AsyncIterator
from typing import Final

from kho.remote.pages import PAGES, pages, texts
from kho.remote.registry import PULL, Registry, repository_scope

PAGE: Final = 1000


async def tags(registry: Registry, repository: str, *, most: int = PAGES) -> AsyncIterator[str]:
    """Every tag, in the registry's order.

    Raises NotFound; Garbled for more than `most` pages.
    """
    step = f"tags of {registry.name}/{repository}"
    path = f"{repository}/tags/list?n={PAGE}"
    async for page in pages(registry, path, step, repository_scope(repository, PULL), most=most):
        for tag in texts(page, "tags", step):
            yield tag
