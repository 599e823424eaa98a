"""All layers of an image as one that has what they make together.

    layers ─► spools ─┬─► headers ─► FlatTree: which entry is where at the end     first reading
                      └─► entries that are left, layer by layer ─► TarWriter       second reading

Folders go first; a file is followed by its other names at once, so that no link is before its file.
"""

import hashlib
import os
import threading
from contextlib import ExitStack, aclosing
from dataclasses import replace
from typing import Any

from kho.client.archives.spool import Spool
from kho.client.building.built import Built
from kho.client.building.draft import Draft
from kho.client.building.flat_tree import FlatTree
from kho.client.building.layer_file import LayerMaker, Stopped, in_thread
from kho.client.building.rewrite import Rewriter
from kho.client.errors import Damaged, Misused
from kho.client.images.image import Image
from kho.client.progress import SILENT, Outcome, Progress
from kho.client.stores.layout import Layout
from kho.client.stores.steady import steady
from kho.client.stores.store import Source
from kho.layers.compression import Compression, decompressed
from kho.layers.errors import LayerRefused
from kho.layers.tar import TarReader
from kho.layers.tar_header import Entry, Kind
from kho.layers.writer import TarWriter
from kho.oci.digest import Digest
from kho.oci.hashing import new_hasher
from kho.oci.manifest import Descriptor
from kho.oci.platform import Platform
from kho.remote.manifests import Manifest


class Flattener:
    """Makes one layer of many; `with` gives up what it holds of them."""

    def __init__(
        self, compression: Compression = Compression.GZIP, told: Progress = SILENT
    ) -> None:
        self._compression = compression
        self._told = told
        self._stack = ExitStack()

    def close(self) -> None:
        """Give the layers back that it made."""
        self._stack.close()

    async def run(
        self, source: Source, target: str, platform: Platform | None = None
    ) -> tuple[Built, Manifest]:
        """Flatten an image, or all images of an index.

        Raises LayerRefused, Damaged, and what reading them raises.
        """
        built = Built(source)

        async def edit(image: Image, draft: Draft) -> None:
            if len(image.layers) > 1:
                await self._edit(image, draft, built)

        return built, await Rewriter(source, built, edit, told=self._told).run(target, platform)

    async def _edit(self, image: Image, draft: Draft, built: Built) -> None:
        made = self._stack.enter_context(LayerMaker(self._compression))
        with ExitStack() as stack:
            files = [await self._file(image, one, stack) for one in image.layers]
            work = _Work(files, image.config.diff_ids, made)
            try:
                await in_thread(work.run, work.stop)
            except LayerRefused as error:
                raise LayerRefused(f"{image.name}: {error}") from error
            except Damaged as error:
                raise Damaged(f"{image.name}: {error}") from error
        told: dict[str, Any] = {"created": image.config.created} if image.config.created else {}
        draft.set_layers([], [], [])
        comment = f"{len(image.layers)} layers of {image.manifest.digest}"
        draft.add_layer(made, {**told, "created_by": "kho flatten", "comment": comment})
        built.add_layer(made)

    async def _file(self, image: Image, content: Descriptor, stack: ExitStack) -> int:
        """A layer as an open file: a layout's own, else one without a name."""
        if not content.required:
            text = f"{content.digest} is a layer that registries do not hand out"
            raise Misused(f"{image.name}: {text} ({content.media_type})")
        if isinstance(image.source, Layout) and image.source.holds(content):
            return stack.enter_context(image.source.path(content.digest).open("rb")).fileno()
        spool = Spool()
        stack.callback(spool.close)
        self._told.begin(content)
        hasher = new_hasher(content.digest.algorithm)
        async with aclosing(steady(image.source, content, hasher, 0, self._told)) as pieces:
            async for piece in pieces:
                spool.write(piece)
        self._told.end(content, Outcome.COPIED)
        return spool.fileno()


class _Work:
    """Both readings, in a thread."""

    def __init__(self, files: list[int], diff_ids: tuple[Digest, ...], made: LayerMaker) -> None:
        self._files = files
        self._diff_ids = diff_ids
        self._made = made
        self._stop = threading.Event()

    def stop(self) -> None:
        self._stop.set()
        self._made.stop()

    def run(self) -> None:
        tree = FlatTree()
        for number in range(len(self._files)):
            tree.apply(number, self._entries(number))
        writer = TarWriter(self._made.write)
        for folder in tree.folders():
            writer.add(folder)
        for number, names in sorted(tree.files().items()):
            self._write(number, names, writer)
        writer.close()
        self._made.finish()

    def _entries(self, number: int) -> list[Entry]:
        """The headers of a layer, which is found to be what the config says."""
        tar = _Tar(self._files[number], self._stop, self._diff_ids[number].algorithm)
        reader = TarReader(tar)
        found = list(reader)
        reader.drain()
        if tar.hexdigest() != self._diff_ids[number].hex:
            raise Damaged(f"layer {number + 1} uncompressed is not {self._diff_ids[number]}")
        return found

    def _write(self, number: int, names: dict[int, list[bytes]], writer: TarWriter) -> None:
        last = max(names)
        reader = TarReader(_Tar(self._files[number], self._stop, None))
        for index, entry in enumerate(reader):
            paths = names.get(index)
            if paths is not None:
                first, *others = paths
                content = reader if entry.kind is Kind.FILE else None
                writer.add(replace(entry, path=first), content)
                for one in others:
                    writer.add(replace(entry, path=one, kind=Kind.HARDLINK, size=0, link=first))
            if index == last:
                return


class _Tar:
    """The tar in a file, from its beginning, hashed if it is to be."""

    def __init__(self, fd: int, stop: threading.Event, algorithm: str | None) -> None:
        self._fd = fd
        self._at = 0
        self._stop = stop
        self._hasher = None if algorithm is None else hashlib.new(algorithm)
        self._tar = decompressed(_Stored(self))

    def stored(self, count: int) -> bytes:
        if self._stop.is_set():
            raise Stopped("interrupted")
        piece = os.pread(self._fd, count, self._at)
        self._at += len(piece)
        return piece

    def read(self, count: int, /) -> bytes:
        piece = self._tar.read(count)
        if self._hasher is not None:
            self._hasher.update(piece)
        return piece

    def hexdigest(self) -> str:
        return "" if self._hasher is None else self._hasher.hexdigest()


class _Stored:
    """Its bytes as they are stored."""

    def __init__(self, tar: _Tar) -> None:
        self._tar = tar

    def read(self, count: int, /) -> bytes:
        return self._tar.stored(count)
