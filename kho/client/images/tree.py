"""What the layers of an image have in them: large folders and files, and bytes that nobody sees.

A file of a layer is wasted where an upper layer has the same name again, or takes it away: its
bytes are pulled and stored, and no container sees them.
"""

import asyncio
import heapq
import os
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from kho.client.images.files import ImageFiles
from kho.client.images.files_index import LayerIndex, Parts
from kho.client.images.files_view import View
from kho.client.images.image import Image
from kho.client.progress import SILENT, Progress
from kho.layers.tar import Kind
from kho.oci.digest import Digest

MOST: Final = 10


@dataclass(frozen=True, slots=True)
class Weight:
    """A path and its bytes; of a folder with all that is in it. `count` is of files."""

    path: str
    size: int
    count: int


@dataclass(frozen=True, slots=True)
class LayerTree:
    """One layer. `size` is compressed, as it is stored; `tar_size` the tar's, `files_size` content.

    `folders` are at the wanted depth; both lists begin with the largest.
    """

    number: int
    digest: Digest
    size: int
    tar_size: int
    files_size: int
    files: int
    removed: int
    command: str
    folders: tuple[Weight, ...]
    largest: tuple[Weight, ...]


@dataclass(frozen=True, slots=True)
class ImageTree:
    """All layers; `files_size` is what all of them have, `visible` what a container sees."""

    layers: tuple[LayerTree, ...]
    files_size: int
    visible: int
    # By name, the worst first: `count` is in how many layers it is wasted.
    wasted: tuple[Weight, ...]

    @property
    def wasted_size(self) -> int:
        """Bytes of files that no container sees."""
        return self.files_size - self.visible

    @property
    def efficiency(self) -> float:
        """The part that a container sees, 1.0 is all."""
        return self.visible / self.files_size if self.files_size else 1.0


async def image_tree(
    image: Image, *, depth: int = 2, most: int = MOST, told: Progress = SILENT
) -> ImageTree:
    """Read all layers; folders `depth` components deep, the `most` largest of each list."""
    files = ImageFiles(image, told)
    view = await files.view()
    indexes = [await files.index(number) for number in range(len(image.layers))]
    return await asyncio.to_thread(_tree, image, indexes, view, depth, most)


def _tree(image: Image, indexes: list[LayerIndex], view: View, depth: int, most: int) -> ImageTree:
    seen = {(node.layer, node.item.number) for _, node in view.walk() if node.item is not None}
    wasted: dict[Parts, list[int]] = defaultdict(list)
    visible = stored = 0
    for number, index in enumerate(indexes):
        for item in index.items:
            if item.gone is not None or item.entry.kind is not Kind.FILE:
                continue
            stored += item.entry.size
            if (number, item.number) in seen:
                visible += item.entry.size
            elif item.entry.size:
                wasted[item.path].append(item.entry.size)
    commands = history_commands(image)
    layers = [
        _layer(image, number, index, commands[number], depth, most)
        for number, index in enumerate(indexes)
    ]
    weights = (Weight(_name(path), sum(sizes), len(sizes)) for path, sizes in wasted.items())
    return ImageTree(tuple(layers), stored, visible, _largest(weights, most))


def _layer(
    image: Image, number: int, index: LayerIndex, command: str, depth: int, most: int
) -> LayerTree:
    sizes: Counter[Parts] = Counter()
    counts: Counter[Parts] = Counter()
    files = []
    removed = 0
    for item in index.items:
        if item.gone is not None:
            removed += 1
        elif item.entry.kind is Kind.FILE:
            folder = item.path[:-1][:depth]
            sizes[folder] += item.entry.size
            counts[folder] += 1
            files.append(item)
    content = image.layers[number]
    folders = (Weight(_name(path), size, counts[path]) for path, size in sizes.items())
    return LayerTree(
        number,
        content.digest,
        content.size,
        index.size,
        sum(sizes.values()),
        len(files),
        removed,
        command,
        _largest(folders, most),
        _largest((Weight(_name(one.path), one.entry.size, 1) for one in files), most),
    )


def history_commands(image: Image) -> list[str]:
    """What made each layer, as far as the config tells; empty where it does not."""
    made = [one for one in image.config.history if one.get("empty_layer") is not True]
    if len(made) != len(image.layers):
        return [""] * len(image.layers)
    told = [one.get("created_by") for one in made]
    return [" ".join(one.split()) if isinstance(one, str) else "" for one in told]


def _largest(weights: Iterable[Weight], most: int) -> tuple[Weight, ...]:
    return tuple(heapq.nsmallest(most, weights, key=lambda one: (-one.size, one.path)))


def _name(path: Parts) -> str:
    return "/" + os.fsdecode(b"/".join(path))
