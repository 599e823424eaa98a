"""Take a tag, or an image with all its tags, out of a registry."""

from collections.abc import Sequence
from typing import Final

from kho.client.building.attach import all_referrers
from kho.client.errors import ClientError
from kho.client.stores.referrers_tag import strike
from kho.client.stores.registry_store import RegistryStore
from kho.oci.digest import Digest
from kho.oci.errors import RegistryError
from kho.oci.manifest import parse_manifest
from kho.remote import manifests
from kho.remote.errors import NotFound, Refused
from kho.remote.referrers import fallback_tag

# What registries say to a request that they do not have.
_UNKNOWN_TO_IT: Final = frozenset({400, 404, 405, 501})
_NO_SUCH_REQUEST: Final = frozenset({405, 501})


async def delete_tag(store: RegistryStore, tag: str) -> Digest:
    """Take a tag away; the image stays. What it named.

    Raises ContentMissing; ClientError where the registry has no such request.
    """
    found = await store.find(tag)
    try:
        await manifests.delete(store.registry, store.repository, tag)
    except Refused as error:
        if error.status not in _UNKNOWN_TO_IT:
            raise
        raise ClientError(
            f"{store.name}:{tag}: this registry cannot delete a tag alone ({error.status}); to"
            f" delete the image with all its tags: kho delete {store.name}@{found.digest}"
        ) from error
    return found.digest


async def delete_image(
    store: RegistryStore, digest: Digest, *, referrers: bool = False
) -> Sequence[Digest]:
    """Delete a manifest with all its tags; with `referrers`, what refers to it before it.

    What was deleted, in that order. Raises NotFound; ClientError where it is not allowed.
    """
    manifest = await store.manifest(str(digest))
    gone = []
    if referrers:
        listed = [one async for one in all_referrers(store, digest, recursive=True)]
        for one in reversed(listed):  # what refers to a referrer goes before it
            try:
                await _delete(store, one.digest)
            except NotFound:  # listed by its clients, and gone
                continue
            gone.append(one.digest)
    await _delete(store, digest)
    gone.append(digest)
    try:
        subject = parse_manifest(manifest.content, manifest.media_type).subject
    except RegistryError:
        subject = None
    if subject is not None and await _lists_by_tag(store, subject):
        await strike(store.registry, store.repository, subject, digest)
    if referrers:
        for was in gone:
            await _delete_list(store, was)
    return gone


async def _delete(store: RegistryStore, digest: Digest) -> None:
    try:
        await manifests.delete(store.registry, store.repository, str(digest))
    except Refused as error:
        if error.status not in _NO_SUCH_REQUEST:
            raise
        raise ClientError(
            f"{store.name}@{digest}: this registry does not let anybody delete ({error.status})"
        ) from error


async def _lists_by_tag(store: RegistryStore, subject: Digest) -> bool:
    tag = fallback_tag(subject)
    return await manifests.find(store.registry, store.repository, tag) is not None


async def _delete_list(store: RegistryStore, subject: Digest) -> None:
    """The index that clients kept of what referred to it."""
    tag = fallback_tag(subject)
    found = await manifests.find(store.registry, store.repository, tag)
    if found is not None:
        await manifests.delete(store.registry, store.repository, str(found.digest))
