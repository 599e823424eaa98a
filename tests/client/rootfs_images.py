"""Images of given layers in a layout, whole: compressed, with diff ids and a config."""

import gzip
import json
from typing import Any

import zstandard

from kho.client.images.image import Image, open_image
from kho.client.stores.layout import Layout
from kho.oci.digest import Digest
from tests.client import images

OCI = "application/vnd.oci.image.layer.v1.tar"
DOCKER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def compressed(tar: bytes, media_type: str) -> bytes:
    """As the media type says."""
    if media_type.endswith("gzip"):
        return gzip.compress(tar, 1, mtime=0)
    return zstandard.compress(tar) if media_type.endswith("zstd") else tar


async def rootfs_image(
    layout: Layout,
    *tars: bytes,
    media_type: str = OCI + "+gzip",
    name: str = "image",
    config: dict[str, Any] | None = None,
    diff_ids: list[str] | None = None,
    lies: dict[str, Any] | None = None,
) -> Image:
    """Store and open it; `lies` go into the descriptors of the layers."""
    value = {
        "architecture": "amd64",
        "os": "linux",
        "config": config or {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids or [str(Digest.of(tar)) for tar in tars]},
    }
    layers = [images.blob(layout, compressed(tar, media_type), media_type) for tar in tars]
    made = images.manifest(
        {
            "config": images.blob(layout, json.dumps(value).encode(), images.CONFIG),
            "layers": [{**one, **(lies or {})} for one in layers],
        }
    )
    await layout.take_manifest(made, name)
    return await open_image(layout, name)
