"""Images of several layers as OCI layouts, which clients read: the same image, each time anew."""

import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.debian import debian_image

TAG = "image"
LAYERS = 10
COMMENT = 16

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
# A gzip member with a comment and nothing in it: head, the comment, an empty block, CRC and size.
_HEAD, _FOOT = b"\x1f\x8b\x08\x10\0\0\0\0\0\xff", b"\0\x03\0" + bytes(8)


@dataclass(frozen=True, slots=True)
class Layout:
    """One image in a folder; `size` is that of its layers."""

    folder: Path
    tag: str
    size: int

    @property
    def reference(self) -> str:
        """As skopeo names it."""
        return f"oci:{self.folder}:{self.tag}"

    def rewritten(self, folder: Path, change: Callable[[bytes], bytes], kind: str) -> "Layout":
        """The same image, its layers changed and of another media type."""
        manifest = _manifest(self)
        config = json.loads(_blob(self.folder, manifest["config"]["digest"]).read_bytes())
        layers = [
            change(_blob(self.folder, layer["digest"]).read_bytes()) for layer in manifest["layers"]
        ]
        return _written(folder, config, layers, kind)


class Images:
    """Copies of one image that no registry has seen: their files are the same, their digests new.

    The image is Debian's, or of layers of `layer_size` random bytes where that is not 0.
    """

    def __init__(self, folder: Path, layer_size: int) -> None:
        self._folder = folder
        self._stamp: int | None = None
        self._copies: list[Layout] = []
        if layer_size:
            self.source = _small(folder / "source", layer_size)
        else:
            self.source = _known(debian_image().folder / "debian", "debian")

    def copies(self, stamp: int, count: int) -> tuple[Layout, ...]:
        """So many of them for one round; the same for the same stamp."""
        if stamp != self._stamp:
            self.close()
            self._stamp = stamp
        while len(self._copies) < count:
            self._copies.append(_copy(self.source, self._folder / f"copy-{len(self._copies)}"))
        return tuple(self._copies[:count])

    def close(self) -> None:
        """Remove the copies."""
        for copy in self._copies:
            shutil.rmtree(copy.folder)
        self._copies.clear()


def one_layer(folder: Path, size: int) -> Layout:
    """An image of one layer of so many random bytes, not compressed, written piece by piece."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    hasher, made = hashlib.sha256(), blobs / "layer"
    entry = tarfile.TarInfo("layer")
    entry.size = size
    with made.open("wb") as file:
        for piece in _tar_of(entry):
            hasher.update(piece)
            file.write(piece)
    digest = f"sha256:{hasher.hexdigest()}"
    made.rename(_blob(folder, digest))
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [digest]},
    }
    layer = {
        "mediaType": "application/vnd.oci.image.layer.v1.tar",
        "digest": digest,
        "size": _blob(folder, digest).stat().st_size,
    }
    return _listed(folder, config, [layer])


def _tar_of(entry: tarfile.TarInfo) -> Iterator[bytes]:
    yield entry.tobuf()
    block = os.urandom(1 << 20)
    for start in range(0, entry.size, len(block)):
        yield start.to_bytes(8) + block[8 : min(len(block), entry.size - start)]
    yield bytes(1024 + -entry.size % 512)


def _small(folder: Path, layer_size: int) -> Layout:
    """An image made here, where no real one is wanted."""
    parts = [_layer(number, layer_size) for number in range(LAYERS)]
    rootfs = {"type": "layers", "diff_ids": [_digest(part) for part in parts]}
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs}
    return _written(folder, config, [gzip.compress(part, 1, mtime=0) for part in parts])


def _layer(number: int, size: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        entry = tarfile.TarInfo(f"layer-{number}")
        entry.size = size
        tar.addfile(entry, io.BytesIO(os.urandom(size)))
    return out.getvalue()


def _copy(source: Layout, folder: Path) -> Layout:
    """Each layer ends with an empty member that is its own, so what it unpacks to stays."""
    manifest = _manifest(source)
    config = json.loads(_blob(source.folder, manifest["config"]["digest"]).read_bytes())
    layers = [
        _blob(source.folder, layer["digest"]).read_bytes() + _empty_member()
        for layer in manifest["layers"]
    ]
    return _written(folder, config | {"author": os.urandom(COMMENT).hex()}, layers)


def _empty_member() -> bytes:
    return _HEAD + os.urandom(COMMENT).hex().encode() + _FOOT


def _written(
    folder: Path, config: dict[str, Any], layers: list[bytes], kind: str = _LAYER
) -> Layout:
    (folder / "blobs" / "sha256").mkdir(parents=True)
    return _listed(folder, config, [_stored(folder, kind, layer) for layer in layers])


def _listed(folder: Path, config: dict[str, Any], layers: list[dict[str, Any]]) -> Layout:
    """What makes a layout of layers that are there."""
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": _stored(folder, _CONFIG, json.dumps(config).encode()),
        "layers": layers,
    }
    tag = {"annotations": {"org.opencontainers.image.ref.name": TAG}}
    entry = _stored(folder, _MANIFEST, json.dumps(manifest).encode()) | tag
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return _known(folder, TAG)


def _stored(folder: Path, kind: str, data: bytes) -> dict[str, Any]:
    digest = _digest(data)
    _blob(folder, digest).write_bytes(data)
    return {"mediaType": kind, "digest": digest, "size": len(data)}


def _known(folder: Path, tag: str) -> Layout:
    size = sum(layer["size"] for layer in _manifest(Layout(folder, tag, 0))["layers"])
    return Layout(folder, tag, size)


def _manifest(layout: Layout) -> dict[str, Any]:
    (entry,) = json.loads((layout.folder / "index.json").read_bytes())["manifests"]
    return dict(json.loads(_blob(layout.folder, entry["digest"]).read_bytes()))


def _blob(folder: Path, digest: str) -> Path:
    return folder / "blobs" / digest.replace(":", "/")


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
