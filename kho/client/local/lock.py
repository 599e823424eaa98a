"""Who works with a store, and who alone may clean it.

    pull, load, copy, push ...   share    from their first look at content until they end
    rmi, prune                   alone    while they delete what no name reaches

So content that somebody has just placed, or found present, is not deleted before it has its name.
The kernel lets go of the lock of a process that is killed.
"""

import asyncio
import fcntl
import os
import time
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Final

_FLAGS: Final = os.O_NOFOLLOW | os.O_CLOEXEC
_PAUSE_SECONDS: Final = 0.05


class StoreLock:
    """One process's part in it; let go of by `release`, or with the object."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None
        self._closing: weakref.finalize[[int], StoreLock] | None = None
        self._shared = False

    async def share(self) -> None:
        """Be one of many; wait while somebody is alone. In a folder that is not ours: nothing."""
        if self._shared:
            return
        fd = self._open()
        if fd is None:
            return
        while not _try(fd, fcntl.LOCK_SH):  # noqa: ASYNC110 - another process has it
            await asyncio.sleep(_PAUSE_SECONDS)
        self._shared = True

    async def alone(self, patience: float) -> bool:
        """Be the only one; False where others are still there after so many seconds."""
        fd = self._open()
        if fd is None:
            return True
        give_up = time.monotonic() + patience
        while not _try(fd, fcntl.LOCK_EX):
            if time.monotonic() >= give_up:
                self.release()  # a refused change has given up the share as well
                return False
            await asyncio.sleep(_PAUSE_SECONDS)
        self._shared = False
        return True

    def release(self) -> None:
        """Let go."""
        if self._closing is not None:
            self._closing()
        self._fd, self._shared, self._closing = None, False, None

    def _open(self) -> int | None:
        if self._fd is None:
            for flags in (os.O_RDWR | os.O_CREAT, os.O_RDONLY):
                with suppress(OSError):
                    self._fd = os.open(self._path, _FLAGS | flags, 0o600)
                    self._closing = weakref.finalize(self, os.close, self._fd)
                    break
        return self._fd


def _try(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
