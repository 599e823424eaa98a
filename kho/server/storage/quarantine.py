"""The place for files that failed, and how a blob's file goes away.

    <root>/quarantine/<algorithm>-<hex>.<milliseconds>      a blob's file whose bytes were wrong

Nobody reads there: the bytes are kept for whoever wants to know what happened to them.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from kho.server.storage.files import fsync_folder, make_folders, opened_folder
from kho.server.storage.threads import Threads
from kho.server.storage.verified import Verified


@contextmanager
def held_folder(path: Path) -> Iterator[int]:
    """A blob's folder, open and locked: who places, sets aside or removes waits for the others.

    Raises FileNotFoundError when there is none, or none any more.
    """
    while True:
        with opened_folder(path) as folder:
            fcntl.flock(folder, fcntl.LOCK_EX)
            # One that was removed while we waited may have been made again: that is another lock.
            if os.path.samestat(os.stat(path), os.fstat(folder)):
                yield folder
                return


@dataclass(slots=True)
class Shelf:
    """What the readers of one folder of blobs share; `readers` are those that read just now."""

    threads: Threads
    root: Path
    verified: Verified
    readers: int = 0

    def set_aside(self, path: Path, fd: int) -> bool:
        """Move the file into quarantine, if it is still the one that `fd` has open.

        Whoever places a blob holds the lock of its folder meanwhile, so a good file that has just
        replaced the bad one is never taken.
        """
        quarantine = self.root / "quarantine"
        make_folders(quarantine, {self.root})
        algorithm, name = path.parts[-4], path.parts[-2]
        target = quarantine / f"{algorithm}-{name}.{time.time_ns() // 1_000_000}"
        try:
            with held_folder(path.parent) as folder:
                if not os.path.samestat(os.stat(path), os.fstat(fd)):
                    return False
                os.rename(path, target)
                os.fsync(folder)
        except FileNotFoundError:
            return False
        with opened_folder(quarantine) as folder:
            os.fsync(folder)
        return True

    def remove(self, path: Path) -> None:
        """Remove a blob's file and its folder; nothing happens when they are gone."""
        try:
            with held_folder(path.parent) as folder:
                path.unlink(missing_ok=True)
                os.fsync(folder)
                with suppress(OSError):  # there is something else in it
                    path.parent.rmdir()
        except FileNotFoundError:
            return
        fsync_folder(path.parent.parent)
