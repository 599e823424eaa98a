"""The files of an image without unpacking it: look one up, read it, list them all.

    top layer ─► index of its entries ─► is the path settled? ─► the one layer that has its content
                        ▲                        │ no
                        └──── next layer down ◄──┘

Layers are read through to their end, whole and verified, before anything of them is believed; they
are kept nowhere. Entries take some 500 bytes of memory each, and there may be a million.
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from kho.client.errors import Missing, Misused
from kho.client.images.files_index import (
    ENTRIES,
    Item,
    Keep,
    LayerIndex,
    Parts,
    copy_content,
    index_layer,
    nothing,
)
from kho.client.images.files_view import Node, Unsure, View
from kho.client.images.image import Image
from kho.client.images.layer_stream import through
from kho.client.progress import SILENT, Progress
from kho.layers.errors import LayerRefused, shown
from kho.layers.names import components
from kho.layers.tar import Kind
from kho.oci.digest import Digest
from kho.oci.manifest import Descriptor
from kho.oci.reference import ReferenceInvalid

# Layers at a time, where all are wanted.
PARALLEL: Final = 3
_KEPT: Final = 4 << 20
_IN_MEMORY: Final = 8 << 20
_PIECE: Final = 1 << 20
_PLACES: Final = (
    "docker://",
    "oci:",
    "local:",
    "docker-archive:",
    "oci-archive:",
    "docker-daemon:",
)


@dataclass(frozen=True, slots=True)
class FileInfo:
    """One name in an image. `path` begins with `/`; bytes that are no UTF-8 are surrogates."""

    path: str
    kind: Kind
    # Permission bits alone.
    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    # Where a symbolic link leads.
    link: str
    # The layer that has the content, 0 is the lowest.
    layer: int
    # SHA-256 of the content of a file, where it was asked for.
    digest: str = ""

    @classmethod
    def of(cls, path: Parts, node: Node) -> "FileInfo":
        """Of a node of a view."""
        name = "/" + os.fsdecode(b"/".join(path))
        if node.item is None:
            return cls(name, Kind.DIRECTORY, 0o755, 0, 0, 0, 0, "", node.layer)
        entry, sha256 = node.item.entry, node.item.sha256
        link = os.fsdecode(entry.link) if entry.kind is Kind.SYMLINK else ""
        return cls(
            name,
            entry.kind,
            entry.mode,
            entry.uid,
            entry.gid,
            entry.size if entry.kind is Kind.FILE else 0,
            entry.mtime_ns,
            link,
            node.layer,
            f"sha256:{sha256.hex()}" if sha256 else "",
        )


@dataclass
class ImageFiles:
    """An image whose layers are read when they are needed, and remembered as entries alone.

    `known` may be shared by images that have layers in common.
    """

    image: Image
    told: Progress = SILENT
    hashed: bool = False
    known: dict[Digest, LayerIndex] = field(default_factory=dict)
    # Whose content is kept when it comes along, as it will be wanted.
    keep: Keep = nothing
    _view: View | None = field(default=None, init=False)

    async def index(self, number: int) -> LayerIndex:
        """The entries of a layer, 0 is the lowest."""
        content = self.image.layers[number]
        found = self.known.get(content.digest)
        if found is None:
            work = partial(index_layer, hashed=self.hashed, keep=self.keep)
            found = await through(self.image.source, content, work, self.told)
            if sum(len(one.items) for one in self.known.values()) + len(found.items) > ENTRIES:
                raise LayerRefused(
                    f"{self.image.name}: the layers have more than {ENTRIES} entries"
                )
            self.known[content.digest] = found
        return found

    async def view(self, first: int = 0) -> View:
        """The layers from `first` on, on top of each other; all by default."""
        if self._view is None or self._view.first != first:
            places = asyncio.Semaphore(PARALLEL)

            async def index(number: int) -> LayerIndex:
                async with places:
                    return await self.index(number)

            numbers = range(first, len(self.image.layers))
            wanted = {self.image.layers[one].digest: one for one in numbers}
            try:
                async with asyncio.TaskGroup() as group:
                    for number in wanted.values():
                        group.create_task(index(number))
            except ExceptionGroup as failed:
                raise _first(failed) from failed
            layers = [await self.index(one) for one in numbers]
            try:
                self._view = await asyncio.to_thread(View, layers, first)
            except LayerRefused as error:
                raise LayerRefused(f"{self.image.name}: {error}") from error
        return self._view

    async def find(self, path: str, *, follow: bool = True) -> Node:
        """What a path leads to, links followed inside the image; layers are read as needed.

        Raises Missing, LoopingLinks, LayerRefused.
        """
        wanted = components(os.fsencode(path))
        if self.keep is nothing and wanted:
            # A link to a file often has its name: /etc/os-release, /usr/lib/os-release.
            self.keep = partial(_is_named, wanted[-1])
        first = self._view.first if self._view is not None else len(self.image.layers)
        while True:
            try:
                view = await self.view(first)
                if first and (view.unsure or not wanted):
                    raise Unsure("a lower layer may lead there")
                found = view.find(wanted, follow=follow)
            except Unsure:
                first -= 1
                continue
            if found is None:
                raise Missing(f"{self.image.name} has no {shown(os.fsencode(path))}")
            return found

    async def read(self, node: Node) -> AsyncIterator[bytes]:
        """The content of a file, in pieces; nothing comes before all of it was verified."""
        item = node.item
        assert item is not None
        content = self.image.layers[node.layer]
        kept = self.known[content.digest].kept.get(item.number)
        if kept is not None:
            yield kept
        elif item.entry.size:
            async for piece in _spooled(self.image, content, item, self.told):
                yield piece


async def read_file(
    image: Image, path: str, *, files: ImageFiles | None = None, told: Progress = SILENT
) -> AsyncIterator[bytes]:
    """The content of a file in an image, symbolic links followed inside it.

    Raises Missing; Misused for what is no regular file. `files` remembers for the next one.
    """
    files = files or ImageFiles(image, told)
    node = await files.find(path)
    if node.kind is not Kind.FILE:
        kind, name = node.kind.value, shown(os.fsencode(path))
        raise Misused(f"{image.name}: {name} is a {kind}; what has content is a file")
    async for piece in files.read(node):
        yield piece


async def list_files(
    image: Image, *, hashed: bool = False, told: Progress = SILENT
) -> Iterator[FileInfo]:
    """Every file of an image, by path; with the digest of its content where `hashed`."""
    view = await ImageFiles(image, told, hashed).view()
    return (FileInfo.of(path, node) for path, node in view.walk())


def split_path(text: str) -> tuple[str, str | None]:
    """`REF:/path` as reference and path; the path is None where there is none.

    Neither a port nor a tag begins with `/`, so the first `:/` behind the name of a place divides.
    """
    prefix = next((one for one in _PLACES if text.startswith(one)), "")
    name, colon, path = text.removeprefix(prefix).partition(":/")
    if not name and colon:
        raise ReferenceInvalid(f"{text!a:.300} names no image: expected REF:/path")
    return prefix + name, f"/{path}" if colon else None


def _is_named(name: bytes, path: Parts, size: int) -> bool:
    return path[-1] == name and size <= _KEPT


async def _spooled(
    image: Image, content: Descriptor, item: Item, told: Progress
) -> AsyncIterator[bytes]:
    """One entry of a layer, by way of a nameless file."""
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as spool:
        work = partial(copy_content, number=item.number, write=spool.write)
        await through(image.source, content, work, told)
        spool.seek(0)
        while piece := spool.read(_PIECE):
            yield piece


def _first(group: ExceptionGroup) -> Exception:
    error: Exception = group
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
