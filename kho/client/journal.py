"""Uploads under way, kept beyond the process: the next run goes on where this one was killed.

    <folder>/<sha256 of host/repository@digest>.json    {"url": "https://..."}; locked by its owner

Nothing secret is in it but the session's address. An entry that is lost costs bytes, nothing else.
"""

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from kho.oci.digest import Digest

# Registries forget sessions after days; an older entry is not worth asking about.
LIFETIME_SECONDS: Final = 7 * 86_400.0


def user_folder() -> Path:
    """Where this user's entries are."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "kho" / "uploads"


class Entry:
    """One upload's entry, which no other process has meanwhile."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def read(self) -> str | None:
        """The session's address."""
        with suppress(ValueError, AttributeError):
            url = json.loads(os.pread(self._fd, 65_536, 0)).get("url")
            return url if isinstance(url, str) else None
        return None

    def write(self, url: str | None) -> None:
        """Keep an address; None when there is nothing to go on with."""
        os.ftruncate(self._fd, 0)
        if url is not None:
            os.pwrite(self._fd, json.dumps({"url": url}).encode(), 0)


class Journal:
    """The folder of entries."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def entry(self, where: str, digest: Digest) -> Iterator[Entry | None]:
        """An upload's entry; None where another process has it, or the folder cannot be had."""
        name = hashlib.sha256(f"{where}@{digest}".encode()).hexdigest()
        path = self._folder / f"{name}.json"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            yield None
            return
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        else:
            entry = Entry(fd)
            try:
                yield entry
            finally:
                if entry.read() is None:
                    path.unlink(missing_ok=True)
        finally:
            os.close(fd)

    def sweep(self) -> None:
        """Forget what is too old."""
        oldest = time.time() - LIFETIME_SECONDS
        with suppress(OSError):
            for path in self._folder.glob("*.json"):
                if path.stat().st_mtime < oldest:
                    path.unlink(missing_ok=True)
