"""Search of any registry: by its own, else through its list of repositories."""

from dataclasses import dataclass, replace

from kho.oci.reference import HUB
from kho.remote import search as own
from kho.remote.registry import Registry
from kho.remote.repositories import repositories
from kho.remote.search import Hit


@dataclass(frozen=True, slots=True)
class Found:
    """Repositories with their registry in their names; `by_registry` if it searched itself."""

    hits: list[Hit]
    by_registry: bool


async def search(registry: Registry, term: str, limit: int = 25) -> Found:
    """At most `limit` repositories; the one with exactly this name first, then as they come.

    Raises RemoteError where the registry neither searches nor lists.
    """
    hits = await own.search(registry, term, limit)
    by_registry = hits is not None
    if hits is None:
        names = [name async for name in repositories(registry) if term.lower() in name]
        hits = [Hit(name, "", 0, official=False) for name in names]
    ranked = sorted(hits, key=lambda hit: hit.name != term)[:limit]
    return Found([replace(hit, name=_full(registry, hit.name)) for hit in ranked], by_registry)


def _full(registry: Registry, name: str) -> str:
    return name if registry.name == HUB else f"{registry.name}/{name}"
