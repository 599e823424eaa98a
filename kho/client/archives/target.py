"""Images into one tar file that all tools read: an image layout, with docker's manifest.json.

    oci-layout
    blobs/<algorithm>/<hex>     as they come, each once
    index.json                  for containerd, podman, skopeo's oci-archive, and docker from 25 on
    manifest.json               for docker of all ages, skopeo's docker-archive, crane

Blobs are kept as they are: an image has the same digest after it was loaded elsewhere. What cannot
be changed any more stands first, what is known only at the end, last.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from enum import Enum
from types import TracebackType
from typing import Any, Final, Self

from kho.client.archives.sink import Sink
from kho.client.errors import ClientError, Misused
from kho.client.progress import Outcome, Progress
from kho.client.stores.copy import platforms
from kho.client.stores.layout import NAME
from kho.client.stores.steady import steady
from kho.client.stores.store import Source
from kho.oci import media_types
from kho.oci.digest import Digest
from kho.oci.hashing import new_hasher
from kho.oci.manifest import Descriptor, parse_manifest
from kho.oci.manifest import Manifest as Parsed
from kho.oci.platform import Platform, best
from kho.oci.reference import Reference, ReferenceInvalid
from kho.remote.manifests import Manifest

FULL_NAME: Final = "io.containerd.image.name"
_LAYOUT: Final = b'{"imageLayoutVersion":"1.0.0"}'
_CONFIGS: Final = frozenset(
    {
        "application/vnd.docker.container.image.v1+json",
        "application/vnd.oci.image.config.v1+json",
    }
)


class Form(Enum):
    """What the archive is for."""

    DOCKER = "docker-archive"
    OCI = "oci-archive"


class ArchiveTarget:
    """One archive being written; `async with` ends it, or leaves nothing where something failed."""

    def __init__(self, name: str, sink: Callable[[], Sink], form: Form = Form.DOCKER) -> None:
        self.name = name
        self._opened = sink
        self._form = form
        self._whole = True
        self._names: dict[str, Digest] = {}
        self._manifests: dict[Digest, Manifest] = {}
        self._blobs: dict[Digest, asyncio.Event] = {}

    async def __aenter__(self) -> Self:
        self._sink = self._opened()
        try:
            await self._put("oci-layout", _LAYOUT)
        except BaseException:
            self._sink.discard()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                await self._finish()
        finally:
            self._sink.discard()

    # Target

    async def has_manifest(self, digest: Digest) -> bool:
        """Whether it went in."""
        return digest in self._manifests

    async def take_blob(self, content: Descriptor, source: Source, told: Progress) -> Outcome:
        """Write it as it comes, verified; what fails makes the whole archive fail."""
        told.begin(content)
        earlier = self._blobs.get(content.digest)
        if earlier is not None:
            await earlier.wait()
            return Outcome.PRESENT
        done = self._blobs[content.digest] = asyncio.Event()
        try:
            await self._fetch(content, source, told)
        except BaseException:
            self._whole = False  # a part of it is in the file, and what is after it, too
            raise
        finally:
            done.set()
        return Outcome.COPIED

    async def _fetch(self, content: Descriptor, source: Source, told: Progress) -> None:
        hasher = new_hasher(content.digest.algorithm)
        async with (
            self._sink.member(path_of(content.digest), content.size) as write,
            aclosing(steady(source, content, hasher, 0, told)) as pieces,
        ):
            async for piece in pieces:
                await write(piece)

    async def take_manifest(self, manifest: Manifest, tag: str | None) -> None:
        """A blob like others, and an entry of the index where it has a name."""
        if tag is not None:
            self._names[self.full_name(tag)] = manifest.digest
        if manifest.digest not in self._manifests:
            self._manifests[manifest.digest] = manifest
            if manifest.digest not in self._blobs:
                self._blobs[manifest.digest] = asyncio.Event()
                await self._put(path_of(manifest.digest), manifest.content)
                self._blobs[manifest.digest].set()

    async def tags(self) -> AsyncIterator[str]:
        """The names so far."""
        for name in self._names:
            yield name

    def full_name(self, name: str) -> str:
        """As it is written into the archive; raise Misused."""
        if self._form is Form.OCI:
            return name
        try:
            found = Reference.parse(name)
        except ReferenceInvalid as error:
            raise Misused(f"{self.name}: {error}") from error
        if found.digest is not None or found.tag is None:
            raise Misused(f"{self.name}: {name!a:.300} must be a name with a tag, not a digest")
        return str(found)

    # The end

    async def _finish(self) -> None:
        if not self._whole:
            raise ClientError(f"{self.name} is not written, as not all of its images could be read")
        await self._put("index.json", _json(self._index()))
        order = ["oci-layout", *map(path_of, self._order()), "index.json"]
        if self._form is Form.DOCKER:
            await self._put("manifest.json", _json(list(self._images())))
            order.append("manifest.json")
        await self._sink.finish(order)

    async def _put(self, name: str, content: bytes) -> None:
        async with self._sink.member(name, len(content)) as write:
            await write(content)

    def _roots(self) -> list[tuple[str | None, Digest]]:
        """Named manifests as they came, then those that neither a name nor an index speaks of."""
        named = list(self._names.items())
        known = {digest for _, digest in named}
        for manifest in self._manifests.values():
            parsed = _parsed(manifest)
            known |= {one.digest for one in parsed.references if one.kind == "manifest"}
        rest = sorted(self._manifests.keys() - known, key=str)
        return [*named, *((None, digest) for digest in rest)]

    def _index(self) -> dict[str, Any]:
        entries = []
        for name, digest in self._roots():
            manifest = self._manifests[digest]
            entry: dict[str, Any] = {
                "mediaType": manifest.media_type,
                "digest": str(digest),
                "size": len(manifest.content),
            }
            if name is not None:
                full = _reference(name)
                entry["annotations"] = {**({FULL_NAME: full} if full else {}), NAME: name}
            entries.append(entry)
        return {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": entries}

    def _images(self) -> list[dict[str, Any]]:
        """What docker's manifest.json lists: images that run, those of an index for here."""
        found: dict[Digest, dict[str, Any]] = {}
        for name, root in self._roots():
            image = self._runnable(root)
            if image is None:
                continue
            config, *layers = _parsed(self._manifests[image]).references
            entry = found.setdefault(
                image,
                {
                    "Config": path_of(config.digest),
                    "RepoTags": None,
                    "Layers": [path_of(layer.digest) for layer in layers],
                },
            )
            if name is not None:
                entry["RepoTags"] = [*(entry["RepoTags"] or ()), name]
        return list(found.values())

    def _runnable(self, digest: Digest) -> Digest | None:
        manifest = self._manifests[digest]
        parsed = _parsed(manifest)
        if not parsed.is_index:
            runs = parsed.subject is None and parsed.references[0].media_type in _CONFIGS
            return digest if runs else None
        offered = [(one, child) for one, child in platforms(manifest) if child in self._manifests]
        position = best(Platform.local(), [one for one, _ in offered]) or 0
        return self._runnable(offered[position][1]) if offered else None

    def _order(self) -> list[Digest]:
        """Blobs in the order of one image after another: what is below a manifest, then itself."""
        seen: dict[Digest, None] = {}

        def walk(digest: Digest) -> None:
            manifest = self._manifests.get(digest)
            if manifest is not None and digest not in seen:
                for one in _parsed(manifest).references:
                    walk(one.digest)
            if digest in self._blobs:
                seen.setdefault(digest)

        for _, root in self._roots():
            walk(root)
        return list(seen)


def path_of(digest: Digest) -> str:
    """The member that holds a blob."""
    return f"blobs/{digest.algorithm}/{digest.hex}"


def _parsed(manifest: Manifest) -> Parsed:
    return parse_manifest(manifest.content, manifest.media_type)


def _reference(name: str) -> str | None:
    """The name in full where it is one; a tag alone is none."""
    if "/" not in name and ":" not in name:
        return None
    try:
        found = Reference.parse(name)
    except ReferenceInvalid:
        return None
    return None if found.digest else str(found)


def _json(value: Any) -> bytes:  # noqa: ANN401 - whatever JSON takes
    return json.dumps(value, separators=(",", ":")).encode()
