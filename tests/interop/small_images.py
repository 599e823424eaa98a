"""A small image that is unlike any other, in the forms that clients load."""

import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MIB = 1024 * 1024
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
NAME = "kho.invalid/small:1"


@dataclass(frozen=True, slots=True)
class SmallImage:
    """One layer of random bytes, as an OCI layout and as archives for docker and containerd."""

    folder: Path
    digest: str

    @property
    def layout(self) -> Path:
        """The folder of the OCI layout, whose only image is tagged `small`."""
        return self.folder / "layout"

    @property
    def docker_archive(self) -> Path:
        """What `docker save` would write of an image named NAME."""
        return self.folder / "docker.tar"

    @property
    def oci_archive(self) -> Path:
        """The layout as an archive."""
        return self.folder / "oci.tar"


def small_image(folder: Path, size: int = _MIB, architecture: str = "amd64") -> SmallImage:
    """Make one whose layer has about `size` bytes."""
    layout = folder / "layout"
    (layout / "blobs/sha256").mkdir(parents=True)
    layer = _layer(size)
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Cmd": ["/nothing"]},
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
    }
    packed = gzip.compress(layer, compresslevel=1)
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": _stored(layout, _CONFIG, json.dumps(config).encode()),
        "layers": [_stored(layout, _LAYER, packed)],
    }
    entry = _stored(layout, _MANIFEST, json.dumps(manifest).encode())
    tagged = {**entry, "annotations": {"org.opencontainers.image.ref.name": "small"}}
    _listed(layout, tagged)
    image = SmallImage(folder, entry["digest"])
    with tarfile.open(image.oci_archive, "w") as archive:
        archive.add(layout, arcname=".")
    _save_for_docker(image.docker_archive, json.dumps(config).encode(), layer)
    return image


@dataclass(frozen=True, slots=True)
class TwoPlatforms:
    """A layout whose only name is `both`: an index; its digest and those of the images in it."""

    layout: Path
    index: str
    amd64: str
    arm64: str


def two_platforms(folder: Path) -> TwoPlatforms:
    """Two small images that are one for other platforms."""
    layout, digests, entries = folder / "both", {}, []
    for name in ("amd64", "arm64"):
        image = small_image(folder / name, 5000, name)
        shutil.copytree(image.layout, layout, dirs_exist_ok=True)
        (entry,) = json.loads((image.layout / "index.json").read_bytes())["manifests"]
        digests[name] = image.digest
        del entry["annotations"]
        entries.append({**entry, "platform": {"os": "linux", "architecture": name}})
    value = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": entries}
    index = _stored(layout, _INDEX, json.dumps(value).encode())
    named = {**index, "annotations": {"org.opencontainers.image.ref.name": "both"}}
    _listed(layout, named)
    return TwoPlatforms(layout, index["digest"], **digests)


def _listed(layout: Path, entry: dict[str, Any]) -> None:
    value = {"schemaVersion": 2, "manifests": [entry]}
    (layout / "index.json").write_text(json.dumps(value))
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


def _layer(size: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        _add(archive, "random", os.urandom(size))
    return out.getvalue()


def _save_for_docker(path: Path, config: bytes, layer: bytes) -> None:
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    listed = [{"Config": name, "RepoTags": [NAME], "Layers": ["layer.tar"]}]
    with tarfile.open(path, "w") as archive:
        _add(archive, name, config)
        _add(archive, "layer.tar", layer)
        _add(archive, "manifest.json", json.dumps(listed).encode())


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


def _stored(layout: Path, kind: str, data: bytes) -> dict[str, Any]:
    digest = _digest(data)
    (layout / "blobs" / digest.replace(":", "/")).write_bytes(data)
    return {"mediaType": kind, "digest": digest, "size": len(data)}


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()
