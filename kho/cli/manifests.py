"""What `kho manifest` shows of a manifest, and how it puts one into a repository."""

import sys
from pathlib import Path
from typing import Any

from kho.client.archives.archive import Archive
from kho.client.errors import Damaged, Misused
from kho.client.places import Place
from kho.oci.digest import Digest
from kho.oci.errors import RegistryError
from kho.oci.manifest import parse_manifest
from kho.oci.platform import Platform
from kho.oci.strict_json import JsonRefused, parse_object
from kho.remote.errors import ContentMismatch
from kho.remote.manifests import BYTES, Manifest


async def put_manifest(place: Place, reference: str, file: Path) -> Manifest:
    """Store a file's bytes as they are; raise Misused where it is no manifest."""
    if isinstance(place.store, Archive):
        raise Misused(f"{reference}: an archive takes whole images alone: see `kho save`")
    with sys.stdin.buffer if str(file) == "-" else file.open("rb") as opened:
        content = opened.read(BYTES + 1)
    if len(content) > BYTES:
        raise Misused(f"{file}: a manifest has at most {BYTES} bytes")
    try:
        parsed = parse_manifest(content, None)
    except RegistryError as error:
        raise Misused(f"{file}: {error.message}") from error
    target = place.target
    if target is not None and ":" in target and place.tag is None:
        found = Digest.of(content, target.partition(":")[0])
        if str(found) != target:
            raise ContentMismatch(f"{file} has the digest {found}, not {target}")
        made = Manifest(parsed.media_type, found, content)
    else:
        made = Manifest(parsed.media_type, Digest.of(content), content)
    await place.store.take_manifest(made, place.tag)
    return made


def told(manifest: Manifest) -> dict[str, Any]:
    """For JSON; raise Damaged."""
    return {
        "digest": str(manifest.digest),
        "mediaType": manifest.media_type,
        "size": len(manifest.content),
        "manifest": _value(manifest),
    }


def rows(manifest: Manifest) -> list[dict[str, str]]:
    """What it refers to: platform or kind, digest, size, media type."""
    value = _value(manifest)
    entries = value.get("manifests")
    if isinstance(entries, list):
        return [_row(one, _platform(one)) for one in entries if isinstance(one, dict)]
    found = [_row(one, "config") for one in [value.get("config")] if isinstance(one, dict)]
    layers = value.get("layers")
    if isinstance(layers, list):
        found += [_row(one, "layer") for one in layers if isinstance(one, dict)]
    return found


def _platform(entry: dict[str, Any]) -> str:
    fields = entry.get("platform")
    name = str(Platform.of(fields)) if isinstance(fields, dict) else ""
    kind = entry.get("artifactType")
    return (
        (kind if isinstance(kind, str) and kind else "-")
        if name in {"", "unknown/unknown"}
        else name
    )


def _row(entry: dict[str, Any], what: str) -> dict[str, str]:
    return {
        "what": what,
        "digest": str(entry.get("digest", "")),
        "size": str(entry.get("size", "")),
        "mediaType": str(entry.get("mediaType", "")),
    }


def _value(manifest: Manifest) -> dict[str, Any]:
    try:
        return parse_object(manifest.content)
    except JsonRefused as error:
        raise Damaged(f"{manifest.digest}: {error}") from error
