"""BlobStorage: what every place for bytes promises.

Storage knows digests and upload sessions, not repositories. An upload session is data, held by the
caller: its id, the bytes acknowledged so far and an opaque state. Any process that is handed the
three goes on with it.

    create(id) ─► write … write ─► checkpoint() ─► Checkpoint(size, state)    kept by the caller
                    ▲                                        │
                    └───────── resume(id, checkpoint) ◄──────┘                on any worker
    finish(digest) ─► the blob is visible, whole and flushed, or nothing is

The writer holds the session until it is finished or aborted; the caller keeps its checkpoint
first, so that the next writer sees it.
"""

from collections.abc import AsyncIterator, Hashable
from dataclasses import dataclass
from typing import Protocol, Self

from kho.oci.digest import Digest


class UploadMissing(Exception):
    """The session's bytes are gone or shorter than the caller was promised."""


class UploadBusy(Exception):
    """Another writer, perhaps in another process, holds the session."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`size` bytes are flushed; `state` resumes their hash, None where it cannot."""

    size: int
    state: bytes | None


class BlobWriter(Protocol):
    """One writer of one session. End it with finish or abort."""

    @property
    def size(self) -> int:
        """Bytes taken so far, flushed or not."""

    async def write(self, chunk: bytes) -> None:
        """Append. Returns when the next chunk may come, not when this one is durable.

        Raises InsufficientStorage or Unavailable; the writer is then good for abort only.
        """

    async def checkpoint(self) -> Checkpoint:
        """Flush all bytes taken so far; the writer goes on."""

    async def finish(self, digest: Digest) -> int:
        """Verify, place and flush the blob; return its size.

        An existing blob is replaced, which heals a bad one. Raises DigestInvalid, after which the
        session is gone, and UploadMissing when it was discarded meanwhile.
        """

    async def abort(self) -> None:
        """Let go of the session, bytes since the last checkpoint forgotten. Never raises."""


class BlobReader(Protocol):
    """An open blob: survives deletion and replacement until closed."""

    @property
    def size(self) -> int:
        """Length of the whole blob in bytes."""

    def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """The bytes from `start` to `stop` (exclusive) in pieces of at most 256 KiB.

        Raises Unavailable when bytes are missing or unreadable: never ends short.
        """

    def close(self) -> None:
        """Let go of the blob; safe to call twice."""


class StoredReader(BlobReader, Protocol):
    """The same, for those who want to know whether the bytes are right."""

    @property
    def identity(self) -> Hashable:
        """Equal for readers of the same bytes; another when these were replaced or changed."""

    @property
    def verified(self) -> bool:
        """Whether this process has hashed these bytes, and nobody changed them since."""

    def confirm(self) -> None:
        """The bytes were hashed and are right: `verified` from now on, for a day."""

    def twin(self) -> Self:
        """Another reader of the same bytes, to be closed on its own. Raises Unavailable."""

    async def digest(self, algorithm: str) -> Digest:
        """Hash all bytes as they are stored; raises Unavailable when they cannot be read."""

    async def set_aside(self) -> bool:
        """Move the bytes to where nobody reads them, so that the blob is absent.

        False when others have taken their place: those stay.
        """


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """Bytes under a blob's name; `digest` is None for what is no blob at all."""

    digest: Digest | None
    where: str
    size: int
    age_seconds: float


@dataclass(frozen=True, slots=True)
class StoredSession:
    """Bytes of a session, or something else that lies among them."""

    id: str
    size: int
    age_seconds: float


class Inventory(Protocol):
    """What is stored, whether anybody knows of it or not."""

    def blobs(self) -> AsyncIterator[list[StoredBlob]]:
        """Everything under the names of blobs, in batches."""

    def sessions(self) -> AsyncIterator[list[StoredSession]]:
        """Everything among the sessions, in batches."""

    async def session(self, upload_id: str) -> StoredSession | None:
        """One of them."""

    async def clear(self, upload_id: str) -> bool:
        """Forget bytes that nobody is writing; False when somebody is, or nothing was there."""


class BlobStorage(Protocol):
    """A place for bytes."""

    @property
    def inventory(self) -> Inventory:
        """What there is, for those who compare it with what there should be."""

    async def create(self, upload_id: str, algorithm: str) -> BlobWriter:
        """Start the session `upload_id`, hashing with `algorithm`."""

    async def resume(self, upload_id: str, algorithm: str, checkpoint: Checkpoint) -> BlobWriter:
        """Go on at a checkpoint; the first write cuts off any later bytes.

        Raises UploadMissing, UploadBusy. Once it returns no other writer can hold the session, so
        the caller reads its checkpoint again before it writes, and aborts when it has moved.
        """

    async def discard(self, upload_id: str) -> None:
        """Forget a session and its bytes; nothing happens when it is gone."""

    async def open(self, digest: Digest, size: int | None) -> StoredReader | None:
        """Open a blob that should have `size` bytes; None when it is absent or has another size.

        Without a size whatever is there is opened.
        """

    async def holds(self, digest: Digest, size: int) -> bool:
        """Tell whether the blob is there with `size` bytes."""

    async def settle(self, digest: Digest, size: int) -> bool:
        """Tell the same of a blob that a crash may have left unflushed, and flush it."""

    async def delete(self, digest: Digest) -> None:
        """Remove a blob's bytes; nothing happens when they are gone."""

    async def stale_uploads(self, older_than_seconds: float) -> list[str]:
        """Sessions whose bytes were not touched for that long: leftovers of crashes."""

    async def ping(self) -> None:
        """Raise Unavailable or InsufficientStorage when blobs cannot be stored now."""

    async def close(self) -> None:
        """Let go of everything."""
