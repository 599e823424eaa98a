"""One server and one Debian image for all clients; missing clients are named at the end."""

import contextlib
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from . import clients
from .clients import program
from .engines import Engines
from .guarded import PUBLIC, Guarded, guarded
from .images import DebianImage, debian_image
from .kho_client import Kho
from .processes import unmount_below
from .servers import KIND, Server, serving
from .signing_in import CLIENTS, Client, Containerd, Docker
from .small_images import SmallImage, TwoPlatforms, small_image, two_platforms

PRIVATE = "private/image"
NewClient = Callable[[str, Guarded], Client]


def pytest_configure() -> None:
    """A run that is told to end takes its daemons along, as one that is interrupted does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test here the time that a first image build takes."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(600))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the clients that were not there."""
    for name in sorted(clients.missing):
        terminalreporter.write_line(f"missing: {name}", yellow=True)


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server under test, with two workers and an empty store."""
    with serving(tmp_path_factory.mktemp("registry")) as server:
        yield server
    shutil.rmtree(server.data)


@pytest.fixture(scope="session")
def distribution(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Distribution as Debian packages it, for what `kho` must do with any registry."""
    program("docker-registry")
    with serving(tmp_path_factory.mktemp("distribution"), kind="distribution") as server:
        yield server
    shutil.rmtree(server.data)


@pytest.fixture(scope="module", params=["khod", "distribution"])
def either(request: pytest.FixtureRequest) -> Server:
    """One registry after the other."""
    name = "registry" if request.param == "khod" else "distribution"
    found: Server = request.getfixturevalue(name)
    return found


@pytest.fixture
def kho(tmp_path: Path) -> Kho:
    """`kho` of a user of its own, who has no logins and an empty store."""
    return Kho(tmp_path / "home")


@pytest.fixture(scope="session")
def debian() -> DebianImage:
    """A Debian root file system as an image of ten layers."""
    return debian_image()


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    """A client's own folder: state, sockets, pulled images. Nothing stays mounted in it."""
    folder = Path(tempfile.mkdtemp(prefix="kho-"))  # podman takes no path of 50 characters
    yield folder
    unmount_below(folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def http_door(tmp_path_factory: pytest.TempPathFactory, image: SmallImage) -> Iterator[Guarded]:
    """A server with accounts, over plain HTTP."""
    with _door(tmp_path_factory.mktemp("guarded"), image, tls=False) as door:
        yield door


@pytest.fixture(scope="session")
def tls_door(tmp_path_factory: pytest.TempPathFactory, image: SmallImage) -> Iterator[Guarded]:
    """A server with accounts, over TLS with the lab's CA."""
    with _door(tmp_path_factory.mktemp("guarded-tls"), image, tls=True) as door:
        yield door


@contextlib.contextmanager
def _door(home: Path, image: SmallImage, *, tls: bool) -> Iterator[Guarded]:
    if KIND != "khod":
        pytest.skip("it has no accounts of its own")
    with guarded(home, tls=tls) as door:
        for repository in (PUBLIC, PRIVATE):
            door.seed(repository, image)
        yield door
    shutil.rmtree(home)


@pytest.fixture(scope="session")
def private_image() -> str:
    """A repository with an image that only those with a grant may see."""
    return PRIVATE


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> SmallImage:
    """A small image."""
    return small_image(tmp_path_factory.mktemp("small") / "image")


@pytest.fixture(scope="session")
def both(tmp_path_factory: pytest.TempPathFactory) -> TwoPlatforms:
    """A small image for two platforms."""
    return two_platforms(tmp_path_factory.mktemp("both"))


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    """The daemons of docker and containerd, each started when it is first wanted."""
    with contextlib.ExitStack() as stack:
        folder = tmp_path_factory.mktemp("engines")
        stack.callback(shutil.rmtree, folder)
        stack.callback(unmount_below, folder)
        yield Engines(folder, stack)


@pytest.fixture
def new_client(engines: Engines) -> Iterator[NewClient]:
    """Makes a client by its name that knows no password of a server."""
    homes: list[Path] = []

    def made(name: str, door: Guarded) -> Client:
        home = Path(tempfile.mkdtemp(prefix="kho-"))  # podman takes no path of 50 characters
        homes.append(home)
        client = CLIENTS[name](home, door)
        if isinstance(client, Docker):
            client.engine = engines.docker(door)
        elif isinstance(client, Containerd):
            client.engine = engines.containerd()
        return client

    yield made
    for home in homes:
        unmount_below(home)
        shutil.rmtree(home)
