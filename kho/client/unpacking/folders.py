"""The folders of a root file system that is being made, each reached from the root step by step.

    root ─ openat("usr", O_NOFOLLOW) ─ openat("lib", O_NOFOLLOW) ─ ...      never a path, never ".."

Every folder there was made through this file, and nobody else may enter: so those known here are
all, and their descriptors lead to the inside or, once they are removed, to nothing. Symbolic links
on the way are read and followed here, inside the root, as the kernel would after chroot.
"""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from typing import Final, Self

from kho.client.unpacking.removal import DEPTH, remove
from kho.layers.errors import LayerRefused, shown
from kho.layers.tar import Entry

_OPEN: Final = 128
# Each takes some 400 bytes of memory until the end.
FOLDERS: Final = 500_000
_LINKS: Final = 40
_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_HANDLE: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
PRIVATE: Final = 0o700


class Folder:
    """One folder; `looks` is what it shall look like in the end, where a layer says so."""

    __slots__ = ("born", "children", "depth", "fd", "looks", "name", "parent", "said", "touched")

    def __init__(self, parent: Self | None, name: bytes, born: int) -> None:
        self.parent: Folder = parent if parent is not None else self
        self.name = name
        self.depth: int = parent.depth + 1 if parent is not None else 0
        self.children: dict[bytes, Folder] = _NONE
        self.fd = -1
        self.looks: Entry | None = None
        # The layer that said so.
        self.said = born
        # The layer that made it, and what the current one has put into it if it is another.
        self.born = born
        self.touched: set[bytes] | None = None


# Most folders have none in them; it is never changed.
_NONE: Final[dict[bytes, Folder]] = {}


class Folders:
    """All of them, and which names the current layer has put into those of lower layers.

    Whiteouts apply to lower layers only, wherever in their layer they stand:

        born in this layer          nothing in it is of a lower one
        else, name touched          of this layer; a folder may hold things of both
        else                        of a lower layer
    """

    def __init__(self, root_fd: int, entries: int) -> None:
        self.root = Folder(None, b"", 0)
        self.root.fd = root_fd
        self.layer = 0
        self._room = entries
        self._entries = entries
        self._folders = 0
        self._open: dict[Folder, None] = {}
        self._touched: list[Folder] = []

    def fd(self, folder: Folder) -> int:
        """A descriptor of it, good until others are asked for."""
        if folder.fd >= 0:
            return folder.fd
        way = [folder]
        while way[-1].parent.fd < 0:
            way.append(way[-1].parent)
        for one in reversed(way):
            one.fd = os.open(one.name, _FLAGS, dir_fd=one.parent.fd)
            self._open[one] = None
            if len(self._open) > _OPEN:
                oldest = next(iter(self._open))
                self._shut(oldest)
        return folder.fd

    def _shut(self, folder: Folder) -> None:
        if self._open.pop(folder, self) is None:
            os.close(folder.fd)
            folder.fd = -1

    def close(self) -> None:
        """Let go of all but the root."""
        for folder in list(self._open):
            self._shut(folder)

    # Finding

    def find(self, parts: Sequence[bytes], *, make: bool) -> Folder | None:
        """Go down, inside the root whatever links say; make what is missing, or answer None.

        Raises LayerRefused where something that is no folder is in the way.
        """
        at, todo, links = self.root, list(reversed(parts)), 0
        while todo:
            name = todo.pop()
            child = at.children.get(name)
            if child is not None:
                at = child
            elif name == b"..":
                at = at.parent
            elif name not in {b"", b"."}:
                target = self._link(at, name)
                if target is not None:
                    links += 1
                    if links > _LINKS:
                        raise LayerRefused(f"{shown(name)}: too many symbolic links")
                    if target.startswith(b"/"):
                        at = self.root
                    todo += reversed(target.split(b"/"))
                elif make:
                    at = self.make(at, name)
                else:
                    return None
        return at

    def _link(self, folder: Folder, name: bytes) -> bytes | None:
        """Where a link leads; None where there is nothing."""
        try:
            return os.readlink(name, dir_fd=self.fd(folder))
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == errno.EINVAL:
                raise LayerRefused(f"{shown(name)} is no folder, yet has entries") from None
            raise

    def read(self, parts: Sequence[bytes], most: int) -> bytes | None:
        """The beginning of a regular file; None for what is none, and what is not there."""
        for _ in range(_LINKS):
            folder = self.find(parts[:-1], make=False)
            if folder is None or not parts:
                return None
            handle = os.open(parts[-1], _HANDLE, dir_fd=self.fd(folder))
            try:
                mode = os.fstat(handle).st_mode
                if stat.S_ISREG(mode):
                    with open(f"/proc/self/fd/{handle}", "rb", buffering=0) as file:
                        return file.read(most)
            finally:
                os.close(handle)
            if not stat.S_ISLNK(mode):
                return None
            parts = self._beyond(folder, parts[-1])
        return None

    def _beyond(self, folder: Folder, name: bytes) -> list[bytes]:
        """The way to where a link leads, from the root."""
        target = os.readlink(name, dir_fd=self.fd(folder))
        way: list[bytes] = []
        if not target.startswith(b"/"):
            while folder is not folder.parent:
                way.append(folder.name)
                folder = folder.parent
        found = [*reversed(way), *target.split(b"/")]
        return [one for one in found if one not in {b"", b"."}]

    # Changing

    def make(self, parent: Folder, name: bytes) -> Folder:
        """An empty folder, which only its owner may enter until the end; FileExistsError."""
        if parent.depth >= DEPTH:
            raise LayerRefused(f"{shown(name)}: folders are more than {DEPTH} deep")
        if self._folders >= FOLDERS:
            raise LayerRefused(f"more than {FOLDERS} folders")
        os.mkdir(name, PRIVATE, dir_fd=self.fd(parent))
        self._folders += 1
        self.note(parent, name)
        if parent.children is _NONE:
            parent.children = {}
        folder = parent.children[name] = Folder(parent, name, self.layer)
        return folder

    def note(self, folder: Folder, name: bytes) -> None:
        """The current layer has put something there; LayerRefused where it is one too many."""
        self._room -= 1
        if self._room < 0:
            raise LayerRefused(f"more than {self._entries} files and folders")
        while folder.born != self.layer:
            if folder.touched is not None:
                folder.touched.add(name)
                return
            folder.touched = {name}
            self._touched.append(folder)
            folder, name = folder.parent, folder.name

    def next_layer(self) -> None:
        """What was put in until now is of a lower layer from now on."""
        self.layer += 1
        for folder in self._touched:
            folder.touched = None
        self._touched.clear()

    def remove(self, folder: Folder, name: bytes) -> None:
        """Take away whatever has the name, links not followed, or nothing."""
        fd = self.fd(folder)
        child = folder.children.pop(name, None)
        if child is None:
            try:
                os.unlink(name, dir_fd=fd)
            except FileNotFoundError:
                return
        else:
            for one in below(child):
                self._shut(one)
                self._folders -= 1
            remove(fd, name)

    def white_out(self, folder: Folder, name: bytes) -> None:
        """Take away what lower layers have under a name."""
        if folder.born == self.layer:
            return
        if folder.touched is None or name not in folder.touched:
            self.remove(folder, name)
        elif name in folder.children:
            child = folder.children[name]
            self._forget(child)
            self.white_out_all(child)

    def _forget(self, folder: Folder) -> None:
        """What lower layers said of a folder is whited out, too."""
        if folder.said != self.layer:
            folder.looks = None

    def white_out_all(self, folder: Folder) -> None:
        """Take away what lower layers have in a folder."""
        todo = [folder]
        while todo:
            one = todo.pop()
            if one.born == self.layer:
                continue
            kept = one.touched or ()
            for name in os.listdir(self.fd(one)):
                raw = os.fsencode(name)
                if raw not in kept:
                    self.remove(one, raw)
                elif raw in one.children:
                    self._forget(one.children[raw])
                    todo.append(one.children[raw])


def below(folder: Folder) -> Iterator[Folder]:
    """It and all folders in it, each after those in it."""
    todo, found = [folder], []
    while todo:
        one = todo.pop()
        found.append(one)
        todo += one.children.values()
    return reversed(found)
