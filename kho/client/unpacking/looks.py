"""Owners, modes, times and extended attributes: what of an image's wishes a file gets.

                 rootful                      rootless
owner            the image's                  ours, a note of its in user.rootlesscontainers
setuid, setgid   kept                         taken off files, unless they are to be kept
xattrs           user.*, trusted.*, ACLs,     user.*
                 security.capability
never            trusted.overlay.*, user.overlay.*: overlayfs would show other files by them;
                 labels and signatures of this machine's security modules
"""

import errno
import os
from dataclasses import dataclass, field
from typing import Final

from kho.layers.errors import LayerRefused, shown
from kho.layers.tar import Entry, Kind

# -1 means "leave it" to chown.
_IDS: Final = (1 << 32) - 1
# Nanoseconds that fit 64 bits, and what was before anybody had files.
_LATEST: Final = (1 << 63) - 1
_EARLIEST: Final = -(1 << 31) * 10**9
_SETID: Final = 0o6000
_NEVER: Final = (b"trusted.overlay.", b"user.overlay.", b"user.rootlesscontainers")
_ROOTFUL: Final = (b"user.", b"trusted.", b"security.capability", b"system.posix_acl_")
_ROOTLESS: Final = (b"user.",)
_OWNER: Final = "user.rootlesscontainers"
_NO_ID: Final = 0xFFFFFFFF
_NAMES: Final = 1000
# The file system has none, or none on such a thing, or too small ones.
_NO_XATTRS: Final = frozenset({errno.ENOTSUP, errno.EPERM, errno.ENOSPC, errno.E2BIG, errno.ERANGE})


@dataclass(slots=True)
class Looks:
    """How files shall look like, and what was left out of it."""

    rootless: bool
    keep_setuid: bool
    # Names of attributes that are not there, with how many entries had them.
    left_out: dict[str, int] = field(default_factory=dict)
    setuid_removed: int = 0
    _us: tuple[int, int] = field(init=False)

    def __post_init__(self) -> None:
        self._us = os.geteuid(), os.getegid()

    def of_open(self, fd: int, entry: Entry) -> None:
        """Give a regular file or a folder its looks. Writing comes before it: it drops some."""
        uid, gid = entry.uid, entry.gid
        if self.rootless:
            if entry.xattrs or uid or gid:
                self._attributes(fd, entry, follow=True)
        else:
            # Folders give nothing on to what is made in them: their own looks come last.
            if (uid, gid) != self._us:
                os.fchown(fd, *owner(entry))
            if entry.xattrs:
                self._attributes(fd, entry, follow=True)
        os.fchmod(fd, self._mode(entry))
        time = entry.mtime_ns
        if not _EARLIEST <= time <= _LATEST:
            time = bounded(time)
        os.utime(fd, ns=(time, time))

    def of_name(self, folder: int, entry: Entry, name: bytes) -> None:
        """Give a link, a pipe or a device its looks; none of them is opened or followed."""
        if not self.rootless:
            uid, gid = owner(entry)
            os.chown(name, uid, gid, dir_fd=folder, follow_symlinks=False)
        if entry.kind is Kind.SYMLINK:
            if entry.xattrs and not self.rootless:
                path = b"/proc/self/fd/%d/%s" % (folder, name)
                self._attributes(path, entry, follow=False)
        else:
            self._of_node(folder, entry, name)
        time = bounded(entry.mtime_ns)
        os.utime(name, ns=(time, time), dir_fd=folder, follow_symlinks=False)

    def _of_node(self, folder: int, entry: Entry, name: bytes) -> None:
        handle = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            path = b"/proc/self/fd/%d" % handle
            if not self.rootless:  # user.* is for files and folders
                self._attributes(path, entry, follow=True)
            os.chmod(path, self._mode(entry))
        finally:
            os.close(handle)

    def _mode(self, entry: Entry) -> int:
        mode = entry.mode
        if (
            mode & _SETID
            and self.rootless
            and not self.keep_setuid
            and entry.kind is not Kind.DIRECTORY
        ):
            self.setuid_removed += 1
            mode &= ~_SETID
        return mode

    def _attributes(self, file: int | bytes, entry: Entry, *, follow: bool) -> None:
        allowed = _ROOTLESS if self.rootless else _ROOTFUL
        for name, value in entry.xattrs.items():
            if not name.startswith(allowed) or name.startswith(_NEVER):
                self._leave_out(name)
                continue
            self._attribute(file, name, value, follow=follow)
        if self.rootless and (entry.uid or entry.gid):
            uid, gid = owner(entry)
            note = b"\x08" + _varint(uid or _NO_ID) + b"\x10" + _varint(gid or _NO_ID)
            self._attribute(file, _OWNER.encode(), note, follow=follow)

    def _attribute(self, file: int | bytes, name: bytes, value: bytes, *, follow: bool) -> None:
        try:
            # A descriptor is neither followed nor not.
            if isinstance(file, int):
                os.setxattr(file, name, value)
            else:
                os.setxattr(file, name, value, follow_symlinks=follow)
        except ValueError:
            raise LayerRefused(f"an extended attribute is called {shown(name)}") from None
        except OSError as error:
            if error.errno not in _NO_XATTRS:
                raise
            self._leave_out(name)

    def _leave_out(self, name: bytes) -> None:
        text = shown(name)
        if text in self.left_out or len(self.left_out) < _NAMES:
            self.left_out[text] = self.left_out.get(text, 0) + 1


def owner(entry: Entry) -> tuple[int, int]:
    """Its ids; LayerRefused where there cannot be such ones."""
    if not (0 <= entry.uid < _IDS and 0 <= entry.gid < _IDS):
        raise LayerRefused(f"belongs to {entry.uid}:{entry.gid}; ids end at {_IDS - 1}")
    return entry.uid, entry.gid


def bounded(time: int) -> int:
    """Nanoseconds that a file system takes."""
    return max(_EARLIEST, min(time, _LATEST))


def _varint(value: int) -> bytes:
    """As protobuf writes a number."""
    found = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits at a time
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])
