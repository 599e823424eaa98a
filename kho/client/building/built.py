"""What was made here, as a source: manifests and small content in memory, layers in spools.

made here ──────────────► Built ─► Copier ─► Routed(target) ─► the target
what an image had already ─┘                    │
(its own source)  ◄─────────────────────────────┘ asked for by the target itself, so that
                                                  a registry mounts what it has next door
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from kho.client.building.layer_file import LayerFile, pieces
from kho.client.progress import SILENT, Outcome, Progress
from kho.client.stores.copy import Copied, Copier
from kho.client.stores.store import ContentMissing, Source, Target
from kho.client.written import written
from kho.oci.digest import Digest, parse_digest
from kho.oci.manifest import Descriptor
from kho.remote.blobs import Stream
from kho.remote.manifests import Manifest
from kho.remote.referrers import Referrer

_HELD_BYTES: Final = 256 * 1024


class Built:
    """A source of what was made here, and of what it was made from."""

    def __init__(self, base: Source | None = None) -> None:
        self._base = base
        self._manifests: dict[Digest, Manifest] = {}
        self._small: dict[Digest, bytes] = {}
        self._layers: dict[Digest, LayerFile] = {}
        self._others: dict[Digest, Source] = {}

    @property
    def name(self) -> str:
        """For messages."""
        return "what is being built" if self._base is None else self._base.name

    # What is in it

    def add_manifest(self, value: dict[str, Any], media_type: str) -> Manifest:
        """Write a manifest."""
        content = written(value)
        made = Manifest(media_type, Digest.of(content), content)
        self._manifests[made.digest] = made
        return made

    def add_small(self, content: bytes, media_type: str) -> dict[str, Any]:
        """Keep content in memory; its descriptor."""
        digest = Digest.of(content)
        self._small[digest] = content
        return {"mediaType": media_type, "digest": str(digest), "size": len(content)}

    def add_layer(self, layer: LayerFile) -> None:
        """Have a layer; it is to be open as long as this is asked for it."""
        self._layers[layer.digest] = layer

    def add_other(self, contents: Iterable[Descriptor], source: Source) -> None:
        """Know where content is that the base does not have."""
        for content in contents:
            self._others.setdefault(content.digest, source)

    # Source

    async def manifest(self, target: str) -> Manifest:
        """By digest; what was not made here is the base's."""
        digest = parse_digest(target)
        if digest in self._manifests:
            return self._manifests[digest]
        if self._base is None:
            raise ContentMissing(f"{self.name} has no {target}")
        return await self._base.manifest(target)

    def blob(self, content: Descriptor, start: int) -> AbstractAsyncContextManager[Stream]:
        """From memory, a spool, or where it came from."""
        origin = self.origin(content)
        return self._own(content, start) if origin is self else origin.blob(content, start)

    @asynccontextmanager
    async def _own(self, content: Descriptor, start: int) -> AsyncIterator[Stream]:
        layer = self._layers.get(content.digest)
        if layer is not None:
            yield Stream(start, layer.size, pieces(layer, start))
            return
        small = self._small.get(content.digest)
        if small is None:
            raise ContentMissing(f"{self.name} has no {content.digest}")
        yield Stream(start, len(small), _cut(small, start))

    def origin(self, content: Descriptor) -> Source:
        """Who has it: this, or what it was taken from."""
        digest = content.digest
        if digest in self._small or digest in self._layers:
            return self
        return self._others.get(digest) or self._base or self

    async def referrers(self, digest: Digest) -> list[Referrer]:
        """None: what was made just now is unknown to all."""
        del digest
        return []

    def tags(self) -> AsyncIterator[str]:
        """It has none."""
        return _none()


class Routed:
    """A target that takes what was not made here from where it is."""

    def __init__(self, target: Target, built: Built) -> None:
        self._target = target
        self._built = built

    @property
    def name(self) -> str:
        """For messages."""
        return self._target.name

    async def has_manifest(self, digest: Digest) -> bool:
        """As the target."""
        return await self._target.has_manifest(digest)

    async def take_blob(self, content: Descriptor, source: Source, told: Progress) -> Outcome:
        """From its origin."""
        del source
        return await self._target.take_blob(content, self._built.origin(content), told)

    async def take_manifest(self, manifest: Manifest, tag: str | None) -> None:
        """As the target."""
        await self._target.take_manifest(manifest, tag)


async def deliver(
    built: Built,
    manifest: Manifest,
    target: Target,
    tag: str | None,
    *,
    told: Progress = SILENT,
    parallel: int = 4,
) -> Copied:
    """Bring what a manifest stands for to a target; only what is missing there is sent."""
    copier = Copier(built, Routed(target, built), told=told, parallel=parallel)
    return await copier.copy_manifest(manifest, [] if tag is None else [tag])


async def _cut(content: bytes, start: int) -> AsyncIterator[bytes]:
    for at in range(start, len(content), _HELD_BYTES):
        yield content[at : at + _HELD_BYTES]
        await asyncio.sleep(0)


async def _none() -> AsyncIterator[str]:
    nothing: tuple[str, ...] = ()
    for tag in nothing:
        yield tag
