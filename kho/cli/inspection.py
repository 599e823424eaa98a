"""What `kho inspect` shows: an image with its names and digests, in docker's keys or as text."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from kho.cli import shown
from kho.cli.ages import age
from kho.client.images.image import Image, open_image
from kho.client.local.store import LocalStore
from kho.client.places import Place, Registries, open_read
from kho.client.stores.copy import choose
from kho.client.stores.registry_store import RegistryStore
from kho.oci import media_types
from kho.oci.digest import Digest
from kho.oci.platform import Platform
from kho.oci.reference import Reference, ReferenceInvalid
from kho.remote.manifests import Manifest


@dataclass(frozen=True, slots=True)
class Inspected:
    """What a reference stands for, while its place is open."""

    manifest: Manifest
    names: tuple[str, ...]
    # host/name@digest, as registries know it.
    digests: tuple[str, ...]
    # The index that the image is one of.
    index: Digest | None
    found: Image | None

    @property
    def image(self) -> Image:
        """The image; only its manifest is there where that alone was asked for."""
        assert self.found is not None
        return self.found


@asynccontextmanager
async def inspected(
    text: str, registries: Registries, platform: Platform | None, *, raw: bool = False
) -> AsyncIterator[Inspected]:
    """Look at it; with `raw` at its manifest alone, which may be an index."""
    async with await open_read(text, registries, platform) as place:
        top = await place.store.manifest(await place.wanted())
        if raw:
            one = top if platform is None else await choose(place.store, top, platform)
            yield Inspected(one, (), (), None, None)
            return
        image = await open_image(place.store, str(top.digest), platform, called=place.called)
        names, digests, index = _known(place, text, top)
        yield Inspected(image.manifest, names, digests, index, image)


def _known(
    place: Place, text: str, top: Manifest
) -> tuple[tuple[str, ...], tuple[str, ...], Digest | None]:
    """Its names, its digests at registries, its index."""
    index = top.digest if top.media_type in media_types.INDEXES else None
    if isinstance(place.store, LocalStore):
        same = [one for one in place.store.images() if top.digest in (one.digest, one.index)]
        told = next((one.index for one in same if one.index is not None), None)
        names = [one.name for one in same if one.name is not None]
        where = [f"{source}@{one.told}" for one in same for source in one.sources]
        tags = tuple(name for name in names if "@" not in name)
        return tags, tuple(dict.fromkeys(where)), index or told
    if isinstance(place.store, RegistryStore):
        with suppress(ReferenceInvalid):
            ref = Reference.parse(text.removeprefix("docker://"))
            tags = () if ref.digest is not None else (str(ref),)
            return tags, (f"{ref.where}@{top.digest}",), index
    return (), (), index


def fields(found: Inspected) -> dict[str, Any]:
    """Docker's keys, and some more in the same style; sizes are bytes as they are stored."""
    image = found.image
    value = image.config.value
    return {
        "Id": str(image.config_content.digest),
        "Digest": str(image.manifest.digest),
        "Index": None if found.index is None else str(found.index),
        "MediaType": image.manifest.media_type,
        "RepoTags": list(found.names),
        "RepoDigests": list(found.digests),
        "Created": image.config.created,
        "Author": image.config.author,
        "Platform": str(image.config.platform),
        "Architecture": value.get("architecture", ""),
        "Variant": value.get("variant", ""),
        "Os": value.get("os", ""),
        "OsVersion": value.get("os.version", ""),
        "Size": _size(image),
        "Config": value.get("config") or {},
        "RootFS": {"Type": "layers", "Layers": [str(one) for one in image.config.diff_ids]},
        "Layers": [
            {"MediaType": one.media_type, "Digest": str(one.digest), "Size": one.size}
            for one in image.layers
        ],
        "History": len(image.config.history),
    }


def _size(image: Image) -> int:
    return image.config_content.size + sum(one.size for one in image.layers)


def text_of(found: Inspected) -> str:
    """Some lines."""
    image, config = found.image, found.image.config
    pairs = [
        *(("Name", name) for name in found.names),
        *(("Digest at", one) for one in found.digests),
        ("Image", str(image.manifest.digest)),
        ("Index", "" if found.index is None else str(found.index)),
        ("Type", image.manifest.media_type),
        ("Platform", str(config.platform)),
        ("Created", f"{config.created} ({age(config.created)})" if config.created else ""),
        ("Author", config.author),
        ("Size", f"{shown.size(_size(image))} in {len(image.layers)} layers"),
        ("User", config.user),
        ("Entrypoint", _words(config.entrypoint)),
        ("Command", _words(config.command)),
        ("Work dir", config.working_dir),
        ("Ports", " ".join(config.exposed_ports)),
        ("Volumes", " ".join(config.volumes)),
        ("Stop signal", config.stop_signal),
        *(("Env", one) for one in config.env),
        *(("Label", f"{key}={value}") for key, value in sorted(config.labels.items())),
        *_layers(image),
    ]
    return "\n".join(f"{key:12} {' '.join(value.split())}" for key, value in pairs if value)


def _layers(image: Image) -> Iterator[tuple[str, str]]:
    for one in image.layers:
        yield "Layer", f"{one.digest}  {shown.size(one.size)}"


def _words(words: tuple[str, ...]) -> str:
    return json.dumps(list(words), ensure_ascii=False) if words else ""
