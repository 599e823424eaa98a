"""The workbench: images on this machine and between registries, without a daemon."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from kho.client.artifact import Artifact, File
    from kho.client.attach import push_artifact
    from kho.client.copy import Copied, Copier
    from kho.client.credentials import Keychain
    from kho.client.errors import ClientError
    from kho.client.image import Image, open_image
    from kho.client.image_files import read_file
    from kho.client.journal import Journal
    from kho.client.layout import Layout
    from kho.client.progress import Outcome, Progress
    from kho.client.rate import Rate
    from kho.client.registry_store import RegistryStore
    from kho.client.sync import Sync
    from kho.client.sync_file import Rule

# What others use most; each is loaded when it is asked for.
_HOMES: Final = {
    "Artifact": "artifact",
    "ClientError": "errors",
    "Copied": "copy",
    "Copier": "copy",
    "File": "artifact",
    "Image": "image",
    "Journal": "journal",
    "Keychain": "credentials",
    "Layout": "layout",
    "Outcome": "progress",
    "Progress": "progress",
    "Rate": "rate",
    "RegistryStore": "registry_store",
    "Rule": "sync_file",
    "Sync": "sync",
    "open_image": "image",
    "push_artifact": "attach",
    "read_file": "image_files",
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
