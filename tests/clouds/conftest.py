"""The clouds before a real khod; every name of theirs leads to them."""

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from kho.client.stores.registry_store import RegistryStore
from kho.remote.credentials import Credential
from kho.remote.hosts import Access
from kho.remote.registry import Registry
from kho.remote.transport import Transport
from tests.interop.servers import Server, serving

from .sky import Sky, sky

_numbers = count()


@pytest.fixture(scope="session")
def khod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all clouds."""
    with serving(tmp_path_factory.mktemp("khod")) as server:
        yield server


@pytest.fixture
async def clouds(khod: Server, tmp_path: Path) -> AsyncIterator[Sky]:
    """All of them, which have seen nothing yet."""
    async with sky(f"http://{khod.host}", tmp_path, part=f"run{next(_numbers)}-") as found:
        yield found


class ToSky(AbstractResolver):
    """The clouds' names alone, at their port whatever the URL says."""

    def __init__(self, found: Sky) -> None:
        self._sky = found

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        del port, family
        if host not in self._sky.hosts:
            raise OSError(f"{host} is none of the clouds")
        one = ResolveResult(
            hostname=host,
            host="127.0.0.1",
            port=self._sky.port,
            family=socket.AF_INET,
            proto=0,
            flags=socket.AI_NUMERICHOST,
        )
        return [one]

    async def close(self) -> None:
        """Nothing is held."""


@asynccontextmanager
async def client(
    found: Sky, host: str, credential: Credential | None = None
) -> AsyncIterator[Registry]:
    """A client of a registry, with this login for all of it."""

    async def lookup(_host: str, _repository: str | None) -> Credential | None:
        return credential

    access = Access(ca_files=(found.ca,))
    async with (
        Transport(silence=10.0, resolver=ToSky(found), pause=0.01) as transport,
        Registry(host, access=access, lookup=lookup, transport=transport) as registry,
    ):
        yield registry


def store(registry: Registry, repository: str) -> RegistryStore:
    """A repository."""
    return RegistryStore(registry, repository)
