"""What refers to a manifest, listed by clients, where a registry does not list it itself.

    tag sha256-<hex of the subject> ─► an index of descriptors (distribution-spec, "Referrers Tag
                                       Schema"), read, changed, written, and read again

There is no lock: who writes between our reading and writing is overwritten. So what was written is
read again, and whoever finds his entry gone puts it in once more.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Any, Final

from kho.client.errors import ClientError
from kho.client.written import written
from kho.oci import media_types
from kho.oci.digest import Digest
from kho.oci.errors import RegistryError
from kho.oci.manifest import parse_manifest
from kho.oci.strict_json import JsonRefused, parse_object
from kho.remote import manifests
from kho.remote.errors import Garbled, NotFound
from kho.remote.manifests import BYTES, Manifest
from kho.remote.referrers import fallback_tag
from kho.remote.registry import Registry

_ATTEMPTS: Final = 8
_PAUSE: Final = 0.2

Entries = list[dict[str, Any]]


async def enlist(registry: Registry, repository: str, manifest: Manifest) -> None:
    """List a manifest that has a subject; raise ClientError where others keep undoing it."""
    try:
        subject = parse_manifest(manifest.content, manifest.media_type).subject
    except RegistryError:
        return  # of a kind that the registry knows and this does not
    if subject is None:
        return
    entry = descriptor(manifest)

    def add(entries: Entries) -> Entries:
        if any(one.get("digest") == entry["digest"] for one in entries):
            return entries
        return [*entries, entry]

    await _change(registry, repository, subject, add)


async def strike(registry: Registry, repository: str, subject: Digest, gone: Digest) -> None:
    """Take a manifest that is no more off the list of its subject, where there is a list."""

    def remove(entries: Entries) -> Entries:
        return [one for one in entries if one.get("digest") != str(gone)]

    await _change(registry, repository, subject, remove)


def descriptor(manifest: Manifest) -> dict[str, Any]:
    """As referrers are listed: with type and annotations."""
    parsed = parse_manifest(manifest.content, manifest.media_type)
    found: dict[str, Any] = {
        "mediaType": parsed.media_type,
        "digest": str(manifest.digest),
        "size": len(manifest.content),
    }
    if parsed.artifact_type is not None:
        found["artifactType"] = parsed.artifact_type
    if parsed.annotations:
        found["annotations"] = parsed.annotations
    return found


async def _change(
    registry: Registry, repository: str, subject: Digest, change: Callable[[Entries], Entries]
) -> None:
    tag = fallback_tag(subject)
    where = f"the list of referrers {registry.name}/{repository}:{tag}"
    for attempt in range(_ATTEMPTS):
        value = await _read(registry, repository, tag, where)
        before: Entries = value["manifests"]
        after = change(before)
        if after == before:
            return
        content = written({**value, "manifests": after})
        if len(content) > BYTES:
            raise ClientError(f"{where} would have more than {BYTES} bytes")
        await manifests.put(registry, repository, tag, media_types.OCI_INDEX, content)
        if attempt:
            await asyncio.sleep(random.uniform(0, _PAUSE * attempt))  # noqa: S311
    raise ClientError(f"{where}: others change it all the time; try again")


async def _read(registry: Registry, repository: str, tag: str, where: str) -> dict[str, Any]:
    """The index, empty where there is none."""
    empty = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": []}
    try:
        found = await manifests.get(registry, repository, tag)
    except NotFound:
        return empty
    try:
        value = parse_object(found.content)
        if not parse_manifest(found.content, found.media_type).is_index:
            raise Garbled(f"{where} is no index")
    except (JsonRefused, RegistryError) as error:
        raise Garbled(f"{where}: {error}") from error
    return value
