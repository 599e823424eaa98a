"""Images of layers that are written in the test, in a layout that counts what is read of it."""

import gzip
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from kho.client.images.image import Image, open_image
from kho.client.stores.layout import Layout
from kho.oci.manifest import Descriptor
from kho.remote.blobs import Stream
from tests.client.images import CONFIG, LAYER, blob, manifest


class Counting(Layout):
    """Remembers whose bytes were asked for, in their order."""

    asked: list[str]

    @asynccontextmanager
    async def blob(self, content: Descriptor, start: int) -> AsyncIterator[Stream]:
        self.asked = [*getattr(self, "asked", []), content.digest.hex]
        async with super().blob(content, start) as stream:
            yield stream

    def layers_read(self, image: Image) -> list[int]:
        """The numbers of the layers that were read, in their order; then forget them."""
        numbers = {layer.digest.hex: at for at, layer in enumerate(image.layers)}
        found = [numbers[one] for one in getattr(self, "asked", []) if one in numbers]
        self.asked = []
        return found


async def layered(
    layout: Layout,
    *tars: bytes,
    name: str = "it",
    config: dict[str, Any] | None = None,
    **fields: Any,
) -> Image:
    """An image of these tars, from the lowest on; `fields` are of its config file."""
    value = {
        "architecture": "amd64",
        "os": "linux",
        "config": config or {},
        "rootfs": {"type": "layers", "diff_ids": [_digest(one) for one in tars]},
        **fields,
    }
    stored = [gzip.compress(one, 1, mtime=0) for one in tars]
    made = manifest(
        {
            "config": blob(layout, json.dumps(value).encode(), CONFIG),
            "layers": [blob(layout, one, LAYER) for one in stored],
        }
    )
    await layout.take_manifest(made, name)
    return await open_image(layout, name)


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
