"""Reading ahead: a thread decompresses while the caller writes files."""

from collections.abc import Iterator
from contextlib import contextmanager
from queue import Queue
from threading import Thread
from typing import Final

from kho.layers.compression import Readable

_PIECE: Final = 256 * 1024
_PIECES: Final = 16


class _Ahead:
    """Gives what the thread read, and raises what it ran into, in that order."""

    def __init__(self, raw: Readable) -> None:
        self._raw = raw
        self._pieces: Queue[bytes | BaseException] = Queue(_PIECES)
        self._rest = b""
        self._end: bytes | BaseException | None = None
        self.stopped = False

    def run(self) -> None:
        """In the thread: read until the end, an error, or nobody wants more."""
        piece: bytes | BaseException = b"more"
        while piece and not self.stopped and not isinstance(piece, BaseException):
            try:
                piece = self._raw.read(_PIECE)
            except BaseException as error:  # noqa: BLE001 # the caller gets it
                piece = error
            self._pieces.put(piece)

    def drop(self) -> None:
        """Make room, so that a thread that waits for it comes to its end."""
        self.stopped = True
        while not self._pieces.empty():
            self._pieces.get()

    def read(self, count: int, /) -> bytes:
        if not self._rest and self._end is None:
            piece = self._pieces.get()
            if not piece or isinstance(piece, BaseException):
                self._end = piece
            else:
                self._rest = piece
        if isinstance(self._end, BaseException):
            raise self._end
        piece, self._rest = self._rest[:count], self._rest[count:]
        return piece


@contextmanager
def ahead(raw: Readable) -> Iterator[Readable]:
    """`raw`, read by a thread up to 4 MiB ahead; nobody else may read it until this ends."""
    reader = _Ahead(raw)
    thread = Thread(target=reader.run, name="kho-ahead", daemon=True)
    thread.start()
    try:
        yield reader
    finally:
        reader.drop()
        thread.join()
