"""A folder becomes a tar: the same bytes from the same content, wherever and whenever.

    folder ─► names in the order of their bytes ─► entries: owner, time, mode as chosen ─► TarWriter
              └─ held by descriptors: a link is packed, never followed

Times, owners, the order of names and this process's umask leave no trace; modes do, unless NORMAL.
"""

import os
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final, Protocol

from kho.client.building.exclusion import Exclusion
from kho.client.errors import ClientError, Misused
from kho.layers.errors import shown
from kho.layers.names import components
from kho.layers.tar_header import Entry, Kind
from kho.layers.writer import TarWriter

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without blocking: what was a file a moment ago may be a pipe now.
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_PARENT_MODE: Final = 0o755
# Folders whose mode everybody relies on.
_OPEN: Final = {(b"tmp",): 0o1777, (b"var", b"tmp"): 0o1777}
_WHITEOUT: Final = b".wh."
_NANO: Final = 10**9
# Of others, security.selinux and ACLs belong to this machine; trusted.* to root alone.
_KEPT: Final = ("user.", "security.capability")
_KINDS: Final = {
    stat.S_IFDIR: Kind.DIRECTORY,
    stat.S_IFREG: Kind.FILE,
    stat.S_IFLNK: Kind.SYMLINK,
    stat.S_IFIFO: Kind.FIFO,
    stat.S_IFCHR: Kind.CHARACTER,
    stat.S_IFBLK: Kind.BLOCK,
}


class Modes(Enum):
    """What becomes of the permissions."""

    KEEP = "keep"
    # 0755 for folders and what anybody may execute, 0644 for the rest.
    NORMAL = "normal"


@dataclass(frozen=True, slots=True)
class Packing:
    """How a folder is packed."""

    # Where in the image it goes; empty is its root.
    prefix: str = ""
    exclude: Sequence[str] = ()
    # (uid, gid); None keeps those of the files.
    owner: tuple[int, int] | None = (0, 0)
    modes: Modes = Modes.KEEP
    # In seconds since 1970; later ones become this. None keeps them.
    latest: int | None = 0
    xattrs: bool = False

    @property
    def where(self) -> str:
        """Where in the image, from its root on."""
        return "/" + self.prefix.strip("/")


class Tar(Protocol):
    """Takes a tar, as LayerMaker does."""

    def write(self, piece: bytes, /) -> object:
        """The next bytes."""

    def finish(self) -> None:
        """There are no more."""


def pack_folder(
    folder: Path,
    tar: Tar,
    packing: Packing | None = None,
    note: Callable[[str], object] = lambda _: None,
) -> None:
    """Write the folder as tar; `note` hears what was left out. Blocks: for a thread.

    Raises ClientError for files that change meanwhile or cannot be read; Misused for names that
    would mean something else in a layer.
    """
    chosen = packing or Packing()
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Misused(f"{folder}: {error.strerror}: expected a folder") from error
    try:
        _Packer(folder, TarWriter(tar.write), tar, chosen, note).run(fd)
    finally:
        os.close(fd)


class _Packer:
    def __init__(
        self,
        folder: Path,
        writer: TarWriter,
        tar: Tar,
        packing: Packing,
        note: Callable[[str], object],
    ) -> None:
        self._folder = folder
        self._writer = writer
        self._tar = tar
        self._packing = packing
        self._note = note
        self._excluded = Exclusion(packing.exclude)
        self._prefix = components(os.fsencode(packing.prefix))
        # Files of several names: where the first of them is.
        self._linked: dict[tuple[int, int], bytes] = {}

    def run(self, fd: int) -> None:
        for depth in range(1, len(self._prefix)):
            at = self._prefix[:depth]
            mode = _OPEN.get(at, _PARENT_MODE)
            self._writer.add(Entry(b"/".join(at) + b"/", Kind.DIRECTORY, mode))
        if self._prefix:  # else it would change the root of the image below
            self._writer.add(self._entry((), os.fstat(fd), Kind.DIRECTORY))
        self._below(fd, ())
        self._writer.close()
        self._tar.finish()

    def _below(self, fd: int, path: tuple[bytes, ...]) -> None:
        """What a folder holds, folder by folder."""
        for name in sorted(map(os.fsencode, os.listdir(fd))):
            here = (*path, name)
            try:
                found = os.stat(name, dir_fd=fd, follow_symlinks=False)
                is_folder = stat.S_ISDIR(found.st_mode)
                if self._excluded.has(b"/".join(here), is_folder=is_folder):
                    continue
                if name.startswith(_WHITEOUT):
                    raise Misused(
                        f"{self._shown(here)}: in a layer this name deletes files of the layers"
                        " below; leave it out with --exclude"
                    )
                self._one(fd, here, found)
            except FileNotFoundError as error:
                raise self._changed(here, "is gone") from error
            except OSError as error:
                raise ClientError(f"{self._shown(here)}: {error.strerror}") from error

    def _one(self, fd: int, path: tuple[bytes, ...], found: os.stat_result) -> None:
        kind = _KINDS.get(stat.S_IFMT(found.st_mode))
        if kind is None:
            self._note(f"left out: {self._shown(path)}, a socket")
            return
        if kind is not Kind.DIRECTORY and found.st_nlink > 1:
            first = self._linked.setdefault((found.st_dev, found.st_ino), self._path(path))
            if first != self._path(path):
                self._writer.add(self._entry(path, found, Kind.HARDLINK, link=first))
                return
        if kind is Kind.FILE:
            self._file(fd, path, found)
        elif kind is Kind.DIRECTORY:
            own = os.open(path[-1], _FOLDER, dir_fd=fd)
            try:
                self._writer.add(self._entry(path, found, kind, xattrs=self._xattrs(own)))
                self._below(own, path)
            finally:
                os.close(own)
        else:
            link = os.fsencode(os.readlink(path[-1], dir_fd=fd)) if kind is Kind.SYMLINK else b""
            self._writer.add(self._entry(path, found, kind, link=link))

    def _file(self, fd: int, path: tuple[bytes, ...], found: os.stat_result) -> None:
        own = os.open(path[-1], _FILE, dir_fd=fd)
        with os.fdopen(own, "rb", buffering=0) as file:
            before = os.fstat(own)
            if _identity(before) != _identity(found):
                raise self._changed(path, "was replaced")
            content = _Exactly(file.read, found.st_size)
            entry = self._entry(path, before, Kind.FILE, xattrs=self._xattrs(own))
            self._writer.add(entry, content)
            if content.left or file.read(1) or _moment(os.fstat(own)) != _moment(before):
                raise self._changed(path, "was written to")

    def _entry(
        self,
        path: tuple[bytes, ...],
        found: os.stat_result,
        kind: Kind,
        *,
        link: bytes = b"",
        xattrs: dict[bytes, bytes] | None = None,
    ) -> Entry:
        packing = self._packing
        mode = stat.S_IMODE(found.st_mode)
        if packing.modes is Modes.NORMAL:
            executable = stat.S_ISDIR(found.st_mode) or mode & 0o111
            mode = 0o755 if executable else 0o644
        if stat.S_ISLNK(found.st_mode):
            mode = 0o777  # it has none; some systems tell one
        uid, gid = packing.owner or (found.st_uid, found.st_gid)
        time = found.st_mtime_ns
        if packing.latest is not None:
            time = min(max(time, 0), packing.latest * _NANO)
        device = found.st_rdev if kind in (Kind.CHARACTER, Kind.BLOCK) else 0
        return Entry(
            self._path(path) + (b"/" if kind is Kind.DIRECTORY else b""),
            kind,
            mode,
            uid,
            gid,
            found.st_size if kind is Kind.FILE else 0,
            time // _NANO * _NANO,
            link,
            os.major(device),
            os.minor(device),
            xattrs or {},
        )

    def _path(self, path: tuple[bytes, ...]) -> bytes:
        return b"/".join((*self._prefix, *path))

    def _xattrs(self, fd: int) -> dict[bytes, bytes]:
        """Those that mean something on another machine."""
        if not self._packing.xattrs:
            return {}
        with suppress(OSError):  # a file system without
            names = sorted(one for one in os.listxattr(fd) if one.startswith(_KEPT))
            return {os.fsencode(one): os.getxattr(fd, one) for one in names}
        return {}

    def _shown(self, path: tuple[bytes, ...]) -> str:
        return f"{self._folder}/{shown(b'/'.join(path))}"

    def _changed(self, path: tuple[bytes, ...], how: str) -> ClientError:
        return ClientError(f"{self._shown(path)} {how} while the folder was packed: pack it again")


class _Exactly:
    """So many bytes of a file, and zeros where it has become shorter: the caller asks `left`."""

    def __init__(self, read: Callable[[int], bytes], count: int) -> None:
        self._read = read
        self._count = count
        self.left = 0

    def read(self, count: int, /) -> bytes:
        wanted = min(count, self._count)
        if not wanted:
            return b""
        piece = self._read(wanted)
        if not piece:
            self.left, piece = self._count, bytes(wanted)
        self._count -= len(piece)
        return piece


def _identity(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, stat.S_IFMT(found.st_mode), found.st_size


def _moment(found: os.stat_result) -> tuple[int, ...]:
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns
