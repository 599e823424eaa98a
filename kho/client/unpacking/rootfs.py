"""Layers become a folder: entries applied in their order, and nothing outside is touched."""

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from kho.client.errors import ClientError
from kho.client.unpacking.folders import PRIVATE, Folder, Folders, below
from kho.client.unpacking.looks import Looks
from kho.layers.errors import LayerRefused, shown
from kho.layers.limits import Limits
from kho.layers.names import OPAQUE, Marker, components, is_metadata, whiteout
from kho.layers.tar import Entry, Kind, TarReader

_PIECE: Final = 1 << 20
# Zeros from so many bytes on become a hole.
_HOLE: Final = 64 * 1024
_ZEROS: Final = bytes(_PIECE)
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SECRET: Final = 0o600
# What is wrong with an entry, rather than with this machine.
_ITS_FAULT: Final = frozenset(
    {
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.EEXIST,
        errno.ENAMETOOLONG,
        errno.EINVAL,
        errno.ELOOP,
        errno.EMLINK,
        errno.EFBIG,
    }
)
_DEVICES: Final = {Kind.CHARACTER: 0o020000, Kind.BLOCK: 0o060000}
_MAJORS: Final = 1 << 12
_MINORS: Final = 1 << 20
_NO_NAMES: Final = frozenset({b"", b".", b".."})
# For folders that no layer describes; the same each time.
_PLAIN: Final = Entry(path=b"", kind=Kind.DIRECTORY, mode=0o755)
_KNOWN: Final = 4096
# Of folders, which get theirs in the end.
_XATTRS: Final = 64 << 20


class Rootfs:
    """A root file system in the making, in an empty folder that nobody else may enter."""

    def __init__(self, fd: int, looks: Looks, limits: Limits) -> None:
        """`fd` is the folder's; the limits count all layers together."""
        os.fchmod(fd, PRIVATE)
        for acl in ("system.posix_acl_default", "system.posix_acl_access"):
            try:
                os.removexattr(fd, acl)
            except OSError as error:
                if error.errno not in {errno.ENODATA, errno.ENOTSUP}:
                    raise
        self._looks = looks
        self._limits = limits
        self._folders = Folders(fd, limits.entries)
        # Folders by the way that the entries of this layer name them.
        self._known: dict[bytes, Folder] = {}
        self._makers: dict[Kind, Callable[[Folder, bytes, Entry, TarReader], None]] = {
            Kind.FILE: self._file,
            Kind.DIRECTORY: self._directory,
            Kind.SYMLINK: self._symlink,
            Kind.HARDLINK: self._hardlink,
            Kind.FIFO: self._node,
            Kind.CHARACTER: self._node,
            Kind.BLOCK: self._node,
        }
        self._xattrs = 0
        self.count = 0
        # Bytes of the files, holes included.
        self.size = 0
        # Empty files in place of devices.
        self.stand_ins = 0

    def apply(self, layer: TarReader) -> None:
        """Apply the next layer; LayerRefused, ClientError."""
        for entry in layer:
            try:
                self._entry(entry, layer)
            except OSError as error:
                raise _wrong(entry, error) from error
            except ValueError:
                raise LayerRefused(f"{shown(entry.path)}: a NUL in a name") from None
            except LayerRefused as error:
                raise LayerRefused(f"{shown(entry.path)}: {error}") from None
        self._folders.next_layer()
        self._known.clear()

    def finish(self) -> None:
        """Give the folders their looks, the innermost first: nothing is made in them any more."""
        for folder in below(self._folders.root):
            entry = folder.looks or _PLAIN
            try:
                self._looks.of_open(self._folders.fd(folder), entry)
            except OSError as error:
                raise _wrong(entry, error) from error

    def close(self) -> None:
        """Let go of the folders; the root's descriptor stays open."""
        self._folders.close()

    def read(self, path: bytes, most: int) -> bytes | None:
        """The beginning of a regular file, links followed inside the root; None without one."""
        try:
            return self._folders.read(components(path), most)
        except (OSError, LayerRefused):
            return None

    # Where

    def _entry(self, entry: Entry, layer: TarReader) -> None:
        self.count += 1
        head, _, name = entry.path.rpartition(b"/")
        folder = self._known.get(head)
        if folder is None or name in _NO_NAMES or name.startswith(b".wh."):
            parts = components(entry.path)
            if not parts:
                self._root(entry)
                return
            if is_metadata(parts):
                return
            gone = whiteout(parts[-1])
            if gone is not None:
                self._white_out(parts, gone)
                return
            folder = self._folders.find(parts[:-1], make=True)
            assert folder is not None
            if name == parts[-1]:
                if len(self._known) >= _KNOWN:
                    self._known.clear()
                self._known[head] = folder
            name = parts[-1]
        self._makers[entry.kind](folder, name, entry, layer)

    def _root(self, entry: Entry) -> None:
        if entry.kind is not Kind.DIRECTORY:
            raise LayerRefused(f"the root cannot be a {entry.kind.value}")
        root = self._folders.root
        root.looks, root.said = self._kept(entry, b"/"), self._folders.layer

    def _white_out(self, parts: tuple[bytes, ...], gone: bytes | Marker) -> None:
        folder = self._folders.find(parts[:-1], make=False)
        self._known.clear()
        if folder is None:
            return
        if gone is OPAQUE:
            self._folders.white_out_all(folder)
        elif isinstance(gone, bytes):
            self._folders.white_out(folder, gone)

    # What

    def _place(self, folder: Folder, name: bytes, make: Callable[[int], None]) -> None:
        """Make something in a folder, in place of what is there."""
        fd = self._folders.fd(folder)
        try:
            make(fd)
        except FileExistsError:
            self._free(folder, name)
            make(fd)
        self._folders.note(folder, name)

    def _free(self, folder: Folder, name: bytes) -> None:
        self._folders.remove(folder, name)
        # What led through a link, or into a removed folder, leads elsewhere now.
        self._known.clear()

    def _file(self, folder: Folder, name: bytes, entry: Entry, layer: TarReader) -> None:
        fd = self._folders.fd(folder)
        try:
            file = os.open(name, _NEW, _SECRET, dir_fd=fd)
        except FileExistsError:
            self._free(folder, name)
            file = os.open(name, _NEW, _SECRET, dir_fd=fd)
        try:
            if entry.size:
                self.size += entry.size
                if self.size > self._limits.total:
                    raise LayerRefused(f"the files have more than {self._limits.total} bytes")
                _fill(file, entry.size, layer)
            self._looks.of_open(file, entry)
        finally:
            os.close(file)
        self._folders.note(folder, name)

    def _directory(self, folder: Folder, name: bytes, entry: Entry, layer: TarReader) -> None:
        del layer
        made = folder.children.get(name)
        if made is not None:
            self._folders.note(folder, name)
        else:
            try:
                made = self._folders.make(folder, name)
            except FileExistsError:
                self._free(folder, name)
                made = self._folders.make(folder, name)
        made.looks, made.said = self._kept(entry, name), self._folders.layer

    def _kept(self, entry: Entry, name: bytes) -> Entry:
        """What is remembered of a folder until the end; LayerRefused where it is too much."""
        self._xattrs += sum(len(key) + len(value) for key, value in entry.xattrs.items())
        if self._xattrs > _XATTRS:
            raise LayerRefused(f"folders have more than {_XATTRS} bytes of extended attributes")
        return replace(entry, path=name)

    def _symlink(self, folder: Folder, name: bytes, entry: Entry, layer: TarReader) -> None:
        del layer
        self._place(folder, name, lambda fd: os.symlink(entry.link, name, dir_fd=fd))
        self._looks.of_name(self._folders.fd(folder), entry, name)

    def _hardlink(self, folder: Folder, name: bytes, entry: Entry, layer: TarReader) -> None:
        del layer
        parts = components(entry.link)
        origin = self._folders.find(parts[:-1], make=False)
        if not parts or origin is None or parts[-1] in origin.children:
            raise LayerRefused(f"a hard link to {shown(entry.link)}, which is no file")
        old = parts[-1]
        if origin is folder and old == name:
            raise LayerRefused("a hard link to itself")
        # A link may have many names too: the last component is not followed.
        source = os.dup(self._folders.fd(origin))
        try:
            self._place(
                folder,
                name,
                lambda fd: os.link(
                    old, name, src_dir_fd=source, dst_dir_fd=fd, follow_symlinks=False
                ),
            )
        finally:
            os.close(source)

    def _node(self, folder: Folder, name: bytes, entry: Entry, layer: TarReader) -> None:
        if entry.kind is Kind.FIFO:
            self._place(folder, name, lambda fd: os.mkfifo(name, _SECRET, dir_fd=fd))
        elif self._looks.rootless:
            self.stand_ins += 1
            self._file(folder, name, entry, layer)
            return
        else:
            if not (0 <= entry.major < _MAJORS and 0 <= entry.minor < _MINORS):
                raise LayerRefused(f"there is no device {entry.major}:{entry.minor}")
            mode, device = _DEVICES[entry.kind] | _SECRET, os.makedev(entry.major, entry.minor)
            self._place(folder, name, lambda fd: os.mknod(name, mode, device, dir_fd=fd))
        self._looks.of_name(self._folders.fd(folder), entry, name)


def _fill(file: int, size: int, layer: TarReader) -> None:
    """Write the content of an entry; zeros in large pieces become holes."""
    hole = False
    while piece := layer.read(_PIECE):
        count = len(piece)
        hole = count >= _HOLE and _ZEROS.startswith(piece)
        if hole:
            os.lseek(file, count, os.SEEK_CUR)
            continue
        written = os.write(file, piece)
        if written < count:
            view = memoryview(piece)[written:]
            while view:
                view = view[os.write(file, view) :]
    if hole:
        os.ftruncate(file, size)


def _wrong(entry: Entry, error: OSError) -> Exception:
    line = f"{shown(entry.path)}: {os.strerror(error.errno or 0)}"
    if error.errno in _ITS_FAULT:
        return LayerRefused(line)
    hint = "; --rootless puts empty files in place of devices" if entry.kind in _DEVICES else ""
    return ClientError(line + hint)
