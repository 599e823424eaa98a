"""Images of old docker archives, which have a config and layers but no manifest: one is made.

manifest.json ─► Config: <hex>.json ─────────────────────► its bytes, as they are
              └► Layers: <hex>/layer.tar (or a link) ─► tar? compressed, gzip? as it is
                                                       └► checked against the config's diff_ids

Such an archive keeps layers uncompressed; docker push and skopeo compress them on their way, and so
does this: to each layer one gzip stream, the same in each run and on each machine, so that a second
push sends nothing. Compressed layers are in nameless temporary files until the archive is closed.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from kho.client.archives.members import Members, Part
from kho.client.archives.spool import PIECE, Spool
from kho.client.errors import Damaged
from kho.layers.compression import Compression, compressed, detect
from kho.layers.errors import LayerRefused
from kho.oci import media_types
from kho.oci.digest import Digest, parse_digest
from kho.oci.errors import DigestInvalid
from kho.oci.hashing import new_hasher
from kho.oci.strict_json import JsonRefused, parse_object
from kho.remote.manifests import BYTES, Manifest

LISTED: Final = "manifest.json"
_CONFIG: Final = "application/vnd.docker.container.image.v1+json"
_DOCKER_LAYER: Final = "application/vnd.docker.image.rootfs.diff.tar"
_OCI_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
_OCI_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
# Twice as fast as the usual 6, and still smaller than what docker and skopeo make of it.
_LEVEL: Final = 4
_PARALLEL: Final = 4
_HEAD: Final = 512


@dataclass(frozen=True, slots=True)
class OldImage:
    """An image as manifest.json lists it."""

    names: tuple[str, ...]
    config: str
    layers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer as it goes out."""

    compression: Compression
    digest: Digest
    part: Part


@dataclass(frozen=True, slots=True)
class Made:
    """A manifest, and where what it names is."""

    manifest: Manifest
    parts: dict[Digest, Part]


def old_images(members: Members) -> list[OldImage] | None:
    """What manifest.json lists; None where there is none. Raises Damaged."""
    content = members.small(LISTED, BYTES)
    if content is None:
        return None
    try:
        listed = parse_object(b'{"images":' + content + b"}")["images"]
    except JsonRefused as error:
        raise Damaged(f"{members.name}: {LISTED}: {error}") from error
    if not isinstance(listed, list):
        raise Damaged(f"{members.name}: {LISTED} is no list")
    return [_image(members, one) for one in listed]


def _image(members: Members, entry: object) -> OldImage:
    fields = entry if isinstance(entry, dict) else {}
    config, layers, names = (fields.get(key) for key in ("Config", "Layers", "RepoTags"))
    texts = [*(layers or ()), *(names or ())] if isinstance(layers, list | None) else [None]
    if not isinstance(config, str) or not all(isinstance(text, str) for text in texts):
        raise Damaged(f"{members.name}: {LISTED} has an entry without Config and Layers")
    return OldImage(tuple(names or ()), config, tuple(layers or ()))


class Maker:
    """Makes manifests of the images of one archive; a layer of several is compressed once."""

    def __init__(self, members: Members, told: Callable[[str], None]) -> None:
        self._members = members
        self._told = told
        self._spools: list[Spool] = []
        self._layers: dict[tuple[Part, str], asyncio.Task[Layer]] = {}
        self._places = asyncio.Semaphore(_PARALLEL)

    async def make(self, image: OldImage) -> Made:
        """Compress, hash, check; raise Damaged."""
        config = self._members.small(image.config, BYTES)
        if config is None:
            raise self._damaged(f"{LISTED} names {image.config!a:.300}, which is not there")
        digest = Digest.of(config)
        named = image.config.rpartition("/")[2].removesuffix(".json").removeprefix("sha256:")
        if len(named) == len(digest.hex) and named != digest.hex:
            raise self._damaged(f"{image.config} has the digest {digest}")
        diff_ids = self._diff_ids(image, config)
        self._told(f"{self._members.name}: reading {len(diff_ids)} layers")
        async with asyncio.TaskGroup() as group:
            made = [
                group.create_task(self._once(group, path, diff_id))
                for path, diff_id in zip(image.layers, diff_ids, strict=True)
            ]
        layers = [task.result() for task in made]
        parts = {layer.digest: layer.part for layer in layers}
        parts[digest] = self._kept(config)
        return Made(_manifest(digest, len(config), layers), parts)

    def close(self) -> None:
        """Give the space back."""
        for spool in self._spools:
            spool.close()

    def _diff_ids(self, image: OldImage, config: bytes) -> list[Digest]:
        try:
            rootfs = parse_object(config).get("rootfs")
            found = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
            texts = found if isinstance(found, list) else []
            diff_ids = [parse_digest(str(text)) for text in texts]
        except (JsonRefused, DigestInvalid) as error:
            raise self._damaged(f"{image.config}: {error}") from error
        if len(diff_ids) != len(image.layers):
            text = f"{LISTED} lists {len(image.layers)} layers, its config {len(diff_ids)}"
            raise self._damaged(text)
        return diff_ids

    async def _once(self, group: asyncio.TaskGroup, path: str, diff_id: Digest) -> Layer:
        part = self._members.find(path)
        if part is None:
            raise self._damaged(f"{LISTED} names {path!a:.300}, which is not there")
        task = self._layers.get((part, str(diff_id)))
        if task is None:
            task = group.create_task(self._layer(path, part, diff_id))
            self._layers[part, str(diff_id)] = task
        return await task

    async def _layer(self, path: str, part: Part, diff_id: Digest) -> Layer:
        try:
            compression = detect(part.read(0, _HEAD))
        except LayerRefused as error:
            raise self._damaged(f"{path}: {error}") from error
        async with self._places:
            if compression is not Compression.NONE:
                return Layer(compression, await _hashed(part), part)
            return await self._compressed(path, part, diff_id)

    async def _compressed(self, path: str, part: Part, diff_id: Digest) -> Layer:
        spool = self._spool()
        plain, packed = new_hasher(diff_id.algorithm), new_hasher()

        def keep(piece: bytes) -> None:
            packed.update(piece)
            spool.write(piece)

        packer = compressed(keep, Compression.GZIP, _LEVEL)

        def take(start: int) -> int:
            piece = part.read(start, PIECE)
            plain.update(piece)
            packer.write(piece)
            return len(piece)

        start = 0
        while count := await asyncio.to_thread(take, start):
            start += count
        packer.close()
        if plain.digest() != diff_id:
            raise self._damaged(f"{path} has the digest {plain.digest()}, not {diff_id}")
        return Layer(Compression.GZIP, packed.digest(), Part(spool.fileno(), 0, spool.size))

    def _kept(self, content: bytes) -> Part:
        spool = self._spool()
        spool.write(content)
        return Part(spool.fileno(), 0, spool.size)

    def _spool(self) -> Spool:
        spool = Spool()
        self._spools.append(spool)
        return spool

    def _damaged(self, text: str) -> Damaged:
        return Damaged(f"{self._members.name}: {text}")


async def _hashed(part: Part) -> Digest:
    hasher = new_hasher()

    def take(start: int) -> int:
        piece = part.read(start, PIECE)
        hasher.update(piece)
        return len(piece)

    start = 0
    while count := await asyncio.to_thread(take, start):
        start += count
    return hasher.digest()


def _manifest(config: Digest, size: int, layers: list[Layer]) -> Manifest:
    """Docker's form, as its config is docker's; zstd is known in OCI's form only."""
    docker = all(layer.compression is Compression.GZIP for layer in layers)
    media_type = media_types.DOCKER_MANIFEST if docker else media_types.OCI_MANIFEST

    def kind(layer: Layer) -> str:
        return f"{_DOCKER_LAYER}.gzip" if docker else _OCI_LAYER + layer.compression.suffix

    value: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": {
            "mediaType": _CONFIG if docker else _OCI_CONFIG,
            "size": size,
            "digest": str(config),
        },
        "layers": [
            {"mediaType": kind(one), "size": one.part.size, "digest": str(one.digest)}
            for one in layers
        ],
    }
    content = json.dumps(value, separators=(",", ":")).encode()
    return Manifest(media_type, Digest.of(content), content)
