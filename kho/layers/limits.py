"""How much one layer may ask of the machine that reads it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_MIB: Final = 1 << 20
_GIB: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one layer; whoever reads an image of many counts their sum.

    Sizes are bytes, a path is everything that an entry is called, a name one component of it.
    """

    # Uncompressed, holes of sparse files counted as if they were zeros. The largest layer that any
    # registry documents is 52,000 MiB compressed (ECR); twice that, and a little more.
    total: int = 128 * _GIB
    # Deflate cannot do better than 1,032:1, and what does so well is zeros.
    ratio: int = 1000
    ratio_from: int = 100 * _MIB
    entries: int = 2_000_000
    path: int = 4096
    name: int = 255
    # Of what stands before an entry: PAX records, GNU long names, maps of sparse files.
    header: int = _MIB
    window: int = 128 * _MIB
    # 6 MiB/s would do for the largest.
    seconds: float = 6 * 3600
    clock: Callable[[], float] = time.monotonic


DEFAULT: Final = Limits()
