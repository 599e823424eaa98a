"""Uploads under way, kept beyond the process: the next run goes on where this one was killed.

    <folder>/<sha256 of host/repository@digest>.json    {"url": "https://..."}, in a line; locked
                                                        by its owner, gone when the blob is there

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
            line = os.pread(self._fd, 65_536, 0).partition(b"\n")[0]
            url = json.loads(line).get("url")
            return url if isinstance(url, str) else None
        return None

    def write(self, url: str | None) -> None:
        """Keep an address; None when there is nothing to go on with."""
        line = b"" if url is None else json.dumps({"url": url}).encode() + b"\n"
        # In this order: whoever is killed in between has the old address or the new one.
        os.pwrite(self._fd, line, 0)
        os.ftruncate(self._fd, len(line))


class Journal:
    """The folder of entries."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._swept = False

    @contextmanager
    def entry(self, where: str, digest: Digest) -> Iterator[Entry | None]:
        """An upload's entry; None where another process has it, or the folder cannot be had."""
        path = self._path(where, digest)
        if not self._swept:
            self._swept = True
            self.sweep()
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

    def forget(self, where: str, digest: Digest) -> None:
        """The blob is there: an earlier run may have been killed before it could say so."""
        with suppress(OSError):
            self._path(where, digest).unlink()

    def _path(self, where: str, digest: Digest) -> Path:
        name = hashlib.sha256(f"{where}@{digest}".encode()).hexdigest()
        return self._folder / f"{name}.json"

    def sweep(self) -> None:
        """Forget what is too old."""
        oldest = time.time() - LIFETIME_SECONDS
        with suppress(OSError):
            for path in self._folder.glob("*.json"):
                if path.stat().st_mtime < oldest:
                    path.unlink(missing_ok=True)
