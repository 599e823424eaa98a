"""Files whose bytes were hashed since they were last changed: known to all workers of a server.

    anonymous memory, made before workers are forked, kept by their parent when one dies
    sets of 8 entries:  | fingerprint of a file's identity, its highest bit set | end in seconds |

Two workers may write to one entry at once: at worst a file is forgotten and hashed again, or
remembered for as long as the other one. Entries that were not written are zero.
"""

import mmap
import os
import time
from hashlib import blake2b
from struct import Struct
from typing import Final, NamedTuple

# Disks rot without touching a file's times, so what was right once is looked at again.
KEEP_SECONDS: Final = 24 * 3600
SETS: Final = 16_384
WAYS: Final = 8
_WORDS: Final = 2 * WAYS
_FINGERPRINT: Final = 1 << 63
_PACK: Final = Struct("=5q").pack


class Identity(NamedTuple):
    """A file as it is now: any change of its bytes by a program changes one of these."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int


def identity_of(status: os.stat_result) -> Identity:
    """What tells this file from another, and from what it was."""
    return Identity(
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    )


def _new_map() -> memoryview:
    return memoryview(mmap.mmap(-1, SETS * _WORDS * 8)).cast("Q")


class _Shared:
    """The map that a parent has made for its workers; without one, each storage has its own."""

    words: memoryview | None = None


def share() -> None:
    """Make one map for all workers; call it before any of them is forked."""
    _Shared.words = _new_map()


class Verified:
    """Some 131,000 files, each for a day; where a set is full, the oldest is forgotten."""

    def __init__(self) -> None:
        self._words = _new_map() if _Shared.words is None else _Shared.words

    def __contains__(self, identity: Identity) -> bool:
        fingerprint, start = self._place(identity)
        entries = self._words[start : start + _WORDS].tolist()
        try:
            return time.monotonic() < entries[entries.index(fingerprint) + 1]
        except ValueError:
            return False

    def add(self, identity: Identity) -> None:
        """Remember for a day from now."""
        fingerprint, start = self._place(identity)
        entries = self._words[start : start + _WORDS].tolist()
        ends = entries[1::2]
        way = ends.index(min(ends))
        if fingerprint in entries:
            way = entries.index(fingerprint) // 2
        place = start + 2 * way
        self._words[place + 1] = 0  # who looks meanwhile finds neither
        self._words[place] = fingerprint
        self._words[place + 1] = int(time.monotonic()) + KEEP_SECONDS

    def _place(self, identity: Identity) -> tuple[int, int]:
        """The fingerprint, and where its set starts."""
        value = int.from_bytes(blake2b(_PACK(*identity), digest_size=8).digest(), "little")
        return value | _FINGERPRINT, value % SETS * _WORDS
