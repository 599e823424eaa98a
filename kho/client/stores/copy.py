"""Copy an image: children first, only what is missing, each content once.

manifest ─► index? its manifests (the platforms that are wanted) ─► ...
         └► image? config and layers, some at a time ─► then the manifest ─► then its name
                                                     └► referrers, where they are wanted
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from kho.client.errors import Missing
from kho.client.progress import SILENT, Outcome, Progress
from kho.client.stores.store import Source, Target
from kho.oci.digest import Digest, parse_digest
from kho.oci.errors import RegistryError
from kho.oci.manifest import Descriptor, parse_manifest
from kho.oci.manifest import Manifest as Parsed
from kho.oci.platform import Platform, best
from kho.oci.strict_json import parse_object
from kho.remote.errors import Garbled
from kho.remote.manifests import Manifest

PARALLEL: Final = 4
DEPTH: Final = 5


class PlatformMissing(Missing):
    """An index that has nothing for the platform; one line that says what it has."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What became of it."""

    digest: Digest
    media_type: str
    outcomes: dict[Digest, Outcome]


@dataclass
class Copier:
    """One copy from a source to a target."""

    source: Source
    target: Target
    referrers: bool = False
    parallel: int = PARALLEL
    told: Progress = SILENT
    # Shared by copies that run beside each other, so that all together move so many.
    places: asyncio.Semaphore | None = None
    _outcomes: dict[Digest, Outcome] = field(default_factory=dict, init=False)
    _moving: dict[Digest, asyncio.Event] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._places = self.places or asyncio.Semaphore(self.parallel)

    async def copy(
        self, wanted: str, tags: Iterable[str] = (), platform: Platform | None = None
    ) -> Copied:
        """Copy what `wanted` names, tag or digest; of an index, one platform where it is given."""
        manifest = await self.source.manifest(wanted)
        if platform is not None:
            manifest = await choose(self.source, manifest, platform)
        return await self.copy_manifest(manifest, tags)

    async def copy_manifest(self, manifest: Manifest, tags: Iterable[str] = ()) -> Copied:
        """Copy what a manifest of the source, or made of one, stands for."""
        try:
            await self._graph(manifest, 0)
        except ExceptionGroup as group:  # the first failure ends the others: it alone is told
            raise _first(group) from group
        for tag in tags:
            await self.target.take_manifest(manifest, tag)
        return Copied(manifest.digest, manifest.media_type, dict(self._outcomes))

    async def _graph(self, manifest: Manifest, depth: int) -> None:
        """Everything below a manifest, then itself, then what refers to it."""
        if depth > DEPTH:
            raise Garbled(f"{self.source.name}: indexes in indexes, more than {DEPTH} deep")
        if not await self.target.has_manifest(manifest.digest):
            parsed = _parsed(manifest, self.source)
            async with asyncio.TaskGroup() as group:
                for content in parsed.references:
                    if content.kind == "manifest":
                        group.create_task(self._child(content, depth + 1))
                    elif content.required:
                        group.create_task(self._once(content))
                    else:
                        self._outcomes[content.digest] = Outcome.SKIPPED
            await self.target.take_manifest(manifest, None)
        if self.referrers:
            await self._referrers(manifest.digest, depth)

    async def _child(self, content: Descriptor, depth: int) -> None:
        await self._graph(await self.source.manifest(str(content.digest)), depth)

    async def _once(self, content: Descriptor) -> None:
        """A layer that several images share is moved by the first of them; the others wait."""
        shared = self._moving.get(content.digest)
        if shared is not None:
            await shared.wait()  # if it fails, this whole copy does
            return
        done = self._moving[content.digest] = asyncio.Event()
        try:
            async with self._places:
                outcome = await self.target.take_blob(content, self.source, self.told)
        finally:
            done.set()
        self._outcomes[content.digest] = outcome
        self.told.end(content, outcome)

    async def _referrers(self, digest: Digest, depth: int) -> None:
        for entry in await self.source.referrers(digest):
            text = entry.get("digest")
            if isinstance(text, str):
                manifest = await self.source.manifest(str(parse_digest(text)))
                await self._graph(manifest, depth + 1)


async def choose(source: Source, manifest: Manifest, platform: Platform) -> Manifest:
    """The image of an index for a platform; an image itself is what it is.

    Raises PlatformMissing.
    """
    for _ in range(DEPTH):
        if not _parsed(manifest, source).is_index:
            return manifest
        offered = platforms(manifest)
        position = best(platform, [one for one, _ in offered])
        if position is None:
            known = ", ".join(sorted({str(one) for one, _ in offered})) or "none"
            raise PlatformMissing(f"{source.name}: no image for {platform}; there are: {known}")
        manifest = await source.manifest(str(offered[position][1]))
    raise Garbled(f"{source.name}: indexes in indexes, more than {DEPTH} deep")


def _first(group: ExceptionGroup) -> Exception:
    error: Exception = group
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def platforms(manifest: Manifest) -> list[tuple[Platform, Digest]]:
    """What an index offers: images, in its order; attestations have no platform that runs."""
    found = []
    for entry in _entries(manifest):
        fields = entry.get("platform")
        if isinstance(fields, dict) and fields.get("os") != "unknown":
            found.append((Platform.of(fields), parse_digest(str(entry.get("digest")))))
    return found


def _entries(manifest: Manifest) -> list[dict[str, object]]:
    value = parse_object(manifest.content).get("manifests")
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _parsed(manifest: Manifest, source: Source) -> Parsed:
    try:
        return parse_manifest(manifest.content, manifest.media_type)
    except RegistryError as error:
        raise Garbled(f"{source.name}@{manifest.digest}: {error.message}") from error
