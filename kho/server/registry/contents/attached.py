"""What hangs on a manifest, as a tree: signatures, SBOMs, attestations, and what hangs on those.

manifest ── referrers (their subject is it) ── referrers of these ── ... DEPTH levels, MOST nodes
└── sha256-<hex>.sig, .att, .sbom     what cosign named by tags
"""

import json
from collections import defaultdict
from typing import Final

import msgspec

from kho.server.database.contents import attachments as rows
from kho.server.database.contents.attachments import Attachment
from kho.server.database.engine import Transaction

DEPTH: Final = 4
MOST: Final = 200
_ENDINGS: Final = ("sig", "att", "sbom")


class Node(msgspec.Struct, frozen=True):
    """A manifest that says it belongs to another; `size` in bytes, of the manifest alone.

    `tag` is the name by which it belongs, where that is no subject. `annotations` are left out
    (None) when they are very long.
    """

    digest: str
    media_type: str
    artifact_type: str | None
    size: int
    pushed_at: int
    tag: str
    annotations: dict[str, str] | None
    referrers: tuple["Node", ...]


class Tree(msgspec.Struct, frozen=True):
    """What hangs on a manifest; `more`: not all of it is shown."""

    nodes: tuple[Node, ...]
    more: bool


async def tree(tx: Transaction, repository_id: int, digest: str) -> Tree:
    """The tree of a manifest of a repository."""
    names = [f"{digest.replace(':', '-')}.{ending}" for ending in _ENDINGS]
    tagged = await rows.tagged(tx, repository_id, names)
    under: dict[str, list[Attachment]] = defaultdict(list)
    seen = {digest}
    level, left, more = [digest], MOST, False
    for _ in range(DEPTH):
        found = await rows.level(tx, repository_id, level, left + 1) if level and left else []
        more = more or len(found) > left
        # A circle of subjects cannot be made, but a damaged row must not make one here.
        new = [one for one in found[:left] if one.digest not in seen]
        new.sort(key=lambda one: (-one.created_at, one.digest))
        for one in new:
            under[one.on].append(one)
        seen.update(one.digest for one in new)
        left -= len(new)
        level = [one.digest for one in new]
    if level and (await rows.level(tx, repository_id, level, 1) if left else True):
        more = True
    nodes = [_node(one, under, "") for one in under[digest]]
    nodes += [_node(one, under, one.on) for one in tagged if one.digest not in seen]
    return Tree(tuple(nodes), more)


def _node(row: Attachment, under: dict[str, list[Attachment]], tag: str) -> Node:
    return Node(
        digest=row.digest,
        media_type=row.media_type,
        artifact_type=row.artifact_type,
        size=row.size,
        pushed_at=row.created_at,
        tag=tag,
        annotations=_annotations(row),
        referrers=tuple(_node(one, under, "") for one in under.get(row.digest, ())),
    )


def _annotations(row: Attachment) -> dict[str, str] | None:
    if row.annotations is None:
        return None
    value = json.loads(row.annotations)
    return {str(key): str(text) for key, text in value.items()}
