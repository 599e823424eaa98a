"""One tar file of an image archive, read by random access: an index of its members, no extraction.

file ─► gzip or zstd as a whole? ─► unpacked into a nameless temporary file
     └► headers, once ─► name ─► (offset, size) ─► pread
"""

import asyncio
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO
from typing import Final

from kho.client.archives.spool import PIECE, Spool, spooled
from kho.client.errors import Damaged, Missing
from kho.layers.compression import Compression, decompressed, detect
from kho.layers.errors import LayerRefused
from kho.layers.limits import Limits
from kho.layers.tar import Entry, Kind, TarReader

STDIN: Final = "-"
# An image has at most some hundreds of layers, of three members each in old archives.
MEMBERS: Final = 100_000
LINKS: Final = 8
# An archive holds several images: what it has uncompressed is bound by the ratio alone.
_LIMITS: Final = Limits(total=1 << 44, entries=MEMBERS)
_HEAD: Final = 512


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes of an open file."""

    fd: int
    offset: int
    size: int

    def read(self, start: int, count: int) -> bytes:
        """At most `count` bytes from `start`; none at the end, or where the file ends earlier."""
        return os.pread(self.fd, max(0, min(count, self.size - start)), self.offset + start)

    def pieces(self, start: int = 0) -> Iterator[bytes]:
        """All from `start` on."""
        while piece := self.read(start, PIECE):
            start += len(piece)
            yield piece


class Members:
    """The files of a tar by name: `./a/b` and `a//b` are `a/b`, links are followed."""

    def __init__(
        self, name: str, file: FileIO | Spool, found: dict[str, Part | str | None]
    ) -> None:
        self.name = name
        self._file = file
        self._found = found

    @classmethod
    async def open(cls, name: str, file: FileIO | Spool) -> "Members":
        """Read the headers of a tar, perhaps a compressed one; raise Damaged."""
        try:
            file = await _plain(name, file)
            return cls(name, file, await asyncio.to_thread(_indexed, name, file))
        except BaseException:
            file.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def find(self, name: str) -> Part | None:
        """Where a file's content is; raise Damaged for what stands twice or links in circles."""
        wanted = _normal(name)
        for _ in range(LINKS):
            if wanted is None or wanted not in self._found:
                return None
            found = self._found[wanted]
            if isinstance(found, Part):
                return found
            if found is None:
                raise Damaged(f"{self.name}: {wanted!a:.300} stands in it twice")
            wanted = found
        raise Damaged(f"{self.name}: {name!a:.300} is a link to a link, more than {LINKS} times")

    def small(self, name: str, limit: int) -> bytes | None:
        """A whole file of at most `limit` bytes; None where it is not there."""
        part = self.find(name)
        if part is None:
            return None
        if part.size > limit:
            raise Damaged(f"{self.name}: {name} has {part.size} bytes; allowed are {limit}")
        return part.read(0, part.size)


async def opened(name: str, path: str) -> FileIO | Spool:
    """A file in which one can go to any place; what cannot is read to its end first."""
    if path == STDIN:
        return await spooled(0)
    try:
        file = FileIO(path)
    except FileNotFoundError as error:
        raise Missing(f"{name}: there is no such file") from error
    except IsADirectoryError as error:
        raise Missing(f"{name} is a folder: write oci:{path}") from error
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    with file:
        return await spooled(file.fileno())


async def _plain(name: str, file: FileIO | Spool) -> FileIO | Spool:
    """The tar itself."""
    try:
        if detect(os.pread(file.fileno(), _HEAD, 0)) is Compression.NONE:
            return file
        reader = decompressed(_Reading(file.fileno()), _LIMITS)
        spool = Spool()
        try:
            while piece := await asyncio.to_thread(reader.read, PIECE):
                spool.write(piece)
        except BaseException:
            spool.close()
            raise
    except LayerRefused as error:
        raise Damaged(f"{name}: {error}".replace("the layer", "it")) from error
    file.close()
    return spool


class _Reading:
    """A file from its beginning, whoever else reads it."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._position = 0

    def read(self, count: int, /) -> bytes:
        piece = os.pread(self._fd, count, self._position)
        self._position += len(piece)
        return piece

    def seekable(self) -> bool:
        return True

    def seek(self, count: int, whence: int, /) -> None:
        assert whence == os.SEEK_CUR
        self._position += count


def _indexed(name: str, file: FileIO | Spool) -> dict[str, Part | str | None]:
    """Name to part, or to the name that it links to; None where two members have it."""
    fd = file.fileno()
    found: dict[str, Part | str | None] = {}
    reader = TarReader(_Reading(fd), _LIMITS)
    try:
        for entry in reader:
            path = _normal(entry.path.decode("utf-8", "surrogateescape"))
            if path is None:
                raise Damaged(f"{name}: the member {entry.path[:300]!r} leaves the archive")
            content = _content(entry, path, Part(fd, reader.position, entry.size))
            if content is not None:
                found[path] = None if path in found else content
    except LayerRefused as error:
        raise Damaged(f"{name} is no tar file that can be read: {error}") from error
    return found


def _content(entry: Entry, path: str, part: Part) -> Part | str | None:
    """What a member is to an index; None for folders and what else has no content."""
    if entry.kind is Kind.FILE:
        return part
    link = entry.link.decode("utf-8", "surrogateescape")
    if entry.kind is Kind.HARDLINK:
        return _normal(link)
    if entry.kind is Kind.SYMLINK:
        return _normal(f"{path}/../{link}")
    return None


def _normal(name: str) -> str | None:
    """A path inside the archive; None for one that leads out of it."""
    found: list[str] = []
    for one in name.split("/"):
        if one == "..":
            if not found:
                return None
            found.pop()
        elif one not in ("", "."):
            found.append(one)
    return "/".join(found)
