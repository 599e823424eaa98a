"""What the process is asked to do, and how much it may take for it."""

from typing import Final

import msgspec

_MIB: Final = 1 << 20


class Bounds(msgspec.Struct, frozen=True):
    """Of one inspection; `output` is bytes that it may say when it lists, `entries` of a layer."""

    memory: int = 768 * _MIB
    cpu_seconds: int = 600
    seconds: float = 1800.0
    output: int = 256 * _MIB
    entries: int = 2_000_000


class Order(msgspec.Struct, frozen=True):
    """List the layer on standard input, or take the content of one member of it."""

    parent: int
    bounds: Bounds
    algorithm: str = "sha256"
    take: int | None = None


DEFAULT: Final = Bounds()
"""A listing: a few hundred bytes of memory for each entry of the layer."""
TAKING: Final = Bounds(seconds=6 * 3600.0, memory=512 * _MIB)
"""A download lasts as long as its client takes; memory is for a zstd window."""
