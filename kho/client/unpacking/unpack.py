"""An image becomes a folder: whole under its name, or not there at all.

    parent/
    ├── .NAME.kho-unpack-XXXXXXXX/     ours alone (0700), locked while we are at work
    │   ├── fetched/                   layers from a registry
    │   └── whole/                     the root file system, or the bundle: rootfs/ and config.json
    └── NAME                           `whole`, renamed when nothing is missing any more

Who is killed leaves the folder with the dot; the next one who unpacks to NAME removes it.
"""

import asyncio
import contextlib
import ctypes
import fcntl
import os
import secrets
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from kho.client.errors import ClientError, Damaged, Misused
from kho.client.images.image import BlobFiles, Image
from kho.client.progress import SILENT, Progress
from kho.client.unpacking.bundle import write_bundle
from kho.client.unpacking.looks import Looks
from kho.client.unpacking.removal import remove
from kho.client.unpacking.rootfs import Rootfs
from kho.client.unpacking.stream import LayerStream, Part
from kho.layers.errors import LayerRefused
from kho.layers.limits import DEFAULT, Limits
from kho.layers.tar import TarReader
from kho.oci.digest import Digest
from kho.oci.manifest import Descriptor

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITABLE: Final = 0o200
_MARK: Final = ".kho-unpack-"


@dataclass(frozen=True, slots=True)
class Choices:
    """How an image is to be unpacked; the limits count all of its layers together."""

    # As somebody who may not give files away or make devices.
    rootless: bool = field(default_factory=lambda: os.geteuid() != 0)
    # Rootless only: the owner of such a program would be us, whoever runs it.
    keep_setuid: bool = False
    bundle: bool = False
    limits: Limits = DEFAULT
    # Whether the files must be on disk before the folder gets its name.
    sync: bool = True


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What became of it."""

    folder: Path
    digest: Digest
    layers: int
    # Of all layers, whiteouts included.
    entries: int
    # Of all files that were written, holes included.
    size: int
    rootless: bool
    # Extended attributes by name, with the number of entries that had them.
    attributes_left_out: dict[str, int]
    setuid_removed: int
    devices_left_empty: int


async def unpack(
    image: Image,
    folder: Path,
    choices: Choices | None = None,
    *,
    told: Progress = SILENT,
    parallel: int = 4,
) -> Unpacked:
    """Unpack an image to a folder that does not exist or is empty.

    Raises Misused for a folder that is in use, Damaged, LayerRefused, ClientError, or what the
    source raises; then nothing is left of it.
    """
    choices = choices or Choices()
    with _Site(folder) as site:
        parts = [
            Part(content, diff_id, Future())
            for content, diff_id in zip(image.layers, image.config.diff_ids, strict=True)
        ]
        files = BlobFiles(image.source, site.path / "fetched", told=told, parallel=parallel)
        fetching = [asyncio.create_task(_fetch(files, part)) for part in parts]
        stream = LayerStream(parts, choices.limits)
        work = asyncio.create_task(asyncio.to_thread(_build, site, stream, image, choices))
        try:
            return await asyncio.shield(work)
        finally:
            stream.stop()
            for task, part in zip(fetching, parts, strict=True):
                task.cancel()
                part.file.cancel()
            await asyncio.gather(*fetching, return_exceptions=True)
            with contextlib.suppress(Exception):
                await work


async def _fetch(files: BlobFiles, part: Part) -> None:
    """Get one layer's file; who waits for it hears of the failure."""
    try:
        part.file.set_result(await files.path(part.content))
    except asyncio.CancelledError:
        part.file.cancel()
        raise
    except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
        part.file.set_exception(error)


def _build(site: "_Site", stream: LayerStream, image: Image, choices: Choices) -> Unpacked:
    looks = Looks(choices.rootless, choices.keep_setuid)
    try:
        where = site.make(bundle=choices.bundle)
        fd = os.open(where, _FOLDER)
        try:
            rootfs = Rootfs(fd, looks, choices.limits)
            for content in image.layers:
                _apply(rootfs, stream, content, choices.limits)
            if choices.bundle:
                write_bundle(site.whole, rootfs, image.config, rootless=choices.rootless)
            rootfs.finish()
            rootfs.close()
            if choices.sync:
                _sync(fd)
            site.rename(fd)
        finally:
            os.close(fd)
    except LayerRefused as error:
        raise LayerRefused(f"{image.name}: {error}") from error
    except Damaged as error:
        raise Damaged(f"{image.name}: {error}") from error
    except OSError as error:
        raise ClientError(f"{site.target}: {error.strerror}") from error
    finally:
        stream.close()
    return Unpacked(
        site.target,
        image.manifest.digest,
        len(image.layers),
        rootfs.count,
        rootfs.size,
        choices.rootless,
        dict(sorted(looks.left_out.items())),
        looks.setuid_removed,
        rootfs.stand_ins,
    )


def _apply(rootfs: Rootfs, stream: LayerStream, content: Descriptor, limits: Limits) -> None:
    layer = TarReader(stream, limits)
    try:
        rootfs.apply(layer)
        layer.drain()
    except LayerRefused as error:
        stream.verdict()
        raise LayerRefused(f"layer {content.digest}: {error}") from error
    stream.next_layer()


def _sync(fd: int) -> None:
    """Have all of the file system on disk: a rename could outlive what it names."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.syncfs(fd):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class _Site:
    """The folder beside the target where it is made; removed in the end, whatever happens."""

    def __init__(self, folder: Path) -> None:
        self.target = Path(os.path.realpath(folder))
        self._mark = f".{self.target.name}{_MARK}"
        self._parent = -1
        self._lock = -1

    def __enter__(self) -> Self:
        try:
            self.target.parent.mkdir(parents=True, exist_ok=True)
            self._parent = os.open(self.target.parent, _FOLDER)
            self._clean()
            self._check()
            self.path = self._make()
        except OSError as error:
            self._close()
            raise ClientError(f"{self.target}: {error.strerror}") from error
        except ClientError:
            self._close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            remove(self._parent, os.fsencode(self.path.name))
        finally:
            self._close()

    def _close(self) -> None:
        for fd in (self._parent, self._lock):
            if fd >= 0:
                os.close(fd)

    def _check(self) -> None:
        try:
            inside = os.listdir(self.target)
        except FileNotFoundError:
            return
        except NotADirectoryError:
            raise Misused(f"{self.target} is no folder") from None
        if inside:
            raise Misused(f"{self.target} is not empty: unpack into a new or an empty folder")

    def _clean(self) -> None:
        """Remove what killed runs have left: nobody holds the lock any more."""
        for name in os.listdir(self._parent):
            if name.startswith(self._mark):
                with contextlib.suppress(OSError):
                    self._clean_one(name)

    def _clean_one(self, name: str) -> None:
        fd = os.open(name, _FOLDER, dir_fd=self._parent)
        try:
            if os.fstat(fd).st_uid == os.geteuid():
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove(self._parent, os.fsencode(name))
        finally:
            os.close(fd)

    def _make(self) -> Path:
        while True:
            name = f"{self._mark}{secrets.token_hex(4)}"
            os.mkdir(name, 0o700, dir_fd=self._parent)
            fd = os.open(name, _FOLDER, dir_fd=self._parent)
            fcntl.flock(fd, fcntl.LOCK_EX)
            if os.fstat(fd).st_nlink:  # else another run took it for a leftover before the lock
                self._lock = fd
                return self.target.parent / name
            os.close(fd)

    def make(self, *, bundle: bool) -> Path:
        """Make the empty root folder, and say where it is."""
        self.whole = self.path / "whole"
        self.whole.mkdir(mode=0o700)
        if not bundle:
            return self.whole
        root = self.whole / "rootfs"
        root.mkdir(mode=0o700)
        return root

    def rename(self, fd: int) -> None:
        """Give it its name; `fd` is the root folder's."""
        mode = os.fstat(fd).st_mode & 0o7777
        if mode & _WRITABLE:
            os.rename(self.whole, self.target)
        else:  # a folder that gets another parent must be writable for us
            os.fchmod(fd, mode | _WRITABLE)
            os.rename(self.whole, self.target)
            os.fchmod(fd, mode)
        os.fsync(self._parent)
