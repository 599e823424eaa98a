"""Each client over plain HTTP and over TLS: login, push, pull, refusals, a public image, logout."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from .access_log import assert_mounted
from .guarded import PASSWORDS, PUBLIC, Guarded
from .signing_in import CLIENTS, Client
from .small_images import SmallImage

_WRONG = r"unauthorized|incorrect username or password|wrong|denied|invalid username/password"
# What a client makes of a refused push; the others show the server's own words.
_NO_PUSH = {
    "containerd": "server message: insufficient_scope: authorization failed",
    "regctl": "failed to send blob post.*: unauthorized",
}
_DENIED = "requested access to the resource is denied"
_NO_ACCESS = r"denied|unauthorized|authentication required|insufficient_scope"
_WHEN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_PROGRESS = re.compile(r": resolving  |^elapsed: |^$")

NewClient = Callable[[], Client]


def _lasting(said: str) -> str:
    """Without the times of its lines, and the progress that is shown as often as it takes long."""
    kept = (line for line in said.splitlines() if not _PROGRESS.search(line))
    return "\n".join(_WHEN.sub("", line) for line in kept)


@pytest.fixture(params=["http", "tls"])
def door(request: pytest.FixtureRequest) -> Guarded:
    """The server, over plain HTTP or TLS."""
    found: Guarded = request.getfixturevalue(f"{request.param}_door")
    return found


@pytest.fixture(params=CLIENTS)
def name(request: pytest.FixtureRequest) -> str:
    """One of the clients."""
    return str(request.param)


@pytest.fixture
def repository(name: str, door: Guarded, request: pytest.FixtureRequest) -> str:
    """A name that no other test uses."""
    return f"{name}-{'tls' if door.ca else 'http'}/{request.function.__name__.lower()}"


@pytest.fixture
def client(name: str, door: Guarded, new_client: Callable[[str, Guarded], Client]) -> Client:
    """The client, which knows no password."""
    return new_client(name, door)


def test_wrong_password_is_refused_and_says_so(
    client: Client, name: str, image: SmallImage, repository: str
) -> None:
    # A different user for every client: ten failures of one user at one address are enough.
    user = list(PASSWORDS)[list(CLIENTS).index(name) % len(PASSWORDS)]
    tried = client.login(user, "not-the-password")
    if not client.asks_at_login:
        tried.must_succeed()
        tried = client.push(image, repository)
    tried.must_be_refused(_WRONG)
    assert client.door.digest(repository, "1") is None


def test_login_push_pull_logout(client: Client, image: SmallImage, repository: str) -> None:
    client.login("willa").must_succeed()
    client.push(image, repository).must_succeed()
    assert client.door.digest(repository, "1")
    client.pull(repository).must_succeed()
    client.logout().must_succeed()
    client.pull(repository).must_be_refused(_NO_ACCESS)


def test_reader_pulls_and_may_not_push(
    client: Client, name: str, image: SmallImage, repository: str, private_image: str
) -> None:
    client.login("rita").must_succeed()
    client.pull(private_image).must_succeed()
    client.push(image, repository).must_be_refused(_NO_PUSH.get(name, _DENIED))
    assert client.door.digest(repository, "1") is None


def test_anonymous_pulls_what_is_public_and_nothing_else(
    client: Client, image: SmallImage, repository: str, private_image: str
) -> None:
    client.pull(PUBLIC).must_succeed()
    client.pull(private_image).must_be_refused(_NO_ACCESS)
    client.push(image, repository).must_be_refused(_NO_ACCESS)
    assert client.door.digest(repository, "1") is None


@pytest.mark.parametrize("name", ["docker", "podman", "skopeo"], indirect=True)
def test_push_to_another_repository_mounts(
    client: Client, image: SmallImage, repository: str
) -> None:
    """These ask for a token that holds for the source as well."""
    client.login("willa").must_succeed()
    client.push(image, f"{repository}-source").must_succeed()
    log = client.door.server.log
    mark = log.mark()
    client.push(image, repository).must_succeed()
    assert_mounted(log.since(mark), repository, 1)


def test_who_may_not_see_a_repository_is_told_the_same_as_of_none(
    client: Client, private_image: str
) -> None:
    client.login("paula").must_succeed()
    hidden = client.pull(private_image).must_be_refused(_NO_ACCESS)
    absent = client.pull("private/absent").must_be_refused(_NO_ACCESS)
    told = _lasting(hidden.said).replace(private_image, "private/absent")
    assert told == _lasting(absent.said)


def test_certificate_of_an_unknown_ca_is_refused(
    name: str, tls_door: Guarded, tmp_path: Path, new_client: Callable[[str, Guarded], Client]
) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    client = new_client(name, Guarded(tls_door.server, tmp_path / "other.pem"))
    client.pull(PUBLIC).must_be_refused("certificate signed by unknown authority")
