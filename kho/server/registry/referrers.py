"""Referrers: list what says that it belongs to a manifest."""

from collections.abc import Sequence
from typing import Final

from kho.oci.digest import Digest
from kho.server.database import referrers as rows
from kho.server.database.referrers import ReferrerPage, ReferrerRow
from kho.server.resources import Resources

__all__ = ["ReferrerPage", "ReferrerRow", "page"]

# What a page shows of manifests, they hold themselves: so it is not much longer than this.
PAGE_BYTES: Final = 2 * 1024 * 1024


async def page(
    resources: Resources,
    repository: str,
    subject: Digest,
    artifact_types: Sequence[str],
    *,
    after: str | None,
    limit: int,
) -> ReferrerPage:
    """Some of the manifests whose subject is `subject`, by digest; `after` is a digest."""
    return await resources.database.read(
        rows.page,
        repository,
        subject,
        artifact_types,
        after=after,
        limit=limit,
        most_bytes=PAGE_BYTES,
    )
