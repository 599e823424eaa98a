"""Blobs in this process's memory: for tests and for embedding; one worker only."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from kho.oci.digest import Digest
from kho.oci.errors import DigestInvalid, Unavailable
from kho.oci.hashing import Hasher, new_resumable_hasher, resume_hasher
from kho.server.storage.interface import (
    Checkpoint,
    StoredBlob,
    StoredSession,
    UploadBusy,
    UploadMissing,
)

CHUNK = 128 * 1024


@dataclass
class _Session:
    content: bytearray = field(default_factory=bytearray)
    touched: float = field(default_factory=time.monotonic)
    busy: bool = False


class MemoryWriter:
    """One session's writer."""

    def __init__(
        self, storage: "MemoryStorage", upload_id: str, session: _Session, size: int, hasher: Hasher
    ) -> None:
        self._storage = storage
        self._upload_id = upload_id
        self._session = session
        self._size = size
        self._hasher = hasher
        session.busy = True

    @property
    def size(self) -> int:
        """Bytes taken so far."""
        return self._size

    async def write(self, chunk: bytes) -> None:
        """Cut back to the checkpoint, then append."""
        self._hasher.update(chunk)
        self._session.content[self._size :] = chunk
        self._size += len(chunk)

    async def checkpoint(self) -> Checkpoint:
        """Memory has nothing to flush."""
        self._session.touched = time.monotonic()
        return Checkpoint(self.size, self._hasher.save())

    async def finish(self, digest: Digest) -> int:
        """Verify and place."""
        content = bytes(self._session.content[: self._size])
        self._session.busy = False
        if self._storage.sessions.get(self._upload_id) is not self._session:
            raise UploadMissing  # cancelled meanwhile
        del self._storage.sessions[self._upload_id]
        actual = Digest.of(content, digest.algorithm)
        if actual != digest:
            raise DigestInvalid(
                "the content does not match the digest",
                detail={"expected": str(digest), "actual": str(actual), "size": len(content)},
            )
        self._storage.blobs[digest] = self._storage.verified[digest] = content
        return len(content)

    async def abort(self) -> None:
        """Let go."""
        self._session.busy = False


class MemoryReader:
    """One open blob."""

    def __init__(self, storage: "MemoryStorage", name: Digest, content: bytes) -> None:
        self._storage = storage
        self._name = name
        self._content = content

    @property
    def size(self) -> int:
        """Length of the blob."""
        return len(self._content)

    @property
    def identity(self) -> int:
        """The object."""
        return id(self._content)

    @property
    def verified(self) -> bool:
        """What was confirmed, or came in through a writer."""
        return self._content is self._storage.verified.get(self._name)

    def confirm(self) -> None:
        """Remember the object."""
        self._storage.verified[self._name] = self._content

    def twin(self) -> "MemoryReader":
        """Nothing is held, so nothing is doubled."""
        return MemoryReader(self._storage, self._name, self._content)

    async def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """Slices."""
        if stop > len(self._content):
            raise Unavailable("a stored blob is shorter than it was")
        for offset in range(start, stop, CHUNK):
            yield self._content[offset : min(stop, offset + CHUNK)]

    async def digest(self, algorithm: str) -> Digest:
        """Hash all of it."""
        return Digest.of(self._content, algorithm)

    async def set_aside(self) -> bool:
        """Forget the blob, if it is still this one."""
        if self._storage.blobs.get(self._name) is not self._content:
            return False
        del self._storage.blobs[self._name]
        return True

    def close(self) -> None:
        """Nothing is held."""


class MemoryInventory:
    """What the dictionaries hold."""

    def __init__(self, storage: "MemoryStorage") -> None:
        self._storage = storage

    async def blobs(self) -> AsyncIterator[list[StoredBlob]]:
        """All of them; their age is not known."""
        kept = self._storage.blobs.items()
        yield [StoredBlob(digest, str(digest), len(content), 0.0) for digest, content in kept]

    async def sessions(self) -> AsyncIterator[list[StoredSession]]:
        """All of them."""
        found = [await self.session(name) for name in list(self._storage.sessions)]
        yield [session for session in found if session is not None]

    async def session(self, upload_id: str) -> StoredSession | None:
        """Look it up."""
        session = self._storage.sessions.get(upload_id)
        if session is None:
            return None
        age = time.monotonic() - session.touched
        return StoredSession(upload_id, len(session.content), age)

    async def clear(self, upload_id: str) -> bool:
        """Forget it, unless it is busy."""
        session = self._storage.sessions.get(upload_id)
        if session is None or session.busy:
            return False
        del self._storage.sessions[upload_id]
        return True


class MemoryStorage:
    """A dictionary of blobs."""

    def __init__(self) -> None:
        self.blobs: dict[Digest, bytes] = {}
        self.sessions: dict[str, _Session] = {}
        self.verified: dict[Digest, bytes] = {}
        self.inventory = MemoryInventory(self)

    async def create(self, upload_id: str, algorithm: str) -> MemoryWriter:
        """Start a session, or take up one that has acknowledged nothing."""
        return await self.resume(upload_id, algorithm, Checkpoint(0, None))

    async def resume(self, upload_id: str, algorithm: str, checkpoint: Checkpoint) -> MemoryWriter:
        """Go on at the checkpoint."""
        session = self.sessions.get(upload_id)
        if session is None and checkpoint.size == 0:
            session = self.sessions.setdefault(upload_id, _Session())
        if session is None or len(session.content) < checkpoint.size:
            raise UploadMissing
        if session.busy:
            raise UploadBusy
        hasher = resume_hasher(algorithm, checkpoint.state)
        if hasher is None:
            hasher = new_resumable_hasher(algorithm)
            hasher.update(bytes(session.content[: checkpoint.size]))
        return MemoryWriter(self, upload_id, session, checkpoint.size, hasher)

    async def discard(self, upload_id: str) -> None:
        """Forget the session."""
        self.sessions.pop(upload_id, None)

    async def open(self, digest: Digest, size: int | None) -> MemoryReader | None:
        """Open, and check the size."""
        content = self.blobs.get(digest)
        if content is None or size not in (None, len(content)):
            return None
        return MemoryReader(self, digest, content)

    async def holds(self, digest: Digest, size: int) -> bool:
        """Look it up."""
        content = self.blobs.get(digest)
        return content is not None and len(content) == size

    async def settle(self, digest: Digest, size: int) -> bool:
        """Look it up: nothing here survives a crash."""
        return await self.holds(digest, size)

    async def delete(self, digest: Digest) -> None:
        """Forget the blob."""
        self.blobs.pop(digest, None)
        self.verified.pop(digest, None)

    async def stale_uploads(self, older_than_seconds: float) -> list[str]:
        """Sessions not touched for that long."""
        limit = time.monotonic() - older_than_seconds
        return [name for name, session in self.sessions.items() if session.touched < limit]

    async def ping(self) -> None:
        """Memory is always there."""

    async def close(self) -> None:
        """Nothing is held."""
