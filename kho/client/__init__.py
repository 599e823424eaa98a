"""The workbench: images on this machine and between registries, without a daemon."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from kho.client.building.artifact import Artifact, File
    from kho.client.building.attach import push_artifact
    from kho.client.errors import ClientError
    from kho.client.images.files import read_file
    from kho.client.images.image import Image, open_image
    from kho.client.logins.credentials import Keychain
    from kho.client.progress import Outcome, Progress
    from kho.client.rate import Rate
    from kho.client.stores.copy import Copied, Copier
    from kho.client.stores.journal import Journal
    from kho.client.stores.layout import Layout
    from kho.client.stores.registry_store import RegistryStore
    from kho.client.syncing.file import Rule
    from kho.client.syncing.sync import Sync

# What others use most; each is loaded when it is asked for.
_HOMES: Final = {
    "Artifact": "building.artifact",
    "ClientError": "errors",
    "Copied": "stores.copy",
    "Copier": "stores.copy",
    "File": "building.artifact",
    "Image": "images.image",
    "Journal": "stores.journal",
    "Keychain": "logins.credentials",
    "Layout": "stores.layout",
    "Outcome": "progress",
    "Progress": "progress",
    "Rate": "rate",
    "RegistryStore": "stores.registry_store",
    "Rule": "syncing.file",
    "Sync": "syncing.sync",
    "open_image": "images.image",
    "push_artifact": "building.attach",
    "read_file": "images.files",
}

__all__ = [
    "Artifact",
    "ClientError",
    "Copied",
    "Copier",
    "File",
    "Image",
    "Journal",
    "Keychain",
    "Layout",
    "Outcome",
    "Progress",
    "Rate",
    "RegistryStore",
    "Rule",
    "Sync",
    "open_image",
    "push_artifact",
    "read_file",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever has the name
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
