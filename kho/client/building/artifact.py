"""Files as an artifact of a registry (image-spec, "Guidelines for Artifact Usage").

files ─► layers, each with its name as title ─► a manifest with an artifact type, empty config
                                                 └─► with a subject: an attachment
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from kho.client.building.built import Built
from kho.client.building.layer_file import LayerMaker, in_thread
from kho.client.building.pack import Packing, pack_folder
from kho.client.building.spooled_file import FileOnDisk
from kho.client.errors import Misused
from kho.oci import media_types
from kho.remote.manifests import Manifest

TITLE: Final = "org.opencontainers.image.title"
# What oras writes of a folder, and unpacks again. Its digest of the tar would be that of what Go
# reads of one, without the zeros at the end; it may be left out.
UNPACK: Final = "io.deis.oras.content.unpack"
EMPTY_TYPE: Final = "application/vnd.oci.empty.v1+json"
_EMPTY: Final = b"{}"
_EMPTY_DATA: Final = "e30="
# What is taken for the type where none is given, as oras does.
UNKNOWN_TYPE: Final = "application/vnd.unknown.artifact.v1"
FILE_TYPE: Final = "application/vnd.oci.image.layer.v1.tar"
FOLDER_TYPE: Final = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass(frozen=True, slots=True)
class File:
    """A file or folder of this machine, its media type (empty: not said), its name there."""

    path: Path
    media_type: str = ""
    title: str = ""

    @classmethod
    def parse(cls, text: str) -> "File":
        """`FILE[:TYPE]`: a media type has a slash in it, and no other colon."""
        path, colon, kind = text.rpartition(":")
        if colon and path and _is_type(kind) and not Path(text).exists():
            return cls(Path(path), kind)
        return cls(Path(text))

    @property
    def name(self) -> str:
        """What it is called in the artifact; never a path of this machine."""
        return self.title or self.path.resolve().name


@dataclass(frozen=True, slots=True)
class Artifact:
    """What is to be made."""

    files: Sequence[File]
    artifact_type: str = ""
    annotations: dict[str, str] = field(default_factory=dict)
    subject: Manifest | None = None


class ArtifactMaker:
    """Makes an artifact; its files are to stay as they are until `close`."""

    def __init__(self) -> None:
        self.built = Built()
        self._open: list[LayerMaker | FileOnDisk] = []

    def close(self) -> None:
        """Let go of files."""
        for one in self._open:
            one.close()

    async def make(self, artifact: Artifact) -> Manifest:
        """Read the files and write the manifest.

        Raises Misused for no type at all, or two files of one name; ClientError, OSError.
        """
        kind = artifact.artifact_type or (UNKNOWN_TYPE if artifact.subject is None else "")
        if not _is_type(kind):
            raise Misused("--artifact-type: expected a media type, as application/spdx+json")
        names = [one.name for one in artifact.files]
        for name in names:
            if names.count(name) > 1:
                raise Misused(f"two files are called {name}")
        layers = [await self._file(one) for one in artifact.files]
        empty = self.built.add_small(_EMPTY, EMPTY_TYPE) | {"data": _EMPTY_DATA}
        value: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_MANIFEST,
            "artifactType": kind,
            "config": empty,
            # The specification wants one layer at least.
            "layers": layers or [empty],
        }
        if artifact.subject is not None:
            value["subject"] = {
                "mediaType": artifact.subject.media_type,
                "digest": str(artifact.subject.digest),
                "size": len(artifact.subject.content),
            }
        if artifact.annotations:
            value["annotations"] = artifact.annotations
        return self.built.add_manifest(value, media_types.OCI_MANIFEST)

    async def _file(self, file: File) -> dict[str, Any]:
        if file.path.is_dir():
            return await self._folder(file)
        found = FileOnDisk(file.path)
        self._open.append(found)
        await in_thread(found.read, found.stop)
        self.built.add_layer(found)
        return {
            "mediaType": file.media_type or FILE_TYPE,
            "digest": str(found.digest),
            "size": found.size,
            "annotations": {TITLE: file.name},
        }

    async def _folder(self, file: File) -> dict[str, Any]:
        made = LayerMaker()
        self._open.append(made)
        packing = Packing(prefix=file.name)
        await in_thread(lambda: pack_folder(file.path, made, packing), made.stop)
        self.built.add_layer(made)
        return {
            "mediaType": file.media_type or FOLDER_TYPE,
            "digest": str(made.digest),
            "size": made.size,
            "annotations": {
                TITLE: file.name,
                UNPACK: "true",
            },
        }


def _is_type(text: str) -> bool:
    major, slash, minor = text.partition("/")
    plain = text.isascii() and text.isprintable() and " " not in text
    return bool(slash and major and minor and plain and "/" not in minor)
