"""Small images in a layout, made of what the test says."""

import json
import os
from pathlib import Path
from typing import Any

from kho.client.stores.layout import Layout
from kho.oci import media_types
from kho.oci.digest import Digest
from kho.remote.manifests import Manifest

CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def blob(layout: Layout, content: bytes, media_type: str) -> dict[str, Any]:
    """Put content into a layout; its descriptor."""
    layout.prepare()
    digest = Digest.of(content)
    layout.path(digest).write_bytes(content)
    return {"mediaType": media_type, "digest": str(digest), "size": len(content)}


def manifest(value: dict[str, Any], media_type: str = media_types.OCI_MANIFEST) -> Manifest:
    """A manifest of these fields."""
    content = json.dumps({"schemaVersion": 2, "mediaType": media_type, **value}).encode()
    return Manifest(media_type, Digest.of(content), content)


def descriptor(of: Manifest, **more: Any) -> dict[str, Any]:
    """What an index says of it."""
    return {
        "mediaType": of.media_type,
        "digest": str(of.digest),
        "size": len(of.content),
        **more,
    }


async def image(
    layout: Layout,
    name: str | None,
    *layers: bytes,
    architecture: str = "amd64",
    **fields: Any,
) -> Manifest:
    """An image of random layers, or of these."""
    config = json.dumps({"architecture": architecture, "os": "linux"}).encode()
    made = manifest(
        {
            "config": blob(layout, config, CONFIG),
            "layers": [blob(layout, one, LAYER) for one in layers or (os.urandom(1000),)],
            **fields,
        }
    )
    await layout.take_manifest(made, name)
    return made


async def index(layout: Layout, name: str, *images: tuple[str, Manifest]) -> Manifest:
    """An index of images by platform."""
    entries = []
    for platform, one in images:
        system, architecture, *variant = platform.split("/")
        told = {"os": system, "architecture": architecture}
        if variant:
            told["variant"] = variant[0]
        entries.append(descriptor(one, platform=told))
    made = manifest({"manifests": entries}, media_types.OCI_INDEX)
    await layout.take_manifest(made, name)
    return made


def content_of(folder: Path) -> dict[str, bytes]:
    """Every blob of a layout."""
    found = {}
    for path in (folder / "blobs").rglob("*"):
        if path.is_file():
            found[path.name] = path.read_bytes()
    return found
