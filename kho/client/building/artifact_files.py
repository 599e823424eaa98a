"""The files of an artifact, put into a folder and nowhere else.

Names come from whoever pushed it: each is checked before anything is fetched, every folder on the
way is opened without following links, and a file gets its name when it is whole and verified.
"""

import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kho.client.building.artifact import EMPTY_TYPE, TITLE, UNPACK
from kho.client.errors import ClientError, Damaged, Misused
from kho.client.progress import SILENT, Outcome, Progress
from kho.client.stores.steady import steady
from kho.client.stores.store import Source
from kho.layers.errors import shown
from kho.oci.errors import RegistryError
from kho.oci.hashing import new_hasher
from kho.oci.manifest import Descriptor, parse_manifest
from kho.oci.strict_json import parse_object
from kho.remote.manifests import Manifest

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PATH: Final = 4096
_NAME: Final = 255
# What Windows takes for devices, with any extension; no name that one would miss.
_DEVICES: Final = frozenset(
    {
        "con",
        "prn",
        "aux",
        "nul",
        *(f"{one}{digit}" for one in ("com", "lpt") for digit in range(10)),
    }
)


@dataclass(frozen=True, slots=True)
class Content:
    """One file of an artifact."""

    content: Descriptor
    title: tuple[str, ...]

    @property
    def name(self) -> str:
        """Below the folder."""
        return "/".join(self.title)


def contents(
    manifest: Manifest, name: str, note: Callable[[str], object] = lambda _: None
) -> list[Content]:
    """The files that an artifact has; `note` hears of content without a name.

    Raises Misused for an index, Damaged for names that lead elsewhere, or name one file twice.
    """
    try:
        parsed = parse_manifest(manifest.content, manifest.media_type)
    except RegistryError as error:
        raise Damaged(f"{name}: {error.message}") from error
    if parsed.is_index:
        raise Misused(f"{name} is an index; an artifact is one manifest: name it by its digest")
    layers: Any = parse_object(manifest.content)["layers"]
    found: dict[tuple[str, ...], Content] = {}
    for content, layer in zip(parsed.references[1:], layers, strict=True):
        annotations = layer.get("annotations") or {}
        title = annotations.get(TITLE)
        if content.media_type == EMPTY_TYPE and not title:
            continue
        if not isinstance(title, str) or not title:
            note(f"left out: {content.digest} ({content.media_type}) has no name")
            continue
        if annotations.get(UNPACK) == "true":
            title = f"{title.rstrip('/')}.tar.gz"
            note(f"{title}: a folder; kept packed")
        path = safe_path(title, name)
        if path in found:
            raise Damaged(f"{name}: two files are called {shown(title.encode())}")
        found[path] = Content(content, path)
    for path in found:
        if any(path[:depth] in found for depth in range(1, len(path))):
            raise Damaged(f"{name}: {shown('/'.join(path).encode())} is in a file, not in a folder")
    return list(found.values())


def safe_path(title: str, name: str) -> tuple[str, ...]:
    """The components of a title; Damaged for one that is no plain relative path."""
    parts = tuple(title.split("/"))
    bad = (
        not title.isprintable()
        or "\\" in title
        or len(title.encode()) > _PATH
        or any(part in ("", ".", "..") or len(part.encode()) > _NAME for part in parts)
        or any(part.partition(".")[0].strip().lower() in _DEVICES for part in parts)
        or (len(parts[0]) > 1 and parts[0][1] == ":")
    )
    if bad:
        text = shown(title.encode("utf-8", "replace"))
        raise Damaged(f"{name}: a file is called {text}: allowed are paths below the folder")
    return parts


async def fetch(
    source: Source,
    files: Sequence[Content],
    folder: Path,
    *,
    force: bool = False,
    told: Progress = SILENT,
) -> None:
    """Put the files into a folder, made if need be; none is written over unless by `force`.

    Raises Misused for a file that is there, before anything is fetched; ClientError, RemoteError.
    """
    os.makedirs(folder, exist_ok=True)
    root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for one in files:
            with suppress(FileNotFoundError), _parent(root, one, make=False) as parent:
                _check(parent, one, folder, force=force)
        for one in files:
            with _parent(root, one, make=True) as parent:
                await _one(source, one, parent, folder, force=force, told=told)
    finally:
        os.close(root)


@contextmanager
def _parent(root: int, file: Content, *, make: bool) -> Iterator[int]:
    """The folder that a file goes to."""
    fd = os.dup(root)
    try:
        for name in file.title[:-1]:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(name, dir_fd=fd)
            try:
                deeper = os.open(name, _FOLDER, dir_fd=fd)
            except (NotADirectoryError, OSError) as error:
                if isinstance(error, FileNotFoundError):
                    raise
                raise Misused(
                    f"{file.name}: {name} is there and is no folder: nothing was written"
                ) from error
            os.close(fd)
            fd = deeper
        yield fd
    finally:
        os.close(fd)


def _check(parent: int, file: Content, folder: Path, *, force: bool) -> None:
    try:
        os.stat(file.title[-1], dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not force:
        raise Misused(f"{folder / file.name} is there already; --force writes over it")


async def _one(
    source: Source, file: Content, parent: int, folder: Path, *, force: bool, told: Progress
) -> None:
    part = f".kho-{secrets.token_hex(8)}"
    told.begin(file.content)
    fd = os.open(part, _NEW, 0o666, dir_fd=parent)
    try:
        hasher = new_hasher(file.content.digest.algorithm)
        async with aclosing(steady(source, file.content, hasher, 0, told)) as pieces:
            async for piece in pieces:
                _write(fd, piece)
        os.fsync(fd)
        if force:
            os.replace(part, file.title[-1], src_dir_fd=parent, dst_dir_fd=parent)
        else:
            os.link(part, file.title[-1], src_dir_fd=parent, dst_dir_fd=parent)
    except FileExistsError as error:
        raise Misused(f"{folder / file.name} is there already; --force writes over it") from error
    except IsADirectoryError as error:
        raise ClientError(f"{folder / file.name} is a folder") from error
    finally:
        os.close(fd)
        with suppress(FileNotFoundError):
            os.unlink(part, dir_fd=parent)
    told.end(file.content, Outcome.COPIED)


def _write(fd: int, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[os.write(fd, view) :]
