"""More layers on top of an image, or of each image of an index."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kho.client.building.built import Built
from kho.client.building.draft import EPOCH, Draft
from kho.client.building.layer_file import LayerFile, LayerMaker, in_thread
from kho.client.building.mutate import Change
from kho.client.building.pack import Packing, pack_folder
from kho.client.building.rewrite import Rewriter
from kho.client.building.spooled_file import FileOnDisk
from kho.client.images.image import Image
from kho.client.progress import SILENT, Progress
from kho.client.stores.store import Source
from kho.layers.compression import Compression
from kho.layers.errors import LayerRefused
from kho.oci import media_types
from kho.oci.platform import Platform
from kho.remote.manifests import Manifest

BASE_NAME: Final = "org.opencontainers.image.base.name"
BASE_DIGEST: Final = "org.opencontainers.image.base.digest"
_PIECE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Addition:
    """A layer, and what the history says of it."""

    layer: LayerFile
    created_by: str


@dataclass(frozen=True, slots=True)
class Appending:
    """What is to be put on top; `base` is what the image below is called, where it has a name."""

    additions: Sequence[Addition]
    change: Change
    base: str = ""
    # RFC 3339, for the history; empty is when the image below was made.
    created: str = ""

    def apply(self, image: Image, draft: Draft) -> None:
        """Change one image; raise Misused for a layer that its format does not have."""
        created = self.created or image.config.created
        for one in self.additions:
            told: dict[str, Any] = {"created": created} if created else {}
            draft.add_layer(one.layer, {**told, "created_by": one.created_by})
        # Docker's format has no annotations.
        if draft.media_type == media_types.OCI_MANIFEST:
            draft.annotate({BASE_DIGEST: str(image.manifest.digest)})
            if self.base:
                draft.annotate({BASE_NAME: self.base})
        self.change.apply(draft)


async def append(
    source: Source,
    target: str,
    appending: Appending,
    *,
    platform: Platform | None = None,
    told: Progress = SILENT,
) -> tuple[Built, Manifest]:
    """Put layers on an image, or on all images of an index; on one alone with a platform."""
    built = Built(source)
    for one in appending.additions:
        built.add_layer(one.layer)

    async def edit(image: Image, draft: Draft) -> None:
        appending.apply(image, draft)

    rewriter = Rewriter(source, built, edit, appending.change.annotations, told)
    return built, await rewriter.run(target, platform)


def start(
    additions: Sequence[Addition], change: Change, platform: Platform
) -> tuple[Built, Manifest]:
    """An image of these layers and nothing below."""
    built, draft = Built(), Draft.empty(platform)
    for one in additions:
        built.add_layer(one.layer)
        told = {"created": change.created or EPOCH, "created_by": one.created_by}
        draft.add_layer(one.layer, told)
    change.apply(draft)
    return built, draft.finish(built)


async def pack_layer(
    folder: Path, packing: Packing, compression: Compression, told: Progress = SILENT
) -> LayerFile:
    """A folder as a layer; the caller closes it. Raises as `pack_folder`."""
    made = LayerMaker(compression)
    try:
        await in_thread(lambda: pack_folder(folder, made, packing, told.note), made.stop)
    except BaseException:
        made.close()
        raise
    return made


async def read_layer(path: Path, compression: Compression) -> LayerFile:
    """A tar as it is if it is compressed, else compressed; the caller closes it.

    Raises Misused for what is no file, LayerRefused for what is no tar.
    """
    found = FileOnDisk(path)
    try:
        await in_thread(found.read_layer, found.stop)
        if found.compression is compression or found.compression is not Compression.NONE:
            return found
        made = LayerMaker(compression)
        try:
            await in_thread(lambda: _copy(found, made), made.stop)
        except BaseException:
            made.close()
            raise
    except LayerRefused as error:
        found.close()
        raise LayerRefused(f"{path}: {error}") from error
    except BaseException:
        found.close()
        raise
    found.close()
    return made


def _copy(source: FileOnDisk, made: LayerMaker) -> None:
    again = source.again()
    while piece := again.read(_PIECE):
        made.write(piece)
    made.finish()
