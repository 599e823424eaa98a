"""What lies in the folders of FilesystemStorage, whatever rows say."""

import fcntl
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

from kho.oci.digest import Digest
from kho.oci.errors import DigestInvalid
from kho.server.storage.interface import StoredBlob, StoredSession
from kho.server.storage.threads import Threads

BATCH: Final = 1000


class FileInventory:
    """Lists files, one folder at a time."""

    def __init__(self, threads: Threads, blobs: Path, uploads: Path) -> None:
        self._threads = threads
        self._blobs = blobs
        self._uploads = uploads

    async def blobs(self) -> AsyncIterator[list[StoredBlob]]:
        """A folder of the first two digits is a batch: 1/256 of all."""
        for algorithm in await self._threads.run(_folder, self._blobs):
            if not algorithm.is_dir():
                yield [_stray(algorithm)]
                continue
            for part in await self._threads.run(_folder, algorithm):
                yield await self._threads.run(_blobs_of, algorithm.name, part)

    async def sessions(self) -> AsyncIterator[list[StoredSession]]:
        """The files of `uploads/`."""
        files = iter(os.scandir(self._uploads))
        while batch := await self._threads.run(_sessions_of, files):
            yield batch

    async def session(self, upload_id: str) -> StoredSession | None:
        """One stat."""
        return await self._threads.run(_session, self._uploads / upload_id)

    async def clear(self, upload_id: str) -> bool:
        """Unlink, holding the lock that its writer would hold."""
        return await self._threads.run(_clear, self._uploads / upload_id)


def _folder(path: Path) -> list[Path]:
    return sorted(path.iterdir())


def _blobs_of(algorithm: str, part: Path) -> list[StoredBlob]:
    if not part.is_dir():
        return [_stray(part)]
    return [blob for folder in part.iterdir() for blob in _blob_of(algorithm, part.name, folder)]


def _blob_of(algorithm: str, part: str, folder: Path) -> Iterator[StoredBlob]:
    """The file `data` of a blob's folder, and whatever should not be there."""
    try:
        digest = Digest.parse(f"{algorithm}:{folder.name}")
        files = list(folder.iterdir())
    except (DigestInvalid, NotADirectoryError):
        yield _stray(folder)
        return
    except FileNotFoundError:
        return
    for path in files:
        if path.name == "data" and folder.name.startswith(part):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            yield StoredBlob(digest, str(path), status.st_size, _age(status))
        else:
            yield _stray(path)


def _stray(path: Path) -> StoredBlob:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return StoredBlob(None, str(path), 0, 0.0)
    return StoredBlob(None, str(path), status.st_size, _age(status))


def _sessions_of(files: Iterator[os.DirEntry[str]]) -> list[StoredSession]:
    found: list[StoredSession] = []
    for entry in files:
        session = _session(Path(entry.path))
        if session is not None:
            found.append(session)
        if len(found) == BATCH:
            break
    return found


def _session(path: Path) -> StoredSession | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return StoredSession(path.name, status.st_size, _age(status))


def _clear(path: Path) -> bool:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True


def _age(status: os.stat_result) -> float:
    """Since it was written or renamed: a session that rested for long may be a blob just now."""
    return time.time() - max(status.st_mtime, status.st_ctime)
