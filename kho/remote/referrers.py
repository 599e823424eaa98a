"""What refers to a manifest: signatures, SBOMs (distribution-spec, end-12, and its fallback tag).

GET /v2/<name>/referrers/<digest> ─► an index, in pages
    404 ─► the tag `sha256-<hex>`, an index that clients keep themselves
"""

from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import urlencode

from kho.oci import media_types
from kho.oci.digest import Digest
from kho.oci.strict_json import JsonRefused, parse_object
from kho.remote import manifests
from kho.remote.errors import Garbled, NotFound
from kho.remote.pages import pages
from kho.remote.registry import PULL, Registry, repository_scope

# A registry may list referrers without end, and each costs a request later (V1).
MOST: Final = 10_000
MOST_PAGES: Final = 1_000

# A descriptor, as it is written in the index.
Referrer = dict[str, object]


async def referrers(
    registry: Registry, repository: str, digest: Digest, artifact_type: str | None = None
) -> list[Referrer]:
    """Descriptors of what refers to `digest`, of one type where it is given.

    Raises Garbled for more than MOST.
    """
    step = f"referrers of {registry.name}/{repository}@{digest}"
    found: list[Referrer] = []
    async for page in _listed(registry, repository, digest, artifact_type, step):
        found += [one for one in _descriptors(page, step) if _is(one, artifact_type)]
        if len(found) > MOST:
            raise Garbled(f"{step}: more than {MOST}")
    return found


async def _listed(
    registry: Registry, repository: str, digest: Digest, artifact_type: str | None, step: str
) -> AsyncIterator[dict[str, object]]:
    query = f"?{urlencode({'artifactType': artifact_type})}" if artifact_type else ""
    path = f"{repository}/referrers/{digest}{query}"
    scope = repository_scope(repository, PULL)
    accept = {"Accept": media_types.OCI_INDEX}
    try:
        async for page in pages(registry, path, step, scope, headers=accept, most=MOST_PAGES):
            yield page
    except NotFound:
        fallback = await _fallback(registry, repository, digest, step)
        if fallback is not None:
            yield fallback


async def _fallback(
    registry: Registry, repository: str, digest: Digest, step: str
) -> dict[str, object] | None:
    try:
        found = await manifests.get(registry, repository, fallback_tag(digest))
        return parse_object(found.content)
    except NotFound:
        return None
    except JsonRefused as error:
        raise Garbled(f"{step}: {error}") from error


def fallback_tag(digest: Digest) -> str:
    """The tag under which clients list referrers where the registry does not."""
    return f"{digest.algorithm[:32]}-{digest.hex[:64]}"


def _descriptors(page: dict[str, object], step: str) -> list[Referrer]:
    value = page.get("manifests") or []
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise Garbled(f"{step}: manifests is no list of descriptors")
    return value


def _is(descriptor: Referrer, artifact_type: str | None) -> bool:
    """Not every registry filters: they say so, or not."""
    return artifact_type is None or descriptor.get("artifactType") == artifact_type
