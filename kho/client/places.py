"""Where an image is, as it is written.

ghcr.io/team/app:1, docker://ghcr.io/team/app:1     a registry
local:ghcr.io/team/app:1                            this user's own store
oci:folder, oci:folder:name                         an image layout
docker-archive:file[:name], oci-archive:file[:name] a tar file of images
docker-daemon:name                                  an engine, over its socket
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from kho.client.errors import Missing, Misused
from kho.client.local.store import LocalStore, user_store
from kho.client.stores.copy import choose
from kho.client.stores.journal import Journal
from kho.client.stores.layout import Layout
from kho.client.stores.registry_store import RegistryStore
from kho.client.stores.store import ContentMissing
from kho.oci.digest import Digest
from kho.oci.platform import Platform
from kho.oci.reference import Reference, ReferenceInvalid
from kho.remote.registry import Registry

if TYPE_CHECKING:
    from kho.client.archives.archive import Archive
    from kho.client.archives.places import ArchivePlace
    from kho.client.archives.target import ArchiveTarget

_DOCKER: Final = "docker://"
_OCI: Final = "oci:"
_LOCAL: Final = "local:"

_ARCHIVES: Final = frozenset({"docker-archive", "oci-archive", "docker-daemon"})
_STDOUT: Final = "-"

# Places of skopeo that kho does not have; a repository of such a name needs its registry's.
_FOREIGN: Final = frozenset({"dir", "containers-storage", "ostree", "sif", "tarball"})

SCHEMES: Final = _ARCHIVES | {"oci", "local"}

Registries = Callable[[str], Registry]


@dataclass(frozen=True, slots=True)
class Place:
    """An opened store, what is asked of it, and under which name content goes there."""

    store: "Layout | RegistryStore | Archive"
    target: str | None
    tag: str | None
    # What messages call it, where the store's name does not tell.
    called: str | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not isinstance(self.store, Layout | RegistryStore):
            self.store.close()

    async def wanted(self) -> str:
        """What to ask for: what was written, or the one image that is there."""
        if type(self.store) is Layout:
            _must_be_folder(self.store.folder)
        return self.target or await self.store.only_name()


@dataclass(frozen=True, slots=True)
class Aim:
    """Where content goes, and under which name; an archive is written by `async with`."""

    store: "Layout | RegistryStore | ArchiveTarget"
    tag: str | None
    # Whether it is standard output, where nothing else may be printed.
    stdout: bool = False

    async def __aenter__(self) -> Self:
        if not isinstance(self.store, Layout | RegistryStore):
            await self.store.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not isinstance(self.store, Layout | RegistryStore):
            await self.store.__aexit__(kind, error, trace)


def open_place(text: str, registries: Registries, journal: Journal | None = None) -> Place:
    """Read a place and open its store; a bare reference is one of a registry.

    Raises ReferenceInvalid.
    """
    archive = _archive(text)
    if archive is not None:
        return Place(archive.source(), archive.name if archive.file else None, None)
    if text.startswith(_OCI):
        folder, colon, name = text.removeprefix(_OCI).partition(":")
        if not folder:
            raise ReferenceInvalid(f"{text!a:.300} names no folder: expected oci:folder[:name]")
        return Place(Layout(Path(folder)), name or None, name if colon and name else None)
    if text.startswith(_LOCAL):
        return open_local(text.removeprefix(_LOCAL))
    found = _reference(text)
    store = RegistryStore(registries(found.host), found.repository, journal)
    return Place(store, found.target, found.tag if found.digest is None else None)


def open_aim(text: str, registries: Registries, journal: Journal | None = None) -> Aim:
    """Read a place that content goes to; raise ReferenceInvalid, Misused."""
    archive = _archive(text)
    if archive is not None:
        return Aim(archive.target(), archive.name, archive.file == _STDOUT)
    place = open_place(text, registries, journal)
    assert isinstance(place.store, Layout | RegistryStore)
    return Aim(place.store, place.tag)


def _archive(text: str) -> "ArchivePlace | None":
    """An archive or an engine, whose modules nothing else needs."""
    if text.partition(":")[0] not in _ARCHIVES:
        return None
    from kho.client.archives.places import ArchivePlace  # noqa: PLC0415 - 15 ms

    return ArchivePlace.parse(text)


def _reference(text: str) -> Reference:
    """One of a registry; the places of other tools are told from it."""
    scheme, colon, rest = text.partition(":")
    if colon and (rest.startswith("//") or scheme in _FOREIGN) and not text.startswith(_DOCKER):
        known = "host/name:tag, " + ", ".join(f"{one}:" for one in sorted(SCHEMES))
        raise ReferenceInvalid(f"{text!a:.300}: kho knows no {scheme}: there are {known}")
    return Reference.parse(text.removeprefix(_DOCKER))


def _must_be_folder(folder: Path) -> None:
    if folder.is_file():
        raise Misused(f"{folder} is a file, no layout: write oci-archive:{folder}")
    if not folder.exists():
        raise Missing(f"oci:{folder}: there is no such folder")


def open_local(text: str, folder: Path | None = None) -> Place:
    """A reference in the local store, whether it is there or not."""
    ref = Reference.parse(text)
    store = LocalStore(folder or user_store())
    tag = None if ref.digest is not None else str(ref)
    return Place(store, store.target(ref), tag, f"{_LOCAL}{text}")


def open_near(text: str, folder: Path | None = None) -> Place:
    """An image of the local store by reference, digest or its first digits; raise Missing."""
    store = LocalStore(folder or user_store())
    return Place(store, str(store.get(text).digest), None, text)


async def open_read(text: str, registries: Registries, platform: Platform | None = None) -> Place:
    """As `open_place`, but a bare reference is first looked for in the local store.

    There it may also be the first digits of a digest, six or more. Where the store has another
    image of an index than that for `platform`, the registry is asked.
    """
    scheme = text.partition(":")[0] if ":" in text else ""
    if scheme in SCHEMES or text.startswith(_DOCKER):
        return open_place(text, registries)
    store = LocalStore(user_store())
    target = await _near(store, text, platform)
    return open_place(text, registries) if target is None else Place(store, str(target), None, text)


async def _near(store: LocalStore, text: str, platform: Platform | None) -> Digest | None:
    """What the store has of it."""
    found = store.find(text)
    if found is None:
        with suppress(ReferenceInvalid):
            ref = Reference.parse(text)
            if ref.digest is not None and await store.has_manifest(ref.digest):
                return ref.digest
        return None
    index = None if found.index is None else store.stored(found.index)
    if platform is None or index is None:
        return found.digest
    with suppress(ContentMissing):
        return (await choose(store, index, platform)).digest
    with suppress(ReferenceInvalid):
        if found.is_called(Reference.parse(text)):
            return None
    raise Missing(f"{store.name}: {text} is not an image for {platform}")
