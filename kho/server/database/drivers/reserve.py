"""Reserve: room kept back on the disk, so that deletions work when there is no other.

SQLite appends to its log before anything shrinks, so on a full disk nothing could be removed.
"""

import os
import time
from contextlib import suppress
from typing import Final

SIZE: Final = 4 * 1024 * 1024
STEP: Final = 256 * 1024
PAUSE_SECONDS: Final = 0.2


class Reserve:
    """`<path>.reserve`, a file that only occupies room; shared by all processes."""

    def __init__(self, path: str) -> None:
        """Take the room, or as much of it as there is."""
        self._fd = -1
        self._missing = True
        self._not_before = 0.0
        with suppress(OSError):  # the disk is full, or read-only: later
            self._fd = os.open(path + ".reserve", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self.keep()

    def give(self) -> bool:
        """Let go of it; False when there is nothing to let go of."""
        if self._fd < 0 or os.fstat(self._fd).st_size == 0:
            return False
        os.ftruncate(self._fd, 0)
        self._missing = True
        self._not_before = 0.0
        return True

    def keep(self) -> None:
        """Take back what is missing; costs nothing when nothing is, or it was tried just now."""
        now = time.monotonic()
        if not self._missing or now < self._not_before or self._fd < 0:
            return
        self._not_before = now + PAUSE_SECONDS
        with suppress(OSError):
            size = os.fstat(self._fd).st_size
            for start in range(size, SIZE, STEP):
                os.posix_fallocate(self._fd, start, min(STEP, SIZE - start))
            self._missing = False

    def close(self) -> None:
        """Let go of the file; the room stays kept."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
