"""Repositories of a registry: the catalog, and the search of those that have one."""

from collections.abc import AsyncIterator
from typing import Final

from kho.oci.scope import Scope
from kho.remote.pages import pages, texts
from kho.remote.registry import Registry

PAGE: Final = 1000
_CATALOG: Final = Scope("registry", "catalog", frozenset({"*"}))


async def repositories(registry: Registry) -> AsyncIterator[str]:
    """Every repository that these credentials may see; public services refuse to tell."""
    step = f"catalog of {registry.name}"
    async for page in pages(registry, f"_catalog?n={PAGE}", step, _CATALOG):
        for name in texts(page, "repositories", step):
            yield name
