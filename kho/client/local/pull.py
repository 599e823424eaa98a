"""An image from a registry into the local store.

HEAD: what the name stands for ─► the bytes are here? no: GET ─► an index? the image wanted of it
─► what is missing of that (copy) ─► the bytes of the index ─► the name
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from kho.client.images.image import ImageConfig, read_blob
from kho.client.local.store import LocalStore
from kho.client.progress import SILENT, Outcome, Progress
from kho.client.stores.copy import PARALLEL, Copier, PlatformMissing, choose
from kho.client.stores.registry_store import RegistryStore
from kho.oci import media_types
from kho.oci.digest import Digest
from kho.oci.errors import RegistryError
from kho.oci.manifest import Descriptor, parse_manifest
from kho.oci.platform import Platform
from kho.oci.reference import Reference
from kho.remote.blobs import Stream
from kho.remote.errors import Garbled
from kho.remote.manifests import Manifest
from kho.remote.referrers import Referrer


@dataclass(frozen=True, slots=True)
class Pulled:
    """What is in the store now; `told` is the registry's digest, which may be an index's."""

    reference: Reference
    told: Digest
    digest: Digest
    media_type: str
    outcomes: dict[Digest, Outcome]
    # Whether all of it was there before, under this name.
    unchanged: bool


@dataclass(frozen=True, slots=True)
class Nearer:
    """A repository as source, whose manifests are not asked for where they are here."""

    source: RegistryStore
    store: LocalStore

    @property
    def name(self) -> str:
        """Of the repository."""
        return self.source.name

    async def manifest(self, target: str) -> Manifest:
        """By tag or digest."""
        if ":" in target:
            return await self.by_digest(Digest.parse(target), None)
        return await self.source.manifest(target)

    async def by_digest(self, digest: Digest, media_type: str | None) -> Manifest:
        """From here, else from there."""
        found = self.store.stored(digest, media_type)
        return await self.source.manifest(str(digest)) if found is None else found

    def blob(self, content: Descriptor, start: int) -> AbstractAsyncContextManager[Stream]:
        """From there."""
        return self.source.blob(content, start)

    async def referrers(self, digest: Digest) -> list[Referrer]:
        """From there."""
        return await self.source.referrers(digest)

    def tags(self) -> AsyncIterator[str]:
        """From there."""
        return self.source.tags()


@dataclass
class Puller:
    """Pulls into one store, some layers at a time in all."""

    store: LocalStore
    parallel: int = PARALLEL
    told: Progress = SILENT

    def __post_init__(self) -> None:
        self._places = asyncio.Semaphore(self.parallel)

    async def pull(
        self,
        source: RegistryStore,
        ref: Reference,
        platform: Platform | None = None,
        *,
        every: bool = False,
    ) -> Pulled:
        """Pull what `ref` names: of an index the image for `platform`, else for this machine.

        With `every` the whole index. Raises Missing, Damaged, or a RemoteError.
        """
        await self.store.share()
        near = Nearer(source, self.store)
        found = await self._resolve(near, ref)
        chosen = found if every else await choose(near, found, platform or Platform.local())
        if platform is not None and chosen is found:
            await _check_platform(near, found, platform)
        whole = await self.store.has_manifest(chosen.digest)
        copier = Copier(near, self.store, told=self.told, places=self._places)
        copied = await copier.copy_manifest(chosen)
        index = None if chosen is found else found.digest
        if index is not None and self.store.stored(index) is None:
            await self.store.keep(found)
        name = str(ref if ref.digest is None else ref.at(ref.digest))
        unchanged = whole and self._has(name, chosen.digest, index)
        if not unchanged:
            await self.store.enroll(chosen, name, index=index, sources=[source.name])
        return Pulled(
            ref, found.digest, chosen.digest, chosen.media_type, copied.outcomes, unchanged
        )

    async def _resolve(self, near: Nearer, ref: Reference) -> Manifest:
        """What the name stands for; one HEAD, where that is here."""
        if ref.digest is not None:
            return await near.by_digest(ref.digest, None)
        if not any(one.is_called(ref) for one in self.store.images()):
            return await near.source.manifest(ref.target)
        found = await near.source.find(ref.target)
        return await near.by_digest(found.digest, found.media_type)

    def _has(self, name: str, digest: Digest, index: Digest | None) -> bool:
        images = self.store.images()
        return any((one.name, one.digest, one.index) == (name, digest, index) for one in images)


async def _check_platform(near: Nearer, manifest: Manifest, wanted: Platform) -> None:
    """An image that is not one of an index says in its config what it is for."""
    try:
        parsed = parse_manifest(manifest.content, manifest.media_type)
    except RegistryError as error:
        raise Garbled(f"{near.name}@{manifest.digest}: {error.message}") from error
    config = parsed.references[0]
    if config.media_type not in media_types.IMAGE_CONFIGS:
        return
    offered = ImageConfig.parse(await read_blob(near, config)).platform
    if wanted.rank(offered) is None:
        raise PlatformMissing(f"{near.name}: no image for {wanted}; it is one for {offered}")
