"""How `kho blob` brings blobs to standard output or a file, and files into a repository."""

import os
import sys
from codecs import getincrementaldecoder
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kho.cli import shown
from kho.cli.reading import Notes
from kho.client.errors import Misused
from kho.client.stores.journal import Journal, user_folder
from kho.client.stores.registry_store import RegistryStore
from kho.client.stores.steady import steady
from kho.client.stores.store import ContentMissing
from kho.oci import media_types
from kho.oci.digest import Digest
from kho.oci.hashing import new_hasher
from kho.oci.manifest import Descriptor
from kho.oci.reference import Reference
from kho.remote import blobs
from kho.remote.blobs import Stream
from kho.remote.manifests import Manifest
from kho.remote.referrers import Referrer

if TYPE_CHECKING:
    from kho.cli.wire import Wire

_PIECE: Final = 256 * 1024
_HEAD: Final = 1024


async def found_blob(wire: "Wire", ref: Reference) -> Descriptor:
    """Its digest and size; raise Misused, ContentMissing."""
    if ref.digest is None:
        raise Misused(f"{ref}: which blob? Write {ref.where}@sha256:...")
    size = await blobs.size(wire.registry(ref.host), ref.repository, ref.digest)
    if size is None:
        raise ContentMissing(f"{ref.where} has no blob {ref.digest}, or not for this login")
    return Descriptor("layer", media_types.OCTET_STREAM, ref.digest, size)


async def get_blob(wire: "Wire", ref: Reference, output: Path | None) -> None:
    """To a file, or standard output; binary content is not for terminals."""
    content = await found_blob(wire, ref)
    store = RegistryStore(wire.registry(ref.host), ref.repository)
    hasher = new_hasher(content.digest.algorithm)
    async with aclosing(steady(store, content, hasher, 0, Notes())) as pieces:
        if output is not None:
            await _write(output, pieces)
            return
        first = True
        async for piece in pieces:
            if first and sys.stdout.isatty() and is_binary(piece[:_HEAD]):
                raise Misused(f"{content.digest} is binary: use -o FILE, or a pipe")
            first = False
            shown.content(piece)


def is_binary(head: bytes) -> bool:
    """Whether bytes are no text; the last sign may be cut off."""
    try:
        return b"\0" in head or not getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return True


async def _write(output: Path, pieces: AsyncIterator[bytes]) -> None:
    part = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        with part.open("wb") as file:
            async for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)


async def put_blob(wire: "Wire", ref: Reference, file: Path) -> Descriptor:
    """Upload; what is there already is not sent."""
    source = OneFile(file, ref.digest.algorithm if ref.digest is not None else "sha256")
    if ref.digest is not None and source.content.digest != ref.digest:
        raise Misused(f"{file} has the digest {source.content.digest}, not {ref.digest}")
    registry = wire.registry(ref.host)
    store = RegistryStore(registry, ref.repository, Journal(user_folder()))
    await store.take_blob(source.content, source, Notes())
    return source.content


class OneFile:
    """A source that has one blob."""

    def __init__(self, path: Path, algorithm: str = "sha256") -> None:
        self._path = path
        hasher, size = new_hasher(algorithm), 0
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                hasher.update(piece)
                size += len(piece)
        self.content = Descriptor("layer", media_types.OCTET_STREAM, hasher.digest(), size)

    @property
    def name(self) -> str:
        """For messages."""
        return str(self._path)

    async def manifest(self, target: str) -> Manifest:
        """None is here."""
        raise ContentMissing(f"{self.name} has no image {target}")

    @asynccontextmanager
    async def blob(self, content: Descriptor, start: int) -> AsyncIterator[Stream]:
        """The file."""
        del content
        with self._path.open("rb") as file:
            file.seek(start)
            yield Stream(start, self.content.size, _pieces(iter(lambda: file.read(_PIECE), b"")))

    async def referrers(self, digest: Digest) -> list[Referrer]:
        """None are here."""
        del digest
        return []

    async def tags(self) -> AsyncIterator[str]:
        """None are here."""
        for name in list[str]():
            yield name


async def _pieces(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
