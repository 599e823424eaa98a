"""What is compared and copied under a tag: all of it, or the platforms that a rule names."""

import json
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Final

from kho.client.progress import SILENT
from kho.client.stores.copy import PlatformMissing, choose, platforms
from kho.client.stores.layout import Layout
from kho.client.stores.registry_store import RegistryStore
from kho.client.stores.steady import steady
from kho.client.stores.store import ContentMissing
from kho.oci.digest import Digest
from kho.oci.errors import RegistryError
from kho.oci.hashing import new_hasher
from kho.oci.manifest import Descriptor, parse_manifest
from kho.oci.platform import Platform, best
from kho.oci.strict_json import JsonRefused, parse_object
from kho.remote import manifests
from kho.remote.manifests import BYTES, Manifest

Store = Layout | RegistryStore

# By these an attestation says which image of the index it is about.
_ABOUT: Final = "vnd.docker.reference.digest"


async def find(store: Store, tag: str) -> Digest | None:
    """The digest of a tag, by one HEAD of a registry; None where there is none."""
    if isinstance(store, RegistryStore):
        found = await manifests.find(store.registry, store.repository, tag)
        return None if found is None else found.digest
    try:
        return (await store.manifest(tag)).digest
    except ContentMissing:
        return None


async def narrowed(source: Store, whole: Manifest, wanted: tuple[Platform, ...]) -> Manifest:
    """The image of one platform, or an index of several, always the same bytes for the same index.

    Raises PlatformMissing when one of them is not there; an image itself is what it is.
    """
    if not wanted or not parse_manifest(whole.content, whole.media_type).is_index:
        return whole
    if len(wanted) == 1:
        return await choose(source, whole, wanted[0])
    offered = platforms(whole)
    chosen: set[str] = set()
    for platform in wanted:
        position = best(platform, [one for one, _ in offered])
        if position is None:
            known = ", ".join(sorted({str(one) for one, _ in offered})) or "none"
            raise PlatformMissing(f"{source.name}: no image for {platform}; there are: {known}")
        chosen.add(str(offered[position][1]))
    value = parse_object(whole.content)
    entries = value["manifests"]
    assert isinstance(entries, list)  # parse_manifest has seen it
    value["manifests"] = [one for one in entries if one["digest"] in chosen or _about(one, chosen)]
    content = json.dumps(value, indent=2).encode()
    return Manifest(whole.media_type, Digest.of(content), content)


def _about(entry: dict[str, object], chosen: set[str]) -> bool:
    told = entry.get("annotations")
    return isinstance(told, dict) and told.get(_ABOUT) in chosen


async def born(source: Store, manifest: Manifest) -> datetime | None:
    """When the image, or the first of an index, was made; None where its config does not say."""
    parsed = parse_manifest(manifest.content, manifest.media_type)
    if parsed.is_index:
        child = next((one for one in parsed.references if one.kind == "manifest"), None)
        if child is None:
            return None
        inner = await source.manifest(str(child.digest))
        parsed = parse_manifest(inner.content, inner.media_type)
    config = next((one for one in parsed.references if one.kind == "config"), None)
    if config is None or config.size > BYTES:
        return None
    try:
        text = parse_object(await _content(source, config)).get("created")
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
    except (JsonRefused, RegistryError, ValueError):
        return None
    return found.replace(tzinfo=UTC) if found is not None and found.tzinfo is None else found


async def _content(source: Store, content: Descriptor) -> bytes:
    hasher = new_hasher(content.digest.algorithm)
    async with aclosing(steady(source, content, hasher, 0, SILENT)) as pieces:
        return b"".join([piece async for piece in pieces])
