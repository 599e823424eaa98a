"""Deletion of a tag where it is not wanted any more; what else has its manifest stays."""

import re
from collections.abc import Collection
from typing import Final

from kho.client.errors import ClientError
from kho.client.stores.layout import NAME, Layout
from kho.client.stores.registry_store import RegistryStore
from kho.client.syncing.choice import find
from kho.remote import manifests
from kho.remote.errors import NotFound, Refused

# Clients keep such a tag where a registry does not list referrers itself; no source has it to tell.
_FALLBACK: Final = re.compile(r"sha(256-[0-9a-f]{64}|512-[0-9a-f]{64,128})", re.ASCII)
# What registries answer that delete by digest only: 404 is theirs for a tag, too.
_BY_DIGEST_ONLY: Final = frozenset({400, 404, 405, 501})


class CannotUntag(ClientError):
    """A registry that cannot delete a tag alone; one line."""


def is_fallback(tag: str) -> bool:
    """Whether a tag is a list of referrers, which clients keep there."""
    return _FALLBACK.fullmatch(tag) is not None


async def remove(store: Layout | RegistryStore, tag: str, others: Collection[str]) -> None:
    """Delete a tag; where only digests can be deleted, if none of the `others` has the same one."""
    if isinstance(store, Layout):
        with store.changing() as entries:
            entries[:] = [one for one in entries if (one.get("annotations") or {}).get(NAME) != tag]
        return
    try:
        await manifests.delete(store.registry, store.repository, tag)
    except Refused as error:
        if error.status not in _BY_DIGEST_ONLY:
            raise
        digest = await find(store, tag)
        if digest is None:
            return
        for other in others:
            if await find(store, other) == digest:
                raise CannotUntag(
                    f"{store.name}:{tag}: the registry deletes digests only,"
                    f" and {other} has the same"
                ) from error
        try:
            await manifests.delete(store.registry, store.repository, str(digest))
        except NotFound:
            return  # two tags of one digest go at once
