"""Broken connections, busy registries, proxies with limits: content arrives all the same."""

import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kho.client.progress import Progress
from kho.client.stores.copy import Copier
from kho.client.stores.journal import Journal
from kho.client.stores.layout import Layout
from kho.client.stores.registry_store import RegistryStore
from kho.client.stores.upload import LEAST_CHUNK
from kho.oci.digest import parse_digest
from kho.oci.manifest import Descriptor
from kho.remote.errors import Refused
from kho.remote.registry import Registry
from kho.remote.transport import Transport
from kho.testing.server import Khod
from tests.faults.proxy import Fault, Line

from .images import content_of, image

MIB = 2**20
SIZE = 3 * MIB
SILENCE = 2.0


@dataclass
class Told(Progress):
    """What a user would see."""

    notes: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    moved: int = 0

    def move(self, content: Descriptor, start: int) -> None:
        if content.size == SIZE:
            self.starts.append(start)
            print(start)

    def advance(self, content: Descriptor, count: int) -> None:
        del content
        self.moved += count

    def note(self, text: str) -> None:
        print(text)
        self.notes.append(text)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Khod]:
    """It soon gives up on a client that is silent in the middle of a body."""
    found = Khod(tmp_path_factory.mktemp("khod"), {"http.idle_seconds": 1}).start()
    yield found
    found.stop()


@pytest.fixture
def faulty(server: Khod) -> Khod:
    server.reset()
    return server


@pytest.fixture
async def made(layout: Layout) -> Layout:
    await image(layout, "v1", os.urandom(SIZE))
    return layout


@pytest.fixture
async def store(faulty: Khod) -> AsyncIterator[RegistryStore]:
    async with Registry(faulty.host) as registry:
        yield RegistryStore(registry, "app")


async def arrived(made: Layout, store: RegistryStore, back: Path) -> bool:
    await Copier(store, Layout(back)).copy("v1", ["v1"])
    return content_of(back) == content_of(made.folder)


@pytest.mark.parametrize("kind", ["close", "reset", "half-open"])
@pytest.mark.parametrize("up", [True, False], ids=["push", "pull"])
async def test_a_line_that_breaks_again_and_again(
    faulty: Khod, made: Layout, other: Layout, store: RegistryStore, kind: str, *, up: bool
) -> None:
    told = Told()
    if not up:
        await Copier(made, store).copy("v1", ["v1"])
    async with (
        Line(faulty.port, Fault(kind, up, 1_400_000)) as line,
        Transport(silence=SILENCE, pause=0.05) as transport,
    ):
        registry = Registry(f"127.0.0.1:{line.port}", transport=transport)
        broken = RegistryStore(registry, "app", silence=SILENCE)
        if up:
            await Copier(made, broken, told=told, parallel=1).copy("v1", ["v1"])
            assert len(told.starts) >= 3
            assert told.starts == sorted(told.starts)
            assert await arrived(made, store, other.folder)
        else:
            await Copier(broken, other, told=told, parallel=1).copy("v1", ["v1"])
            assert content_of(other.folder) == content_of(made.folder)
            # What is lost is what a reset takes out of the reader's kernel.
            assert told.moved < 2 * SIZE
    assert told.notes


async def test_a_proxy_with_a_limit_is_learnt(
    faulty: Khod, made: Layout, store: RegistryStore, tmp_path: Path
) -> None:
    told = Told()
    limit = faulty.faults.limit_body(LEAST_CHUNK + 100_000)
    await Copier(made, store, told=told, parallel=1).copy("v1", ["v1"])
    assert 2 <= limit.hits <= 4  # 3 MiB, then 1.5; the answer may be lost while more is sent
    assert await arrived(made, store, tmp_path / "back")
    hopeless = RegistryStore(store.registry, "hopeless")
    faulty.faults.limit_body(LEAST_CHUNK - 1)
    with pytest.raises(Refused, match="413"):
        await Copier(made, hopeless).copy("v1", ["v1"])


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "GET"])
async def test_a_busy_registry_is_asked_again(
    faulty: Khod, made: Layout, store: RegistryStore, tmp_path: Path, status: int, method: str
) -> None:
    fault = faulty.faults.answer(status, times=2, path="*/blobs/*", method=method, retry_after=0)
    await Copier(made, store, parallel=1).copy("v1", ["v1"])
    assert await arrived(made, store, tmp_path / "back")
    assert fault.hits == 2


async def test_a_rest_that_is_too_long_is_told(
    faulty: Khod, made: Layout, store: RegistryStore
) -> None:
    faulty.faults.answer(429, path="*/blobs/*", method="PATCH", retry_after=4000)
    with pytest.raises(Refused, match="429"):
        await Copier(made, store, parallel=1).copy("v1", ["v1"])


@pytest.mark.parametrize("left", ["gone", "elsewhere", "garbage"])
async def test_a_session_of_an_earlier_run_that_is_no_use(
    faulty: Khod, made: Layout, store: RegistryStore, tmp_path: Path, left: str
) -> None:
    store.journal = Journal(tmp_path / "journal")
    addresses = {
        "gone": f"{faulty.url}/v2/app/blobs/uploads/5b0f7b2e-0000-4000-8000-000000000000",
        "elsewhere": f"{faulty.url}/v2/other/thing",
        "garbage": "no address",
    }
    blob = next(
        one for one in (made.folder / "blobs/sha256").iterdir() if one.stat().st_size == SIZE
    )
    with store.journal.entry(store.name, parse_digest(f"sha256:{blob.name}")) as entry:
        assert entry is not None
        entry.write(addresses[left])
    await Copier(made, store).copy("v1", ["v1"])
    assert await arrived(made, store, tmp_path / "back")
    assert list((tmp_path / "journal").iterdir()) == []
