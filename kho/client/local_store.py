"""The images of this user: one layout that all of his runs of `kho` share.

    $KHO_STORE, else $XDG_DATA_HOME/kho/store, else ~/.local/share/kho/store

Its names are whole references: `docker.io/library/debian:12`.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from kho.client.layout import Layout, name_of
from kho.oci.reference import Reference


def user_store(env: Mapping[str, str] | None = None) -> Path:
    """The folder; it need not exist."""
    env = os.environ if env is None else env
    if env.get("KHO_STORE"):
        return Path(env["KHO_STORE"])
    data = env.get("XDG_DATA_HOME") or str(Path.home() / ".local/share")
    return Path(data) / "kho/store"


class LocalStore(Layout):
    """A layout whose names are references."""

    @property
    def name(self) -> str:
        """For messages."""
        return "local"

    def target(self, ref: Reference) -> str:
        """What to ask for: the digest where there is one, else the whole reference."""
        return str(ref.digest or ref)

    def has_name(self, ref: Reference) -> bool:
        """Whether the image is here under this reference."""
        if ref.digest is not None:
            return self.path(ref.digest).exists()
        return any(name_of(entry) == str(ref) for entry in self.entries())
