"""What the process says: frames of a length, a kind and bytes.

4 bytes: how many follow    1 byte: kind    the rest
"""

import struct
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Final, NamedTuple

import msgspec

MOST: Final = 1 << 20
_HEAD: Final = struct.Struct(">Ic")
_HEAD_SIZE: Final = 5


class Say(Enum):
    """Kinds of frames; the last three end the talk."""

    ROW = b"R"  # a part of a directory
    SIZE = b"S"  # of the content that follows
    CONTENT = b"C"
    DONE = b"D"
    REFUSED = b"X"  # why, in one line
    ABSENT = b"A"  # no such member, or it has no content


class Row(msgspec.Struct, array_like=True, frozen=True):
    """A part of a directory of the layer."""

    directory: bytes
    first: bytes
    entries: bytes


class Sum(msgspec.Struct, array_like=True, frozen=True):
    """What was listed: names that are there, bytes of files, and the hash of the stored layer."""

    files: int
    size: int
    digest: str


class Frame(NamedTuple):
    """One of them."""

    say: Say
    body: bytes


class Broken(Exception):
    """Bytes that are no frames."""


def put(write: Callable[[bytes], object], say: Say, body: bytes = b"") -> None:
    """Write a frame of at most 1 MiB."""
    write(_HEAD.pack(len(body) + 1, say.value) + body)


class Parser:
    """Bytes as they come, to frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, piece: bytes) -> Iterator[Frame]:
        """The frames that are whole by now. Raises Broken."""
        self._buffer += piece
        while len(self._buffer) >= _HEAD_SIZE:
            length, kind = _HEAD.unpack_from(self._buffer)
            if not 1 <= length <= MOST + 1:
                raise Broken("a frame of an impossible length")
            if len(self._buffer) < length + 4:
                return
            body = bytes(self._buffer[_HEAD_SIZE : length + 4])
            del self._buffer[: length + 4]
            try:
                yield Frame(Say(kind), body)
            except ValueError:
                raise Broken("a frame of an unknown kind") from None
