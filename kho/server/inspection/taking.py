"""The content of one member of a layer."""

from collections.abc import Callable
from typing import Final

from kho.layers.compression import Readable, decompressed
from kho.layers.tar import Kind, TarReader
from kho.server.inspection import frames
from kho.server.inspection.frames import Say

_PIECE: Final = 256 * 1024


def take_member(raw: Readable, write: Callable[[bytes], object], number: int) -> None:
    """Write the content of member `number`, counted from 0; what stands before it is read, too."""
    reader = TarReader(decompressed(raw))
    for at, entry in enumerate(reader):
        if at != number:
            continue
        if entry.kind is not Kind.FILE:
            break
        frames.put(write, Say.SIZE, b"%d" % entry.size)
        while piece := reader.read(_PIECE):
            frames.put(write, Say.CONTENT, piece)
        frames.put(write, Say.DONE)
        return
    frames.put(write, Say.ABSENT)
