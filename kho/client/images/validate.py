"""Whether all of an image is there, and is what it should be.

index ─► each manifest in it ─► config: digest, and as many diff ids as layers
                             └► each layer: size, digest, diff id, a tar that can be read to its end

`fast` reads no layer: that they are there, and how long, is all that is asked. What is wrong does
not end the check, but for what the way there breaks at.
"""

import asyncio
import hashlib
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from kho.client.errors import ClientError
from kho.client.images.image import ImageConfig, read_blob
from kho.client.images.layer_stream import through
from kho.client.progress import SILENT, Progress
from kho.client.stores.registry_store import RegistryStore
from kho.client.stores.store import Source
from kho.layers.compression import Readable, decompressed
from kho.layers.errors import LayerRefused
from kho.layers.names import components
from kho.layers.tar import TarReader
from kho.oci import media_types
from kho.oci.digest import Digest
from kho.oci.errors import RegistryError
from kho.oci.manifest import Descriptor, parse_manifest
from kho.oci.manifest import Manifest as Parsed
from kho.remote import blobs
from kho.remote.errors import ContentMismatch, Garbled, NotFound
from kho.remote.manifests import Manifest

PARALLEL: Final = 4
DEPTH: Final = 5
# What is found out about content; other errors say that it could not be looked at.
_FINDINGS: Final = (ClientError, LayerRefused, RegistryError, ContentMismatch, Garbled, NotFound)


@dataclass
class Report:
    """What was looked at, and what is wrong with it."""

    manifests: int = 0
    blobs: int = 0
    # Bytes that were read and hashed.
    size: int = 0
    skipped: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


class _Hashing:
    """Passes on what is read, and hashes it."""

    def __init__(self, raw: Readable, algorithm: str) -> None:
        self._raw = raw
        self._hasher = hashlib.new(algorithm)

    def read(self, count: int, /) -> bytes:
        piece = self._raw.read(count)
        self._hasher.update(piece)
        return piece

    def hex(self) -> str:
        return self._hasher.hexdigest()


class Check:
    """One check of one source; content that several images share is read once."""

    def __init__(
        self,
        source: Source,
        *,
        fast: bool = False,
        parallel: int = PARALLEL,
        told: Progress = SILENT,
    ) -> None:
        self._source = source
        self._fast = fast
        self._told = told
        self._places = asyncio.Semaphore(parallel)
        self._seen: set[tuple[Digest, Digest | None]] = set()
        self.report = Report()

    async def run(self, wanted: str) -> Report:
        """Look at what a name or digest stands for, and at all below it."""
        try:
            await self._manifest(await self._source.manifest(wanted), 0)
        except ExceptionGroup as group:
            raise _first(group) from group
        return self.report

    async def _manifest(self, manifest: Manifest, depth: int) -> None:
        if (manifest.digest, None) in self._seen:
            return
        self._seen.add((manifest.digest, None))
        self.report.manifests += 1
        try:
            parsed = parse_manifest(manifest.content, manifest.media_type)
        except RegistryError as error:
            self._note(manifest.digest, error)
            return
        if parsed.is_index and depth < DEPTH:
            async with asyncio.TaskGroup() as group:
                for child in parsed.references:
                    group.create_task(self._child(child, depth + 1))
        elif parsed.is_index:
            self._note(manifest.digest, f"indexes in indexes, more than {DEPTH} deep")
        else:
            await self._image(manifest, parsed)

    async def _child(self, content: Descriptor, depth: int) -> None:
        try:
            manifest = await self._source.manifest(str(content.digest))
        except _FINDINGS as error:
            self._note(content.digest, error)
            return
        if len(manifest.content) != content.size:
            told = f"has {len(manifest.content)} bytes, not the {content.size} that its index tells"
            self._note(content.digest, told)
        await self._manifest(manifest, depth)

    async def _image(self, manifest: Manifest, parsed: Parsed) -> None:
        config, *layers = parsed.references
        diff_ids: list[Digest | None] = [None] * len(layers)
        if config.media_type in media_types.IMAGE_CONFIGS:
            diff_ids = await self._config(manifest, config, layers)
        else:
            await self._blob(config, None, tar=False)
        async with asyncio.TaskGroup() as group:
            for layer, diff_id in zip(layers, diff_ids, strict=True):
                # Attestations of BuildKit have an image's config, and statements for layers.
                tar = diff_id is not None and ".tar" in layer.media_type
                group.create_task(self._blob(layer, diff_id, tar=tar))

    async def _config(
        self, manifest: Manifest, config: Descriptor, layers: list[Descriptor]
    ) -> list[Digest | None]:
        """The diff ids; none where the config is not what it should be."""
        none: list[Digest | None] = [None] * len(layers)
        self.report.blobs += 1
        try:
            found = ImageConfig.parse(await read_blob(self._source, config))
        except _FINDINGS as error:
            self._note(config.digest, error)
            return none
        self.report.size += config.size
        if len(found.diff_ids) != len(layers):
            told = f"has {len(layers)} layers and {len(found.diff_ids)} diff ids"
            self._note(manifest.digest, told)
            return none
        described = [one for one in found.history if one.get("empty_layer") is not True]
        if found.history and len(described) != len(layers):
            told = f"its history describes {len(described)} layers of {len(layers)}"
            self._note(manifest.digest, told)
        return list(found.diff_ids)

    async def _blob(self, content: Descriptor, diff_id: Digest | None, *, tar: bool) -> None:
        if (content.digest, diff_id) in self._seen:
            return
        self._seen.add((content.digest, diff_id))
        if not content.required:
            self.report.skipped += 1
            return
        self.report.blobs += 1
        try:
            async with self._places:
                if self._fast:
                    await self._look(content)
                    return
                work = partial(_layer, diff_id=diff_id, tar=tar)
                await through(self._source, content, work, self._told)
            self.report.size += content.size
        except _FINDINGS as error:
            self._note(content.digest, error)

    async def _look(self, content: Descriptor) -> None:
        """Whether it is there, and how long; no bytes of it."""
        size: int | None
        if isinstance(self._source, RegistryStore):
            where = self._source
            size = await blobs.size(where.registry, where.repository, content.digest)
            if size is None:
                self._note(content.digest, f"{where.name} does not have it")
                return
        else:
            async with self._source.blob(content, 0) as stream:
                size = stream.size
        if size is not None and size != content.size:
            told = f"has {size} bytes, not the {content.size} that its manifest tells"
            self._note(content.digest, told)

    def _note(self, digest: Digest, problem: object) -> None:
        words = problem.message if isinstance(problem, RegistryError) else str(problem)
        known = str(digest) in words
        self.report.problems.append(words if known else f"{self._source.name}@{digest}: {words}")


def _layer(raw: Readable, *, diff_id: Digest | None, tar: bool) -> None:
    """Read a layer to its end; raise LayerRefused."""
    if not tar:
        return  # what is no layer of an image has a size and a digest, no more
    assert diff_id is not None
    plain = _Hashing(decompressed(raw), diff_id.algorithm)
    reader = TarReader(plain)
    for entry in reader:
        components(entry.path)
    reader.drain()
    if plain.hex() != diff_id.hex:
        text = f"uncompressed it is {diff_id.algorithm}:{plain.hex()}, the config tells {diff_id}"
        raise LayerRefused(text)


def _first(group: ExceptionGroup) -> Exception:
    error: Exception = group
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
