"""How `kho tree` looks: an index with its images, an image with its layers."""

from dataclasses import asdict, dataclass
from typing import Any

from kho.cli import shown
from kho.cli.reading import Notes, image_of
from kho.client.errors import Missing
from kho.client.images.image import Image
from kho.client.images.tree import ImageTree, LayerTree, Weight, history_commands, image_tree
from kho.client.places import Place
from kho.client.stores.copy import platforms
from kho.oci.errors import RegistryError
from kho.oci.manifest import parse_manifest
from kho.oci.platform import Platform
from kho.remote.errors import Garbled
from kho.remote.manifests import Manifest


@dataclass(frozen=True, slots=True)
class Shape:
    """What of an image's tree is wanted."""

    layer: int | None
    depth: int
    most: int


async def is_index(place: Place) -> bool:
    """Whether a place has many images under the name."""
    manifest = await place.store.manifest(await place.wanted())
    try:
        return parse_manifest(manifest.content, manifest.media_type).is_index
    except RegistryError as error:
        raise Garbled(f"{place.store.name}@{manifest.digest}: {error.message}") from error


async def show_index(place: Place, *, as_json: bool) -> None:
    """Images with their layers and referrers; no layer is read."""
    manifest = await place.store.manifest(await place.wanted())
    images = []
    for platform, digest in platforms(manifest):
        image = await image_of(Place(place.store, str(digest), None), platform)
        images.append((platform, image, await _referrers(place, image.manifest)))
    told = await _referrers(place, manifest)
    if as_json:
        found = [_image_fields(platform, image, more) for platform, image, more in images]
        shown.as_json({"digest": str(manifest.digest), "images": found, "referrers": told})
        return
    shown.line(f"{place.called or place.store.name}@{manifest.digest}")
    _referrer_lines(told, "")
    for at, (platform, image, more) in enumerate(images):
        last = at == len(images) - 1
        total = sum(layer.size for layer in image.layers)
        text = f"{platform}  {_short(image)}  {len(image.layers)} layers, {shown.size(total)}"
        shown.line(f"{'└─' if last else '├─'} {text}")
        indent = "   " if last else "│  "
        _referrer_lines(more, indent)
        for number, layer in enumerate(image.layers):
            command = _cut(history_commands(image)[number])
            size = shown.size(layer.size)
            shown.line(f"{indent} {number:>3}  {layer.digest.hex[:12]}  {size:>10}  {command}")


async def show_image(
    place: Place, platform: Platform | None, shape: Shape, *, as_json: bool
) -> None:
    """Layers with what is large in them, and what is wasted."""
    image = await image_of(place, platform)
    if shape.layer is not None and shape.layer >= len(image.layers):
        raise Missing(f"{image.name} has the layers 0 to {len(image.layers) - 1}")
    tree = await image_tree(image, depth=shape.depth, most=shape.most, told=Notes())
    layers = [one for one in tree.layers if shape.layer in {None, one.number}]
    if as_json:
        shown.as_json(_tree_fields(image, tree, layers))
        return
    stored = shown.size(sum(layer.size for layer in image.layers))
    count, files = len(image.layers), shown.size(tree.files_size)
    shown.line(f"{image.name}")
    shown.line(f"{image.config.platform}, {count} layers, {stored} stored, {files} in files")
    for layer in layers:
        _layer_lines(layer)
    wasted = f"{shown.size(tree.wasted_size)} wasted, efficiency {tree.efficiency:.1%}"
    shown.line()
    shown.line(wasted)
    for one in tree.wasted if shape.layer is None else ():
        shown.line(f"  {shown.size(one.size):>10}  {one.path}  ({one.count}x)")


def _layer_lines(layer: LayerTree) -> None:
    shown.line()
    gone = f", {layer.removed} removed" if layer.removed else ""
    sizes = f"{shown.size(layer.size)} stored, {shown.size(layer.files_size)} in"
    files = shown.counted(layer.files, "file")
    shown.line(f"layer {layer.number}  {layer.digest.hex[:12]}  {sizes} {files}{gone}")
    if layer.command:
        shown.line(f"  {_cut(layer.command)}")
    for one in layer.folders:
        count = shown.counted(one.count, "file")
        shown.line(f"  {shown.size(one.size):>10}  {one.path.rstrip('/')}/  ({count})")
    for one in layer.largest:
        shown.line(f"  {shown.size(one.size):>10}  {one.path}")


def _tree_fields(image: Image, tree: ImageTree, layers: list[LayerTree]) -> dict[str, Any]:
    return {
        "digest": str(image.manifest.digest),
        "platform": str(image.config.platform),
        "size": sum(layer.size for layer in image.layers),
        "filesSize": tree.files_size,
        "wastedSize": tree.wasted_size,
        "efficiency": round(tree.efficiency, 6),
        "layers": [_layer_fields(layer) for layer in layers],
        "wasted": [asdict(one) for one in tree.wasted],
    }


def _layer_fields(layer: LayerTree) -> dict[str, Any]:
    def weights(found: tuple[Weight, ...]) -> list[dict[str, Any]]:
        return [asdict(one) for one in found]

    return {
        "layer": layer.number,
        "digest": str(layer.digest),
        "size": layer.size,
        "tarSize": layer.tar_size,
        "filesSize": layer.files_size,
        "files": layer.files,
        "removed": layer.removed,
        "command": layer.command,
        "folders": weights(layer.folders),
        "largest": weights(layer.largest),
    }


def _image_fields(platform: Platform, image: Image, more: list[dict[str, Any]]) -> dict[str, Any]:
    commands = history_commands(image)
    layers = [
        {"digest": str(layer.digest), "size": layer.size, "command": command}
        for layer, command in zip(image.layers, commands, strict=True)
    ]
    digest = str(image.manifest.digest)
    return {"platform": str(platform), "digest": digest, "layers": layers, "referrers": more}


async def _referrers(place: Place, manifest: Manifest) -> list[dict[str, Any]]:
    found = await place.store.referrers(manifest.digest)
    return [{key: one.get(key) for key in ("digest", "artifactType", "size")} for one in found]


def _referrer_lines(found: list[dict[str, Any]], indent: str) -> None:
    for one in found:
        shown.line(f"{indent}◂─ {one['artifactType'] or 'manifest'}  {one['digest']}")


def _short(image: Image) -> str:
    return image.manifest.digest.hex[:12]


def _cut(command: str, most: int = 90) -> str:
    return command if len(command) <= most else f"{command[: most - 1]}…"
