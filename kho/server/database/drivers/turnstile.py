"""Turnstile: a lock between processes that is fair.

A plain `flock` goes to whoever asks at the right moment, which is mostly the process that has just
let it go; others starved for up to 3 s. Here the next one already stands at the gate while the
present one works, so nobody passes twice while another waits.
"""

import fcntl
import os
from types import TracebackType
from typing import Self


class Turnstile:
    """Held in a `with`; released by the kernel when the process dies. For one thread at a time."""

    def __init__(self, path: str) -> None:
        """Open `<path>.lock` and `<path>.next`, creating them readable by the owner only."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._lock = os.open(path + ".lock", flags, 0o600)
        self._gate = os.open(path + ".next", flags, 0o600)

    def __enter__(self) -> Self:
        fcntl.flock(self._gate, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        finally:
            fcntl.flock(self._gate, fcntl.LOCK_UN)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.leave()

    def enter_at_once(self) -> bool:
        """Enter without waiting, unless somebody is inside or stands at the gate."""
        try:
            fcntl.flock(self._gate, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            fcntl.flock(self._gate, fcntl.LOCK_UN)
        return True

    def leave(self) -> None:
        """Let the next one in."""
        fcntl.flock(self._lock, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of both files; safe to call twice."""
        for descriptor in {self._lock, self._gate} - {-1}:
            os.close(descriptor)
        self._lock = self._gate = -1
