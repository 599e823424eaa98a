"""Where images are, and where they go: what `copy` asks of a source and of a target.

Registries, layouts and archives are all both: `copy` knows none of them.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from kho.client.errors import Missing
from kho.client.progress import Outcome, Progress
from kho.oci.digest import Digest
from kho.oci.manifest import Descriptor
from kho.remote.blobs import Stream
from kho.remote.manifests import Manifest
from kho.remote.referrers import Referrer


class ContentMissing(Missing):
    """A source does not hold what it should; one line that names it."""


class Source(Protocol):
    """Where content comes from."""

    @property
    def name(self) -> str:
        """For messages: `ghcr.io/team/app`, `oci:folder`."""

    async def manifest(self, target: str) -> Manifest:
        """By tag or digest, checked; raise ContentMissing or a RemoteError."""

    def blob(self, content: Descriptor, start: int) -> AbstractAsyncContextManager[Stream]:
        """Its bytes from `start`, or from 0 where the source cannot begin elsewhere."""

    async def referrers(self, digest: Digest) -> list[Referrer]:
        """Descriptors of what refers to a manifest."""

    def tags(self) -> AsyncIterator[str]:
        """Every name that `manifest` takes, but for digests."""


class Target(Protocol):
    """Where content goes."""

    @property
    def name(self) -> str:
        """For messages."""

    async def has_manifest(self, digest: Digest) -> bool:
        """Whether it is there, with all that it references."""

    async def take_blob(self, content: Descriptor, source: Source, told: Progress) -> Outcome:
        """Make sure that it is there, verified; bytes flow only where they must."""

    async def take_manifest(self, manifest: Manifest, tag: str | None) -> None:
        """Store it, under a tag where one is given; what it references is there already."""
