"""Who else uses a blob: manifests, up to a number, and the repositories that these are in."""

import json
from typing import Final

from sqlalchemy import select

from kho.server.database.constructs import listed, strings
from kho.server.database.contents.collected import collected, numbers, one_of_numbers
from kho.server.database.engine import Transaction
from kho.server.database.schema import manifest_references, manifests, repositories
from kho.server.database.sight import Seen
from kho.server.database.statement import Statement
from kho.server.policy.sight import Sight

WINDOW: Final = 150  # users of one blob that are looked at

_blobs = strings("digests")
_listing = manifest_references.alias("listing")
_USERS: Final = Statement(
    select(
        _blobs.c.value,
        collected(
            select(_listing.c.manifest_id)
            .where(_listing.c.digest == _blobs.c.value)
            .correlate(_blobs),
            WINDOW,
        ),
    )
)
_HOMES: Final = Statement(
    select(manifests.c.id, manifests.c.repository_id).where(
        one_of_numbers(manifests.c.id, "manifests")
    )
)
_SEEN: Final = Seen(
    select(repositories.c.id, repositories.c.name).where(
        one_of_numbers(repositories.c.id, "repositories")
    )
)


async def users(tx: Transaction, digests: list[str]) -> dict[str, frozenset[int]]:
    """The manifests that list each of these blobs, by number, WINDOW at most."""
    found = await tx.all(_USERS, digests=listed(dict.fromkeys(digests)))
    return {digest: frozenset(json.loads(ids)) for digest, ids in found}


async def homes(tx: Transaction, ids: set[int]) -> dict[int, int]:
    """The repository of each manifest, both by number."""
    found = await tx.all(_HOMES, manifests=numbers(sorted(ids)))
    return dict(found)


async def seen(tx: Transaction, sight: Sight, ids: set[int]) -> dict[int, str]:
    """The names of those repositories that may be seen, by number."""
    found = await _SEEN.all(tx, sight, repositories=numbers(sorted(ids)))
    return dict(found)
