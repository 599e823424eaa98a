"""Accounts of a directory: search the user's entry, bind as it, search its groups.

    bind_dn ── search user_filter ──> one entry ── bind as its DN ──> the password is right
            └─ search group_filter ──> names of groups

A DN is never made of what a client sent: it comes from the directory.
"""

from kho.server.config import Config
from kho.server.resources import Resources


def check(config: Config) -> None:
    """Raise ValueError with what is missing for the settings of `[ldap]` to work."""


async def authenticate(resources: Resources, name: str, password: str) -> list[str] | None:
    """The user's groups when the password is right, else None. Raises Unavailable."""
    raise NotImplementedError


async def groups_of(resources: Resources, name: str) -> list[str] | None:
    """The user's groups; None when the directory does not have the user. Raises Unavailable."""
    raise NotImplementedError


async def ask_for_nobody(resources: Resources) -> None:
    """Make the directory do what a wrong password makes it do. Raises Unavailable."""
    raise NotImplementedError
