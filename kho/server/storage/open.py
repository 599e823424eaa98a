"""A URL becomes a BlobStorage."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from kho.server.storage.filesystem import FilesystemStorage
from kho.server.storage.interface import BlobStorage
from kho.server.storage.memory import MemoryStorage

SCHEMES = ("file", "memory")


def open_storage(url: str) -> BlobStorage:
    """Open `file:///folder` or `memory://`; raise ValueError for another scheme."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return FilesystemStorage(Path(unquote(parts.path)))
    if parts.scheme == "memory":
        return MemoryStorage()
    raise ValueError(f"storage {parts.scheme!a}: allowed are {', '.join(SCHEMES)}")
