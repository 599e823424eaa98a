"""An image as it is read: its manifest and config, and its layers as local files when asked for."""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from kho.client.errors import Damaged, Misused
from kho.client.progress import SILENT, Progress
from kho.client.stores.copy import choose
from kho.client.stores.layout import Layout
from kho.client.stores.steady import steady
from kho.client.stores.store import Source
from kho.oci import media_types
from kho.oci.digest import Digest, parse_digest
from kho.oci.errors import RegistryError
from kho.oci.hashing import new_hasher
from kho.oci.manifest import Descriptor, parse_manifest
from kho.oci.platform import Platform
from kho.oci.strict_json import JsonRefused, parse_object
from kho.remote.manifests import Manifest

# What is read into memory: configs of images have some KiB.
CONFIG_BYTES: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """The config of an image (image-spec, config.md); absent and null are the same."""

    platform: Platform
    diff_ids: tuple[Digest, ...]
    history: tuple[dict[str, Any], ...]
    created: str
    author: str
    env: tuple[str, ...]
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    user: str
    working_dir: str
    labels: dict[str, str]
    exposed_ports: tuple[str, ...]
    volumes: tuple[str, ...]
    stop_signal: str
    # As it was read, whole.
    value: dict[str, Any] = field(repr=False)

    @classmethod
    def parse(cls, content: bytes) -> "ImageConfig":
        """Read it; raise Damaged."""
        try:
            value = parse_object(content)
            rootfs, config = _object(value, "rootfs"), _object(value, "config")
            return cls(
                platform=Platform.of(value),
                diff_ids=tuple(parse_digest(one) for one in _texts(rootfs, "diff_ids")),
                history=_objects(value, "history"),
                created=_text(value, "created"),
                author=_text(value, "author"),
                env=_texts(config, "Env"),
                entrypoint=_texts(config, "Entrypoint"),
                command=_texts(config, "Cmd"),
                user=_text(config, "User"),
                working_dir=_text(config, "WorkingDir"),
                labels=_labels(config),
                exposed_ports=tuple(_object(config, "ExposedPorts")),
                volumes=tuple(_object(config, "Volumes")),
                stop_signal=_text(config, "StopSignal"),
                value=value,
            )
        except (JsonRefused, RegistryError) as error:
            raise Damaged(f"the config of the image is no config: {error}") from error


@dataclass(frozen=True, slots=True)
class Image:
    """One image of one platform."""

    source: Source
    manifest: Manifest
    config_content: Descriptor
    config: ImageConfig
    layers: tuple[Descriptor, ...]
    # As the user wrote it, where the source's name does not tell: one of the local store.
    called: str | None = None

    @property
    def name(self) -> str:
        """For messages."""
        return _name(self.called or self.source.name, self.manifest)


def _name(called: str, manifest: Manifest) -> str:
    return called if "@" in called else f"{called}@{manifest.digest}"


async def open_image(
    source: Source, target: str, platform: Platform | None = None, *, called: str | None = None
) -> Image:
    """Read manifest and config; of an index the image for `platform`, else for this machine.

    `called` is its name in messages. Raises Misused for what is no image, Damaged, Missing, or a
    RemoteError.
    """
    manifest = await choose(source, await source.manifest(target), platform or Platform.local())
    name = _name(called or source.name, manifest)
    try:
        parsed = parse_manifest(manifest.content, manifest.media_type)
    except RegistryError as error:
        raise Damaged(f"{name}: {error.message}") from error
    config, *layers = parsed.references
    if config.media_type not in media_types.IMAGE_CONFIGS:
        kind = parsed.artifact_type or config.media_type
        raise Misused(f"{name} is no image but an artifact of type {kind}")
    found = ImageConfig.parse(await read_blob(source, config))
    if len(found.diff_ids) != len(layers):
        text = f"has {len(layers)} layers and {len(found.diff_ids)} diff ids"
        raise Damaged(f"{name} {text}")
    return Image(source, manifest, config, found, tuple(layers), called)


async def read_blob(source: Source, content: Descriptor, limit: int = CONFIG_BYTES) -> bytes:
    """A small blob, verified; raise Damaged where it is told to be larger than `limit` bytes."""
    if content.size > limit:
        text = f"{content.digest} has {content.size} bytes; at most {limit} are read"
        raise Damaged(f"{source.name}: {text}")
    found = bytearray()
    hasher = new_hasher(content.digest.algorithm)
    async with aclosing(steady(source, content, hasher, 0, SILENT)) as pieces:
        async for piece in pieces:
            found += piece
    return bytes(found)


class BlobFiles:
    """Blobs of a source as local files: a layout's own, others fetched into a folder, verified."""

    def __init__(
        self, source: Source, folder: Path, *, told: Progress = SILENT, parallel: int = 4
    ) -> None:
        self._source = source
        self._fetched = Layout(folder)
        self._told = told
        self._places = asyncio.Semaphore(parallel)

    async def path(self, content: Descriptor) -> Path:
        """Its file. One of a layout was verified when it was put there, not now."""
        if not content.required:
            text = f"{content.digest} is a layer that registries do not hand out"
            raise Misused(f"{self._source.name}: {text} ({content.media_type})")
        if isinstance(self._source, Layout) and self._source.holds(content):
            return self._source.path(content.digest)
        async with self._places:
            outcome = await self._fetched.take_blob(content, self._source, self._told)
        self._told.end(content, outcome)
        return self._fetched.path(content.digest)


def _text(value: dict[str, Any], key: str) -> str:
    found = value.get(key)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise JsonRefused(f"{key} is not a string")
    return found


def _texts(value: dict[str, Any], key: str) -> tuple[str, ...]:
    found = value.get(key)
    if found is None:
        return ()
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise JsonRefused(f"{key} is not a list of strings")
    return tuple(found)


def _object(value: dict[str, Any], key: str) -> dict[str, Any]:
    found = value.get(key)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise JsonRefused(f"{key} is not an object")
    return found


def _objects(value: dict[str, Any], key: str) -> tuple[dict[str, Any], ...]:
    found = value.get(key)
    if found is None:
        return ()
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise JsonRefused(f"{key} is not a list of objects")
    return tuple(found)


def _labels(config: dict[str, Any]) -> dict[str, str]:
    labels = _object(config, "Labels")
    if not all(isinstance(one, str) for one in labels.values()):
        raise JsonRefused("Labels is not an object of strings")
    return labels
