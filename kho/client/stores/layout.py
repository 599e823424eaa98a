"""A folder in OCI image-layout form as source and target (image-spec, image-layout.md).

    <folder>/oci-layout, index.json          names ─► digests; written anew under a lock
    <folder>/blobs/<algorithm>/<hex>         content, whole and verified
    <folder>/ingest/<algorithm>-<hex>        content on its way, locked by who fetches it

Any number of processes share a folder: who finds a blob being fetched waits for it; who is killed
leaves its part in `ingest/`, and the next one goes on with it.
"""

import asyncio
import fcntl
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from kho.client.progress import Outcome, Progress
from kho.client.stores.ingest import Ingest
from kho.client.stores.layout_files import (
    LayoutBroken,
    open_regular,
    read_regular,
    regular_size,
    writing,
)
from kho.client.stores.steady import check_size, steady, verify
from kho.client.stores.store import ContentMissing, Source
from kho.client.whole_file import write_whole
from kho.oci import media_types
from kho.oci.digest import Digest, parse_digest
from kho.oci.errors import DigestInvalid, RegistryError
from kho.oci.manifest import Descriptor, parse_manifest
from kho.oci.strict_json import JsonRefused, parse_object
from kho.remote.blobs import Stream
from kho.remote.errors import ContentMismatch
from kho.remote.manifests import BYTES, Manifest
from kho.remote.referrers import Referrer

NAME: Final = "org.opencontainers.image.ref.name"
# Some 50,000 images; a larger one is no list that somebody keeps.
INDEX_BYTES: Final = 16 * 1024 * 1024
_VERSION: Final = "1.0.0"
_LAYOUT: Final = b'{"imageLayoutVersion":"1.0.0"}'
_LAYOUT_BYTES: Final = 4096
_PIECE: Final = 256 * 1024
_MODE: Final = 0o644


class Layout:
    """One folder; made where it does not exist and content is to go there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def name(self) -> str:
        """As transports are written."""
        return f"oci:{self.folder}"

    def path(self, digest: Digest) -> Path:
        """Where content is."""
        return self.folder / "blobs" / digest.algorithm / digest.hex

    # Source

    async def manifest(self, target: str) -> Manifest:
        """By name or digest; raise ContentMissing."""
        if ":" in target and target.partition(":")[0] in ("sha256", "sha512"):
            return self.read(parse_digest(target), None)
        for entry in self.entries():
            if name_of(entry) == target:
                told = entry.get("mediaType")
                return self.read(digest_of(entry), told if isinstance(told, str) else None)
        raise ContentMissing(f"{self.name} has no image {target}")

    def read(self, digest: Digest, media_type: str | None = None) -> Manifest:
        """By digest; raise ContentMissing, ContentMismatch, LayoutBroken."""
        try:
            content = read_regular(self.path(digest), BYTES)
        except FileNotFoundError as error:
            raise ContentMissing(f"{self.name} has no {digest}") from error
        if Digest.of(content, digest.algorithm) != digest:
            raise ContentMismatch(f"{self.name}: {digest} is damaged")
        return Manifest(media_type or _media_type(content), digest, content)

    @asynccontextmanager
    async def blob(self, content: Descriptor, start: int) -> AsyncIterator[Stream]:
        """From its file."""
        try:
            fd = open_regular(self.path(content.digest))
        except FileNotFoundError as error:
            raise ContentMissing(f"{self.name} has no {content.digest}") from error
        try:
            yield Stream(start, os.fstat(fd).st_size, _pieces(fd, start))
        finally:
            os.close(fd)

    @contextmanager
    def opened(self, content: Descriptor) -> Iterator[int]:
        """A descriptor of its file; raise ContentMissing, LayoutBroken, ContentMismatch."""
        try:
            fd = open_regular(self.path(content.digest))
        except FileNotFoundError as error:
            raise ContentMissing(f"{self.name} has no {content.digest}") from error
        try:
            check_size(self, content, os.fstat(fd).st_size)
            yield fd
        finally:
            os.close(fd)

    async def referrers(self, digest: Digest) -> list[Referrer]:
        """Manifests of the index whose subject it is."""
        found = []
        for entry in self.entries():
            try:
                manifest = parse_manifest(self.read(digest_of(entry), None).content, None)
            except (ContentMissing, ContentMismatch, LayoutBroken, RegistryError):
                continue
            if manifest.subject == digest:
                found.append({"artifactType": manifest.artifact_type, **entry})
        return found

    async def tags(self) -> AsyncIterator[str]:
        """The names in the index."""
        for entry in self.entries():
            name = name_of(entry)
            if name is not None:
                yield name

    async def only_name(self) -> str:
        """The one image that the index names, or its digest; raise where there are more."""
        entries = self.entries()
        if len(entries) != 1:
            names = ", ".join(sorted(filter(None, map(name_of, entries)))) or "none"
            raise ContentMissing(f"{self.name}: which image? Write {self.name}:NAME of: {names}")
        return name_of(entries[0]) or str(digest_of(entries[0]))

    # Target

    async def has_manifest(self, digest: Digest) -> bool:
        """Whether it and all below it is there."""
        try:
            parsed = parse_manifest(self.read(digest, None).content, None)
        except (ContentMissing, ContentMismatch, LayoutBroken, RegistryError):
            return False
        for one in parsed.references:
            if one.kind == "manifest":
                if not await self.has_manifest(one.digest):
                    return False
            elif one.required and not self.holds(one):
                return False
        return True

    def holds(self, content: Descriptor) -> bool:
        """Whether it is there in full length: it was verified before it got its name."""
        return regular_size(self.path(content.digest)) == content.size

    async def take_blob(self, content: Descriptor, source: Source, told: Progress) -> Outcome:
        """Fetch, verify, name; wait where another process is at it."""
        told.begin(content)
        if self.holds(content):
            return Outcome.PRESENT
        self.prepare()
        with writing(self.folder):
            return await self._take(content, source, told)

    async def _take(self, content: Descriptor, source: Source, told: Progress) -> Outcome:
        async with Ingest.locked(self.folder / "ingest", content.digest) as ingest:
            if self.holds(content):
                return Outcome.PRESENT
            try:
                await self._fetch(content, source, ingest, told)
            except ContentMismatch:
                ingest.drop()
                if not ingest.resumed:
                    raise
                await self._fetch(content, source, ingest, told)  # the earlier part was bad
            await ingest.place(self.path(content.digest))
        return Outcome.COPIED

    async def _fetch(
        self, content: Descriptor, source: Source, ingest: Ingest, told: Progress
    ) -> None:
        start, hasher = await ingest.resume(content)
        told.move(content, start)
        async with (
            ingest.writing(hasher) as file,
            aclosing(steady(source, content, None, start, told)) as pieces,
        ):
            async for piece in pieces:
                await file.take(piece)
        verify(source, content, hasher)

    async def take_manifest(self, manifest: Manifest, tag: str | None) -> None:
        """Store it; list it where it has a name, or refers to another."""
        await self.keep(manifest)
        refers = b'"subject"' in manifest.content
        if tag is not None or refers:
            self.enlist(entry_of(manifest), tag)

    async def keep(self, manifest: Manifest) -> None:
        """Store its bytes; nothing lists it yet."""
        with suppress(ContentMissing, ContentMismatch, LayoutBroken):
            if self.read(manifest.digest, manifest.media_type).content == manifest.content:
                return
        self.prepare(manifest.digest.algorithm)
        with writing(self.folder):
            path = self.path(manifest.digest)
            await asyncio.to_thread(write_whole, path, manifest.content, _MODE)

    def prepare(self, algorithm: str = "sha256") -> None:
        """Make the folder a layout; raise LayoutUnwritable."""
        with writing(self.folder):
            (self.folder / "blobs" / algorithm).mkdir(parents=True, exist_ok=True)
            if not (self.folder / "oci-layout").exists():
                write_whole(self.folder / "oci-layout", _LAYOUT, _MODE)

    # Index

    def entries(self) -> list[dict[str, Any]]:
        """The descriptors of index.json; none where there is no such file.

        Raises LayoutBroken, also for a layout of another version.
        """
        layout = self._object("oci-layout", _LAYOUT_BYTES)
        if layout is not None and layout.get("imageLayoutVersion") != _VERSION:
            raise LayoutBroken(f"{self.folder}/oci-layout tells of another version than {_VERSION}")
        path = self.folder / "index.json"
        value = self._object("index.json", INDEX_BYTES)
        if value is None:
            return []
        entries = value.get("manifests")
        if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
            raise LayoutBroken(f"{path}: manifests is no list of descriptors")
        return entries

    def _object(self, name: str, limit: int) -> dict[str, Any] | None:
        path = self.folder / name
        try:
            return parse_object(read_regular(path, limit))
        except FileNotFoundError:
            return None
        except JsonRefused as error:
            raise LayoutBroken(f"{path}: {error}") from error

    def enlist(self, entry: dict[str, Any], name: str | None) -> None:
        """Put a descriptor into the index, in place of what had its name."""
        with self.changing() as entries:
            same = [
                one
                for one in entries
                if (name is not None and name_of(one) == name)
                or (name is None and one.get("digest") == entry["digest"])
            ]
            for one in same:
                entries.remove(one)
            if name is not None:
                entry = {**entry, "annotations": {**entry.get("annotations", {}), NAME: name}}
            entries.append(entry)

    @contextmanager
    def changing(self) -> Iterator[list[dict[str, Any]]]:
        """The index, to be changed in place; one process at a time, all or nothing."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with writing(self.folder):
            fd = os.open(self.folder / "index.lock", flags, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            entries = self.entries()
            yield entries
            index = {
                "schemaVersion": 2,
                "mediaType": media_types.OCI_INDEX,
                "manifests": entries,
            }
            with writing(self.folder):
                content = json.dumps(index, indent=2).encode()
                write_whole(self.folder / "index.json", content, _MODE)
        finally:
            os.close(fd)


def _pieces(fd: int, start: int) -> AsyncIterator[bytes]:
    async def read() -> AsyncIterator[bytes]:
        position = start
        while piece := os.pread(fd, _PIECE, position):
            position += len(piece)
            yield piece

    return read()


def name_of(entry: dict[str, Any]) -> str | None:
    """The name that an entry of an index has."""
    annotations = entry.get("annotations")
    name = annotations.get(NAME) if isinstance(annotations, dict) else None
    return name if isinstance(name, str) else None


def digest_of(entry: dict[str, Any]) -> Digest:
    """What an entry of an index stands for; raise LayoutBroken."""
    text = entry.get("digest")
    if not isinstance(text, str):
        raise LayoutBroken("a descriptor of index.json has no digest")
    try:
        return parse_digest(text)
    except DigestInvalid as error:
        raise LayoutBroken(f"index.json has {text[:100]!a} as a digest") from error


def entry_of(manifest: Manifest) -> dict[str, Any]:
    """What an index says of a manifest."""
    return {
        "mediaType": manifest.media_type,
        "digest": str(manifest.digest),
        "size": len(manifest.content),
    }


def _media_type(content: bytes) -> str:
    try:
        return parse_manifest(content, None).media_type
    except RegistryError:
        return media_types.OCTET_STREAM
