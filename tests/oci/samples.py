"""Manifests and descriptors to start from; a test changes what it is about."""

import json
from typing import Any

from kho.oci.digest import Digest
from kho.oci.media_types import OCI_INDEX, OCI_MANIFEST

Json = dict[str, Any]

CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"


def encode(value: object) -> bytes:
    """The JSON text as a client sends it."""
    return json.dumps(value).encode()


def descriptor(content: bytes, media_type: str = LAYER_TYPE, **more: object) -> Json:
    """Describe `content`; `digest=` and `size=` may be told otherwise."""
    told = {"mediaType": media_type, "digest": str(Digest.of(content)), "size": len(content)}
    return told | more


def image(config: bytes = b"{}", /, *layers: bytes, **more: object) -> Json:
    """An OCI image manifest."""
    return {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(config, CONFIG_TYPE),
        "layers": [descriptor(layer) for layer in layers],
    } | more


def index(*children: bytes, **more: object) -> Json:
    """An OCI index over the bytes of manifests."""
    return {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [descriptor(child, OCI_MANIFEST) for child in children],
    } | more
