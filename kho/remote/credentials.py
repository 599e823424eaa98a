"""Who somebody is at a registry; where that is kept is the client's affair."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum


class Kind(Enum):
    """What a secret is, as docker's config.json tells them apart."""

    PASSWORD = "password"  # noqa: S105
    # A refresh token, which the token server changes for access tokens.
    IDENTITY_TOKEN = "identity token"  # noqa: S105
    # A bearer token, sent as it is.
    REGISTRY_TOKEN = "registry token"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Credential:
    """A name and a secret, which is never printed."""

    username: str
    secret: str = field(repr=False)
    kind: Kind = Kind.PASSWORD


# Finds the credential for a registry and repository; None is anonymous.
Lookup = Callable[[str, str | None], Awaitable[Credential | None]]


async def anonymous(_host: str, _repository: str | None) -> Credential | None:
    """Nobody has credentials."""
    return None
