"""The images of this user: one layout that all of his runs of `kho` share.

    $KHO_STORE, else $XDG_DATA_HOME/kho/store, else ~/.local/share/kho/store

Its names are whole references: `docker.io/library/debian:12`. An entry also keeps where its image
is from, as annotations that other readers of layouts pass over:

    land.kho.index      the index that one platform was chosen from; its bytes are kept, too
    land.kho.sources    host/name of the repositories that hold it, divided by spaces
"""

import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kho.client.errors import Missing, Misused
from kho.client.local.lock import StoreLock
from kho.client.progress import Outcome, Progress
from kho.client.stores.layout import NAME, Layout, digest_of, entry_of, name_of
from kho.client.stores.layout_files import LayoutBroken
from kho.client.stores.store import ContentMissing, Source
from kho.oci.digest import Digest, parse_digest
from kho.oci.errors import DigestInvalid
from kho.oci.manifest import Descriptor
from kho.oci.reference import Reference, ReferenceInvalid
from kho.remote.errors import ContentMismatch
from kho.remote.manifests import Manifest

INDEX: Final = "land.kho.index"
SOURCES: Final = "land.kho.sources"
# The first digits of a digest that may stand for it.
_ID: Final = re.compile(r"(?:sha(?:256|512):)?([0-9a-f]{6,128})", re.ASCII)


def user_store(env: Mapping[str, str] | None = None) -> Path:
    """The folder; it need not exist."""
    env = os.environ if env is None else env
    if env.get("KHO_STORE"):
        return Path(env["KHO_STORE"])
    data = env.get("XDG_DATA_HOME") or str(Path.home() / ".local/share")
    return Path(data) / "kho/store"


@dataclass(frozen=True, slots=True)
class Named:
    """An entry of the store: an image, an index or an artifact, and its name if it has one."""

    name: str | None
    digest: Digest
    media_type: str | None
    # What the registry has under the name, where that is an index and this one image of it.
    index: Digest | None
    sources: tuple[str, ...]

    @property
    def told(self) -> Digest:
        """What a registry calls it: the digest that is signed and that others pull."""
        return self.index or self.digest

    def is_called(self, ref: Reference) -> bool:
        """Whether a reference means it: by its name, or by a digest it goes by."""
        if ref.digest is not None:
            return ref.digest in (self.digest, self.index)
        return self.name == str(ref)


class LocalStore(Layout):
    """A layout whose names are references.

    Whoever reads or writes content shares the store until the object ends, or `release`.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.lock = StoreLock(folder / "store.lock")

    @property
    def name(self) -> str:
        """For messages."""
        return "local"

    def release(self) -> None:
        """Content may be deleted by others from now on."""
        self.lock.release()

    # What there is

    def images(self) -> list[Named]:
        """Every entry, in the order in which they came; raise LayoutBroken."""
        return [named(entry) for entry in self.entries()]

    def find(self, text: str) -> Named | None:
        """By reference, digest, or the first six digits or more of one; None where nothing is.

        Raises Misused where the digits fit several.
        """
        images = self.images()
        with suppress(ReferenceInvalid):
            ref = Reference.parse(text)
            for one in images:
                if one.is_called(ref):
                    return one
        match = _ID.fullmatch(text)
        if match is None:
            return None
        fitting = {
            one.digest: one
            for one in images
            if any(known.hex.startswith(match[1]) for known in (one.digest, one.told))
        }
        if len(fitting) > 1:
            known = ", ".join(f"{digest.hex[:16]}" for digest in fitting)
            raise Misused(f"{text} fits several images: {known}")
        return next(iter(fitting.values()), None)

    def get(self, text: str) -> Named:
        """The same; raise Missing."""
        found = self.find(text)
        if found is None:
            raise Missing(f"{self.name} has no image {text!a:.300}; `kho images` lists what it has")
        return found

    def target(self, ref: Reference) -> str:
        """What to ask for: the digest where there is one, else the whole reference."""
        return str(ref.digest or ref)

    def has_name(self, ref: Reference) -> bool:
        """Whether the image is here under this reference."""
        if ref.digest is not None and self.path(ref.digest).exists():
            return True
        return any(name_of(entry) == str(ref) for entry in self.entries())

    def stored(self, digest: Digest, media_type: str | None = None) -> Manifest | None:
        """A manifest's bytes, where they are here and not damaged."""
        try:
            return self.read(digest, media_type)
        except (ContentMissing, ContentMismatch, LayoutBroken):
            return None

    # As source and target: content is shared before it is looked at.

    async def manifest(self, target: str) -> Manifest:
        """By name or digest; raise ContentMissing."""
        await self.lock.share()
        return await super().manifest(target)

    async def has_manifest(self, digest: Digest) -> bool:
        """Whether it and all below it is there."""
        await self.share()
        return await super().has_manifest(digest)

    async def take_blob(self, content: Descriptor, source: Source, told: Progress) -> Outcome:
        """Fetch, verify, name."""
        await self.share()
        return await super().take_blob(content, source, told)

    async def keep(self, manifest: Manifest) -> None:
        """Store its bytes."""
        await self.share()
        await super().keep(manifest)

    async def share(self) -> None:
        """Be one of those whose content stays; the store is made where it is not."""
        if not self.folder.exists():
            self.prepare()
        await self.lock.share()

    # Names

    async def enroll(
        self,
        manifest: Manifest,
        name: str,
        *,
        index: Digest | None = None,
        sources: Iterable[str] = (),
    ) -> None:
        """Name what is here, with all below it; the bytes of `index` are here as well."""
        await self.share()
        annotations = {SOURCES: " ".join(sources)}
        if index is not None:
            annotations[INDEX] = str(index)
        self.enlist({**entry_of(manifest), "annotations": annotations}, name)

    async def tag(self, text: str, ref: Reference) -> Named:
        """Give an image one more name; raise Missing, Misused."""
        if ref.digest is not None:
            raise Misused(f"{ref} has a digest: a new name is host/name:tag")
        self.get(text)
        await self.share()
        name = str(ref)
        with self.changing() as entries:
            found = self.get(text)
            kept = next(one for one in entries if named(one) == found)
            entries[:] = [one for one in entries if name_of(one) != name]
            annotations = {**(kept.get("annotations") or {}), NAME: name}
            entries.append({**kept, "annotations": annotations})
        return found

    def untag(self, removed: Iterable[Named]) -> None:
        """Take entries out of the index; what they stand for stays until it is collected."""
        gone = set(removed)
        with self.changing() as entries:
            entries[:] = [one for one in entries if named(one) not in gone]

    def came_from(self, digest: Digest, where: Iterable[str]) -> None:
        """Note repositories that hold an image, as after a push."""
        wanted = set(where)
        if all(wanted <= set(one.sources) for one in self.images() if one.digest == digest):
            return
        with self.changing() as entries:
            for entry in entries:
                if digest_of(entry) == digest and name_of(entry) is not None:
                    known = dict.fromkeys((*named(entry).sources, *sorted(wanted)))
                    entry["annotations"][SOURCES] = " ".join(known)


def named(entry: dict[str, Any]) -> Named:
    """An entry as it is read; raise LayoutBroken."""
    annotations = entry.get("annotations")
    annotations = annotations if isinstance(annotations, dict) else {}
    index, sources = annotations.get(INDEX), annotations.get(SOURCES)
    chosen = None
    if isinstance(index, str):
        with suppress(DigestInvalid):
            chosen = parse_digest(index)
    media_type = entry.get("mediaType")
    return Named(
        name_of(entry),
        digest_of(entry),
        media_type if isinstance(media_type, str) else None,
        chosen,
        tuple(sources.split()) if isinstance(sources, str) else (),
    )
