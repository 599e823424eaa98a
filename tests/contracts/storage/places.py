"""The places for bytes that the suite runs over; a new one enrols with a line in PLACES."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kho.oci.digest import Digest
from kho.server.storage.filesystem import FilesystemStorage
from kho.server.storage.interface import BlobStorage
from kho.server.storage.memory import MemoryStorage


@dataclass(frozen=True)
class Place:
    """A place, as the suite handles it.

    `open` gives another instance on the same bytes, as another worker would have. `spoil` puts
    other bytes under a digest's name, behind the storage's back.
    """

    open: Callable[[], BlobStorage]
    spoil: Callable[[Digest, bytes], None]


def memory(folder: Path) -> Place:  # noqa: ARG001
    """One process, one instance."""
    storage = MemoryStorage()
    return Place(lambda: storage, storage.blobs.__setitem__)


def filesystem(folder: Path) -> Place:
    """Files below a folder."""

    def spoil(digest: Digest, content: bytes) -> None:
        FilesystemStorage(folder).blob_path(digest).write_bytes(content)

    return Place(lambda: FilesystemStorage(folder), spoil)


PLACES: dict[str, Callable[[Path], Place]] = {
    "memory": memory,
    "filesystem": filesystem,
}
