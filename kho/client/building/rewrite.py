"""Change an image, or each image of an index, and put what comes of it elsewhere.

index ─► its images, each edited ─► an index of what came of them, all else as it was
image ─► edited
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from kho.client.building.built import Built
from kho.client.building.draft import Draft, changed
from kho.client.errors import Damaged, Misused
from kho.client.images.image import Image, open_image
from kho.client.progress import SILENT, Progress
from kho.client.stores.copy import DEPTH, choose
from kho.client.stores.store import Source
from kho.oci import media_types
from kho.oci.digest import Digest, parse_digest
from kho.oci.errors import RegistryError
from kho.oci.manifest import parse_manifest
from kho.oci.platform import Platform
from kho.oci.strict_json import parse_object
from kho.remote.manifests import Manifest

# Of an index with all that are in it; the largest public ones have some dozens.
MOST: Final = 500
# Where build tools say which image a provenance or SBOM is of.
_ATTESTED: Final = "vnd.docker.reference.digest"

# Changes a draft of an image; the image is what it was before.
Edit = Callable[[Image, Draft], Awaitable[None]]


@dataclass
class Rewriter:
    """One run over an image or index; `built` takes what is made."""

    source: Source
    built: Built
    edit: Edit
    # Of indexes themselves; those of images are the edit's affair.
    annotations: dict[str, str | None] = field(default_factory=dict)
    told: Progress = SILENT
    _done: dict[Digest, Manifest] = field(default_factory=dict, init=False)
    _platforms: dict[Digest, Platform] = field(default_factory=dict, init=False)

    async def run(self, target: str, platform: Platform | None = None) -> Manifest:
        """What becomes of it; of an index the image for a platform alone, where one is given.

        Raises Misused where there is no image to change, and what reading them raises.
        """
        manifest = await self.source.manifest(target)
        if platform is not None:
            manifest = await choose(self.source, manifest, platform)
        return await self._any(manifest, 0)

    async def _any(self, manifest: Manifest, depth: int) -> Manifest:
        if depth > DEPTH or len(self._done) >= MOST:
            text = f"indexes in indexes, more than {DEPTH} deep or {MOST} manifests"
            raise Damaged(f"{self.source.name}@{manifest.digest}: {text}")
        try:
            parsed = parse_manifest(manifest.content, manifest.media_type)
        except RegistryError as error:
            raise Damaged(f"{self.source.name}@{manifest.digest}: {error.message}") from error
        made = await (self._index(manifest, depth) if parsed.is_index else self._image(manifest))
        self._done[manifest.digest] = made
        return made

    async def _image(self, manifest: Manifest) -> Manifest:
        image = await open_image(self.source, str(manifest.digest))
        draft = Draft.of(image)
        before = Draft.of(image)
        await self.edit(image, draft)
        if draft == before:
            return manifest  # to the byte
        made = draft.finish(self.built)
        if (platform := Platform.of(draft.config)) != Platform.of(before.config):
            self._platforms[made.digest] = platform
        return made

    async def _index(self, manifest: Manifest, depth: int) -> Manifest:
        value = parse_object(manifest.content)
        entries: Any = value["manifests"]
        kept, left = [], []
        moved: dict[str, str] = {}
        for entry in entries:
            if _is_image(entry):
                kept.append(await self._entry(entry, depth, moved))
            else:
                left.append(entry)
                kept.append(entry)
        if len(left) == len(entries):
            raise Misused(f"{self.source.name}@{manifest.digest}: an index without images")
        for entry in left:
            about = str((entry.get("annotations") or {}).get(_ATTESTED))
            if moved.get(about, about) != about:
                # It would vouch for an image that is not here any more.
                kept.remove(entry)
                self.told.note(f"left out: {entry['digest']}, an attestation of {about}")
        after = {**value, "manifests": kept}
        changed(after, "annotations", self.annotations)
        if after == value:
            return manifest
        return self.built.add_manifest(after, manifest.media_type)

    async def _entry(
        self, entry: dict[str, Any], depth: int, moved: dict[str, str]
    ) -> dict[str, Any]:
        digest = parse_digest(entry["digest"])
        made = self._done.get(digest)
        if made is None:
            made = await self._any(await self.source.manifest(str(digest)), depth + 1)
        moved[entry["digest"]] = str(made.digest)
        if made.digest == digest:
            return entry
        found = {key: value for key, value in entry.items() if key != "data"}
        found |= {"digest": str(made.digest), "size": len(made.content)}
        platform = self._platforms.get(made.digest)
        if platform is not None and "platform" in entry:
            found["platform"] = platform.fields()
        return found


def _is_image(entry: dict[str, Any]) -> bool:
    platform = entry.get("platform")
    unknown = isinstance(platform, dict) and platform.get("os") == "unknown"
    artifact = entry.get("artifactType")
    return entry.get("mediaType") in media_types.MANIFESTS and not unknown and not artifact
