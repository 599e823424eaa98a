"""An archive of images as a source: a tar file as docker, podman, skopeo, crane or this writes it.

index.json there ──► an image layout in a tar: manifests and blobs as they are
manifest.json alone ► docker before 25, crane: manifests are made (archive_old.py)
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import FileIO
from types import TracebackType
from typing import Any, Final, Self

from kho.client.archives.members import Members, Part, opened
from kho.client.archives.old import Maker, OldImage, old_images
from kho.client.archives.spool import Spool
from kho.client.archives.target import FULL_NAME, path_of
from kho.client.errors import ClientError, Damaged
from kho.client.progress import SILENT, Progress
from kho.client.stores.copy import platforms
from kho.client.stores.layout import NAME
from kho.client.stores.store import ContentMissing
from kho.oci.digest import Digest, parse_digest
from kho.oci.errors import DigestInvalid, RegistryError
from kho.oci.manifest import Descriptor, parse_manifest
from kho.oci.platform import Platform, best
from kho.oci.reference import Reference, ReferenceInvalid
from kho.oci.strict_json import JsonRefused, parse_object
from kho.remote.blobs import Stream
from kho.remote.manifests import BYTES, Manifest
from kho.remote.referrers import Referrer

_INDEX: Final = "index.json"
_INDEX_BYTES: Final = 64 * BYTES


@dataclass(frozen=True, slots=True)
class Image:
    """One image of an archive: `key` is what `manifest` takes, `names` may be none."""

    key: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Entry:
    """A descriptor of index.json."""

    digest: Digest
    media_type: str | None
    names: tuple[str, ...]
    fields: dict[str, Any]


class Archive:
    """One tar file; opened when it is first asked, closed by `close` or `async with`."""

    def __init__(self, path: str, scheme: str = "docker-archive", told: Progress = SILENT) -> None:
        self.name = f"{scheme}:{path}"
        self._path = path
        self._told = told
        self._opening = asyncio.Lock()
        self._members: Members | None = None
        self._maker: Maker | None = None
        self._entries: list[_Entry] = []
        self._old: list[OldImage] = []
        self._made: dict[Digest, Manifest] = {}
        self._parts: dict[Digest, Part] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what was unpacked is gone."""
        if self._maker is not None:
            self._maker.close()
        if self._members is not None:
            self._members.close()

    async def _opened(self) -> Members:
        async with self._opening:
            if self._members is None:
                members = await Members.open(self.name, await self.file())
                try:
                    self._read(members)
                except BaseException:
                    members.close()
                    raise
                self._members = members
            return self._members

    async def file(self) -> FileIO | Spool:
        """The tar, perhaps compressed; raise Missing."""
        return await opened(self.name, self._path)

    def _read(self, members: Members) -> None:
        """Find out what is in it."""
        index = members.small(_INDEX, _INDEX_BYTES)
        if index is not None:
            self._entries = _entries(members.name, index)
            return
        old = old_images(members)
        if old is None:
            text = "neither index.json nor manifest.json is in it"
            raise Damaged(f"{members.name} is no archive of images: {text}")
        self._old = old
        self._maker = Maker(members, self._told.note)

    # Source

    async def manifest(self, target: str) -> Manifest:
        """By name, digest, or `@0` for the first image; raise ContentMissing, Damaged."""
        members = await self._opened()
        for position, image in enumerate(self._old):
            if target == f"@{position}" or _matches(target, image.names):
                return await self._make(image)
        for position, entry in enumerate(self._entries):
            if target == f"@{position}" or _matches(target, entry.names):
                return self._complete(self._manifest(members, entry.digest, entry.media_type))
        if target.startswith(("sha256:", "sha512:")):
            return self._manifest(members, parse_digest(target), None)
        names = ", ".join(sorted({name for one in await self.images() for name in one.names}))
        raise ContentMissing(f"{self.name} has no image {target}; there are: {names or 'none'}")

    async def _make(self, image: OldImage) -> Manifest:
        assert self._maker is not None
        try:
            made = await self._maker.make(image)
        except ExceptionGroup as group:
            raise _first(group) from group
        self._parts |= made.parts
        self._made[made.manifest.digest] = made.manifest
        return made.manifest

    def _manifest(self, members: Members, digest: Digest, media_type: str | None) -> Manifest:
        if digest in self._made:
            return self._made[digest]
        content = members.small(path_of(digest), BYTES)
        if content is None:
            raise ContentMissing(f"{self.name} has no {digest}")
        if Digest.of(content, digest.algorithm) != digest:
            raise Damaged(f"{self.name}: {digest} is damaged")
        try:
            return Manifest(media_type or parse_manifest(content, None).media_type, digest, content)
        except RegistryError as error:
            raise Damaged(f"{self.name}: {digest}: {error.message}") from error

    def _complete(self, manifest: Manifest) -> Manifest:
        """An index all of whose images are there, else the image of it that is.

        docker with containerd's store saves an index whole, and only the images that it has.
        """
        try:
            offered = platforms(manifest) if parse_manifest(manifest.content, None).is_index else []
        except RegistryError:
            return manifest  # whoever copies it says what is wrong
        held = [(one, digest) for one, digest in offered if self._part(digest) is not None]
        if len(held) == len(offered):
            return manifest
        position = best(Platform.local(), [one for one, _ in held])
        if position is None and len(held) != 1:
            raise ContentMissing(f"{self.name}: {manifest.digest} lists images that are not in it")
        one, digest = held[position or 0]
        self._told.note(f"{self.name}: only the image for {one} is in it, not the whole index")
        assert self._members is not None
        return self._manifest(self._members, digest, None)

    def _part(self, digest: Digest) -> Part | None:
        found = self._parts.get(digest)
        if found is None and self._members is not None:
            found = self._members.find(path_of(digest))
        return found

    @asynccontextmanager
    async def blob(self, content: Descriptor, start: int) -> AsyncIterator[Stream]:
        """From its place in the file."""
        await self._opened()
        part = self._part(content.digest)
        if part is None:
            raise ContentMissing(f"{self.name} has no {content.digest}")
        yield Stream(start, part.size, _pieces(part, start))

    async def referrers(self, digest: Digest) -> list[Referrer]:
        """Manifests of the index whose subject it is."""
        members = await self._opened()
        found = []
        for entry in self._entries:
            try:
                manifest = self._manifest(members, entry.digest, entry.media_type)
                parsed = parse_manifest(manifest.content, None)
            except (ClientError, RegistryError):
                continue
            if parsed.subject == digest:
                found.append({"artifactType": parsed.artifact_type, **entry.fields})
        return found

    async def tags(self) -> AsyncIterator[str]:
        """The names of the images."""
        for image in await self.images():
            for name in image.names:
                yield name

    # Beyond

    async def images(self) -> list[Image]:
        """All images, several names of one together; what only refers to others is left out."""
        members = await self._opened()
        if self._old:
            return [Image(f"@{n}", image.names) for n, image in enumerate(self._old)]
        found: dict[Digest, tuple[str, ...]] = {}
        for entry in self._entries:
            if entry.names or not self._refers(members, entry):
                found[entry.digest] = (*found.get(entry.digest, ()), *entry.names[:1])
        return [Image(str(digest), names) for digest, names in found.items()]

    def _refers(self, members: Members, entry: _Entry) -> bool:
        try:
            content = self._manifest(members, entry.digest, entry.media_type).content
            return parse_manifest(content, None).subject is not None
        except (ClientError, RegistryError):
            return False

    async def only_name(self) -> str:
        """What is meant where no name is written; raise ContentMissing where there are more."""
        images = await self.images()
        if len(images) != 1:
            names = ", ".join(sorted(name for one in images for name in one.names)) or "none"
            raise ContentMissing(f"{self.name}: which image? Write {self.name}:NAME of: {names}")
        return images[0].names[0] if images[0].names else images[0].key


async def _pieces(part: Part, start: int) -> AsyncIterator[bytes]:
    for piece in part.pieces(start):
        yield piece


def _entries(name: str, content: bytes) -> list[_Entry]:
    try:
        entries = parse_object(content).get("manifests")
    except JsonRefused as error:
        raise Damaged(f"{name}: {_INDEX}: {error}") from error
    if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
        raise Damaged(f"{name}: {_INDEX} has no list of manifests")
    try:
        return [_entry(one) for one in entries]
    except DigestInvalid as error:
        raise Damaged(f"{name}: {_INDEX}: {error}") from error


def _entry(fields: dict[str, Any]) -> _Entry:
    annotations = fields.get("annotations")
    known = annotations if isinstance(annotations, dict) else {}
    # docker writes the tag alone as the one, and the full name as the other.
    names = [known.get(FULL_NAME), known.get(NAME)]
    media_type = fields.get("mediaType")
    return _Entry(
        parse_digest(str(fields.get("digest"))),
        media_type if isinstance(media_type, str) else None,
        tuple(dict.fromkeys(name for name in names if isinstance(name, str) and name)),
        fields,
    )


def _matches(wanted: str, names: tuple[str, ...]) -> bool:
    if wanted in names:
        return True
    try:
        full = Reference.parse(wanted)
        return any(Reference.parse(name) == full for name in names)
    except ReferenceInvalid:
        return False


def _first(group: ExceptionGroup) -> Exception:
    error: Exception = group
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
