"""Where the members of a tar go: a file that gets its name when it is whole, or a stream.

FileSink      [header|content|padding][header|content|...]    members side by side, by pwrite
StreamSink    header, content, padding ─► header, content ...  one after the other
"""

import asyncio
import errno
import os
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

Write = Callable[[bytes], Awaitable[None]]

BLOCK: Final = 512
_END: Final = 2 * BLOCK
_PIECE: Final = 1024 * 1024
# File systems without O_TMPFILE; the kernel says so in one of these ways.
_NO_NAMELESS: Final = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT})


class Sink(Protocol):
    """Takes members, each name once."""

    def member(self, name: str, size: int) -> AbstractAsyncContextManager[Write]:
        """A regular file of `size` bytes, which must all be written."""

    async def finish(self, order: Sequence[str]) -> None:
        """End the archive; members are in this order, where that can still be had."""

    def discard(self) -> None:
        """Leave nothing, whether it is finished or not; what has its name keeps it."""


def tar_header(name: str, size: int) -> bytes:
    """Header blocks of a regular file: ustar, with PAX records where the name or size is long.

    Time 0 and no owner, so that the same content makes the same bytes.
    """
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o644
    return info.tobuf(tarfile.PAX_FORMAT)


def padding(size: int) -> int:
    """How many bytes fill the last block."""
    return -size % BLOCK


@dataclass(frozen=True, slots=True)
class _Slot:
    start: int
    length: int


class FileSink:
    """A file beside `path`, without a name until `finish` puts it there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._named: list[str] = []
        self._fd = self._new()
        self._end = 0
        self._slots: dict[str, _Slot] = {}

    @asynccontextmanager
    async def member(self, name: str, size: int) -> AsyncIterator[Write]:
        """Its place is taken at once: others are written after it meanwhile."""
        header = tar_header(name, size)
        position = self._end + len(header)
        end = position + size
        self._slots[name] = _Slot(self._end, len(header) + size + padding(size))
        self._end = end + padding(size)
        _write_at(self._fd, header, position - len(header))

        async def write(piece: bytes) -> None:
            nonlocal position
            _write_at(self._fd, piece, position)  # into the page cache, which takes it at once
            position += len(piece)

        yield write
        _check(name, position, end)

    async def finish(self, order: Sequence[str]) -> None:
        """Flush, then name."""
        if list(order) != list(self._slots):
            await self._rearrange(order)
        os.ftruncate(self._fd, self._end + _END)
        await asyncio.to_thread(os.fsync, self._fd)
        self._place()
        os.fsync(self._folder)

    async def _rearrange(self, order: Sequence[str]) -> None:
        """Copy the members into a second file: several images at once came in another order."""
        old, self._fd = self._fd, self._new()
        end = 0
        try:
            for name in order:
                slot = self._slots[name]
                for start in range(0, slot.length, _PIECE):
                    count = min(_PIECE, slot.length - start)
                    await asyncio.to_thread(_copy, old, self._fd, slot.start + start, end, count)
                    end += count
        finally:
            os.close(old)

    def _new(self) -> int:
        flags = os.O_RDWR | os.O_CLOEXEC
        with suppress(AttributeError):
            try:
                return os.open(self._path.parent, flags | os.O_TMPFILE, 0o666)
            except OSError as error:
                if error.errno not in _NO_NAMELESS:
                    raise
        name = f".{self._path.name}.{os.getpid()}.{len(self._named)}"
        fd = os.open(name, flags | os.O_CREAT | os.O_TRUNC, 0o666, dir_fd=self._folder)
        self._named.append(name)
        return fd

    def _place(self) -> None:
        if self._named:
            part = self._named.pop()
        else:  # a link cannot replace a file, a rename can
            part = f".{self._path.name}.{os.getpid()}"
            os.link(f"/proc/self/fd/{self._fd}", part, dst_dir_fd=self._folder)
        os.replace(part, self._path.name, src_dir_fd=self._folder, dst_dir_fd=self._folder)

    def discard(self) -> None:
        """Close; unlink what has a name of its own."""
        for name in self._named:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=self._folder)
        if self._fd >= 0:
            os.close(self._fd)
            os.close(self._folder)
            self._fd = -1


class StreamSink:
    """Bytes one after the other: standard output, or the body of a request."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def member(self, name: str, size: int) -> AsyncIterator[Write]:
        """In the order in which they are asked for."""
        position = 0

        async def write(piece: bytes) -> None:
            nonlocal position
            await self._write(piece)
            position += len(piece)

        async with self._turn:
            await self._write(tar_header(name, size))
            yield write
            _check(name, position, size)
            await self._write(bytes(padding(size)))

    async def finish(self, order: Sequence[str]) -> None:
        """Write the end; the order is what it was."""
        del order
        await self._write(bytes(_END))

    def discard(self) -> None:
        """What was sent was sent; without its end it is no archive."""


def descriptor_writer(fd: int) -> Write:
    """Writes to an open file, pipe or socket without blocking the loop."""

    async def write(piece: bytes) -> None:
        view = memoryview(piece)
        os.set_blocking(fd, False)
        try:
            while view:
                try:
                    view = view[os.write(fd, view) :]
                except BlockingIOError:
                    await _writable(fd)
        finally:
            os.set_blocking(fd, True)

    return write


async def _writable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_writer(fd, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_writer(fd)


def _check(name: str, position: int, end: int) -> None:
    if position != end:
        raise ValueError(f"{name}: {end - position} bytes are missing")


def _write_at(fd: int, piece: bytes, position: int) -> None:
    view = memoryview(piece)
    while view:
        count = os.pwrite(fd, view, position)
        view, position = view[count:], position + count


def _copy(source: int, target: int, start: int, end: int, count: int) -> None:
    """A hole at the end of the file reads as less than `count`: the new one has it as well."""
    _write_at(target, os.pread(source, count, start), end)
