"""WWW-Authenticate as registries write it (section 7.1 of the protocol notes)."""

import re
from collections.abc import Sequence
from typing import Final

from kho.oci.scope import Scope

# The realm may come from a Host header: nothing in it may end the string.
_UNSAFE: Final = re.compile(r"[^ !#-\[\]-~]")


def bearer_challenge(
    realm: str, service: str, scopes: Sequence[Scope] = (), error: str | None = None
) -> str:
    """Comma without space, double quotes, in this order: clients parse it by hand."""
    parts = [("realm", realm), ("service", service)]
    if scopes:
        parts.append(("scope", " ".join(map(str, scopes))))
    if error is not None:
        parts.append(("error", error))
    return "Bearer " + ",".join(f"{key}={_quoted(value)}" for key, value in parts)


def basic_challenge(realm: str) -> str:
    """Ask for name and password."""
    return f"Basic realm={_quoted(realm)}"


def _quoted(value: str) -> str:
    return '"' + _UNSAFE.sub("?", value) + '"'
