"""Bytes of a file as the body of a request, which the kernel moves from its cache to the socket."""

import os
from collections.abc import Callable
from typing import Final, Self

_PIECE: Final = 256 * 1024
_SPAN: Final = 1024 * 1024


class FileBody:
    """`left` bytes of an open file from `start`; `sent` is told how many went, each time.

    Whoever opened the file calls `close` before that: nothing is read from it any more.
    """

    def __init__(self, fd: int, start: int, left: int, sent: Callable[[int], None]) -> None:
        self._fd = fd
        self._position = start
        self.left = left
        self._sent = sent

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if not self.left:
            raise StopAsyncIteration
        piece = os.pread(self._fd, min(self.left, _PIECE), self._position)
        self._count(len(piece))
        return piece

    def send(self, socket: int) -> bool:
        """Put into a socket what it takes at once; False where that is nothing."""
        try:
            count = os.sendfile(socket, self._fd, self._position, min(self.left, _SPAN))
        except BlockingIOError:
            return False
        self._count(count)
        return True

    def close(self) -> None:
        """Let go of the file."""
        self._fd = -1

    def _count(self, count: int) -> None:
        if not count:
            raise OSError("the file has become shorter")
        self._position += count
        self.left -= count
        self._sent(count)
