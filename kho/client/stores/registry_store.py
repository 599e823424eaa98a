"""A repository of a registry as source and target."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, suppress
from dataclasses import dataclass, field

from kho.client.progress import Outcome, Progress
from kho.client.stores.journal import Journal
from kho.client.stores.referrers_tag import enlist
from kho.client.stores.store import ContentMissing, Source
from kho.client.stores.upload import ChunkLimit, Upload
from kho.oci.digest import Digest
from kho.oci.manifest import Descriptor
from kho.oci.reference import LATEST
from kho.remote import blobs, manifests, uploads
from kho.remote.blobs import Stream
from kho.remote.errors import Refused
from kho.remote.manifests import Found, Manifest
from kho.remote.referrers import Referrer, referrers
from kho.remote.registry import Registry
from kho.remote.tags import tags
from kho.remote.transport import SILENCE_SECONDS
from kho.remote.uploads import Session


@dataclass
class RegistryStore:
    """One repository; `journal` keeps what is under way beyond this process."""

    registry: Registry
    repository: str
    journal: Journal | None = None
    # Repositories of this registry that may hold a blob as well: it is mounted from there.
    origins: Mapping[Digest, Sequence[str]] = field(default_factory=dict)
    # Seconds after which an upload that moves no bytes is begun anew.
    silence: float = SILENCE_SECONDS
    _limit: ChunkLimit = field(default_factory=ChunkLimit, init=False)

    @property
    def name(self) -> str:
        """`host/name`."""
        return f"{self.registry.name}/{self.repository}"

    async def manifest(self, target: str) -> Manifest:
        """By tag or digest."""
        return await manifests.get(self.registry, self.repository, target)

    async def find(self, target: str) -> Found:
        """What is there by tag or digest, without its content; raise ContentMissing."""
        found = await manifests.find(self.registry, self.repository, target)
        if found is None:
            raise ContentMissing(f"{self.name} has no {target}, or not for this login")
        return found

    def blob(self, content: Descriptor, start: int) -> AbstractAsyncContextManager[Stream]:
        """By Range, where it does not begin at 0."""
        return blobs.open_at(self.registry, self.repository, content.digest, start)

    async def referrers(self, digest: Digest) -> list[Referrer]:
        """From the API, or the fallback tag."""
        return await referrers(self.registry, self.repository, digest)

    async def only_name(self) -> str:
        """What is meant without a name."""
        return LATEST

    def tags(self) -> AsyncIterator[str]:
        """In the registry's order."""
        return tags(self.registry, self.repository)

    async def has_manifest(self, digest: Digest) -> bool:
        """A registry takes no manifest whose content is missing, so one that it has is whole."""
        return await manifests.find(self.registry, self.repository, str(digest)) is not None

    async def take_manifest(self, manifest: Manifest, tag: str | None) -> None:
        """PUT, by tag where there is one; what refers to another is listed there, too."""
        target = tag or str(manifest.digest)
        stored = await manifests.put(
            self.registry, self.repository, target, manifest.media_type, manifest.content
        )
        if stored.subject is None and b'"subject"' in manifest.content:
            await enlist(self.registry, self.repository, manifest)

    async def take_blob(self, content: Descriptor, source: Source, told: Progress) -> Outcome:
        """Nothing where it is there, a mount within one registry, else an upload."""
        told.begin(content)
        if await blobs.size(self.registry, self.repository, content.digest) == content.size:
            if self.journal is not None:
                self.journal.forget(self.name, content.digest)
            return Outcome.PRESENT
        mounted, session = await self._mount(content.digest, source)
        if mounted:
            return Outcome.MOUNTED
        with ExitStack() as stack:
            entry = None
            if self.journal is not None:
                entry = stack.enter_context(self.journal.entry(self.name, content.digest))
            upload = Upload(
                self.registry,
                self.repository,
                content,
                source,
                limit=self._limit,
                entry=entry,
                told=told,
                silence=self.silence,
            )
            earlier = entry is not None and entry.read() is not None
            await upload.run(None if earlier else session)
        return Outcome.COPIED

    async def _mount(self, digest: Digest, source: Source) -> tuple[bool, Session | None]:
        """Whether it is there now; else a session, where the registry has opened one instead."""
        if isinstance(source, RegistryStore) and self._is_near(source):
            session = await uploads.mount(self.registry, self.repository, digest, source.repository)
            return session is None, session
        for other in self.origins.get(digest, ()):
            if other != self.repository:
                with suppress(Refused):  # what was true of it once need not be now
                    session = await uploads.mount(self.registry, self.repository, digest, other)
                    return session is None, session
        return False, None

    def _is_near(self, source: "RegistryStore") -> bool:
        return source.registry.name == self.registry.name and source.repository != self.repository
