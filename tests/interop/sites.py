"""Every registry that `kho` is tried against, with a user who may do everything in his part.

khod          with accounts, over plain HTTP: tokens
distribution  Debian's docker-registry with htpasswd, over plain HTTP: Basic
the clouds    under their true names over TLS, in a network of their own: tests/clouds/world.py
"""

import contextlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bcrypt

from tests.clouds.sky import NAMES
from tests.clouds.world import World

from .clients import program
from .guarded import PASSWORDS, guarded
from .kho_client import Kho
from .servers import serving

SITES = ("khod", "distribution", *NAMES)


@dataclass(frozen=True, slots=True)
class Site:
    """A registry. `reference` is a repository of the user's; `inside` as in Kho."""

    name: str
    host: str
    reference: str
    user: str
    secret: str
    inside: tuple[str, ...] = ()
    ca: Path | None = None

    @property
    def beside(self) -> str:
        """Another repository of the user's."""
        return f"{self.reference.rpartition('/')[0]}/copy"

    def somebody(self, home: Path) -> Kho:
        """A user of `kho` who has not logged in."""
        found = Kho(home, self.inside)
        if self.ca is not None:
            found.env["SSL_CERT_FILE"] = str(self.ca)
        return found


def of_cloud(name: str, planet: World) -> Site:
    """One of the clouds."""
    one = planet.accounts[name]
    return Site(name, one.host, one.reference, one.user, one.secret, planet.inside, planet.ca)


@contextlib.contextmanager
def khod_site(home: Path) -> Iterator[Site]:
    """A khod whose maintainer logs in."""
    with guarded(home, people=("mona",)) as door:
        yield Site("khod", door.host, f"{door.host}/kholab/app", "mona", PASSWORDS["mona"])


@contextlib.contextmanager
def distribution_site(home: Path) -> Iterator[Site]:
    """A docker-registry with one user."""
    program("docker-registry")
    user, secret = "alice", secrets.token_urlsafe(12)
    hashed = bcrypt.hashpw(secret.encode(), bcrypt.gensalt(4)).decode()
    home.mkdir(parents=True, exist_ok=True)
    (home / "htpasswd").write_text(f"{user}:{hashed}\n")
    settings = {
        "REGISTRY_AUTH": "htpasswd",
        "REGISTRY_AUTH_HTPASSWD_REALM": "lab",
        "REGISTRY_AUTH_HTPASSWD_PATH": str(home / "htpasswd"),
    }
    with serving(home, settings=settings, kind="distribution") as server:
        yield Site("distribution", server.host, f"{server.host}/kholab/app", user, secret)
