"""Where an image is, as it is written: a reference, or a folder.

ghcr.io/team/app:1, docker://ghcr.io/team/app:1     a registry
oci:folder, oci:folder:name                         an image layout
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kho.client.journal import Journal
from kho.client.layout import Layout
from kho.client.registry_store import RegistryStore
from kho.oci.reference import Reference, ReferenceInvalid
from kho.remote.registry import Registry

_DOCKER: Final = "docker://"
_OCI: Final = "oci:"


@dataclass(frozen=True, slots=True)
class Place:
    """An opened store, what is asked of it, and under which name content goes there."""

    store: Layout | RegistryStore
    target: str | None
    tag: str | None


def open_place(
    text: str, registry: Callable[[str], Registry], journal: Journal | None = None
) -> Place:
    """Read a place and open its store; raise ReferenceInvalid."""
    if text.startswith(_OCI):
        folder, colon, name = text.removeprefix(_OCI).partition(":")
        if not folder:
            raise ReferenceInvalid(f"{text!a:.300} names no folder: expected oci:folder[:name]")
        return Place(Layout(Path(folder)), name or None, name if colon and name else None)
    found = Reference.parse(text.removeprefix(_DOCKER))
    store = RegistryStore(registry(found.host), found.repository, journal)
    return Place(store, found.target, found.tag if found.digest is None else None)
