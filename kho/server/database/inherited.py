"""What workers inherit: statements of pushes and pulls, as text, and the driver of their database.

parent ─► imports, compiles ─► fork ─► workers share the text, and never touch what made it

Each worker would compile them at its first push: in memory of its own, since whatever Python looks
at is written to.
"""

from typing import Final

from kho.server.database import (
    audit,
    blobs,
    facts,
    images,
    layer_listings,
    manifests,
    repositories,
    tags,
    traffic,
    uploads,
)
from kho.server.database.identities import revisions
from kho.server.database.open import is_file
from kho.server.database.searching import search_writing
from kho.server.database.statement import Statement

_HOT: Final = (
    *(audit, blobs, facts, images, layer_listings, manifests, repositories, revisions),
    *(search_writing, tags, traffic, uploads),
)


def prepare(url: str) -> int:
    """Before the workers are forked; how many statements were compiled."""
    here = is_file(url)
    if not here:
        from kho.server.database.drivers import postgres  # noqa: F401, PLC0415
    statements = [
        value for module in _HOT for value in vars(module).values() if isinstance(value, Statement)
    ]
    for one in statements:
        _ = one.sqlite if here else one.postgresql
    return len(statements)
