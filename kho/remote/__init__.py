"""The wire: speak the distribution protocol to any registry."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from kho.remote.credentials import Credential, Kind
    from kho.remote.errors import LoginNeeded, NotFound, Refused, RemoteError, Unreachable
    from kho.remote.hosts import Access
    from kho.remote.registry import Registry
    from kho.remote.transport import Transport

# What others use most; each is loaded when it is asked for.
_HOMES: Final = {
    "Access": "hosts",
    "Credential": "credentials",
    "Kind": "credentials",
    "LoginNeeded": "errors",
    "NotFound": "errors",
    "Refused": "errors",
    "Registry": "registry",
    "RemoteError": "errors",
    "Transport": "transport",
    "Unreachable": "errors",
}

__all__ = [
    "Access",
    "Credential",
    "Kind",
    "LoginNeeded",
    "NotFound",
    "Refused",
    "Registry",
    "RemoteError",
    "Transport",
    "Unreachable",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever has the name
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
