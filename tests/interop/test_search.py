"""`docker search`, `podman search`: what is public, and with a login what one may see."""

from collections.abc import Callable
from pathlib import Path

import pytest

from .guarded import PUBLIC, Guarded
from .signing_in import Client, Docker, Podman

NewClient = Callable[[str, Guarded], Client]


@pytest.fixture(params=["http", "tls"])
def door(request: pytest.FixtureRequest) -> Guarded:
    """The server, over plain HTTP or TLS."""
    found: Guarded = request.getfixturevalue(f"{request.param}_door")
    return found


@pytest.fixture
def docker(new_client: NewClient, door: Guarded) -> Docker:
    """With no login."""
    client = new_client("docker", door)
    assert isinstance(client, Docker)
    return client


@pytest.fixture
def podman(new_client: NewClient, door: Guarded) -> Podman:
    """With no login."""
    client = new_client("podman", door)
    assert isinstance(client, Podman)
    return client


def asked(client: Docker | Podman, *words: str) -> list[list[str]]:
    """The lines of a search without headings and warnings, in columns."""
    ways: tuple[str | Path, ...] = ()
    if isinstance(client, Podman):  # its search takes no `--cert-dir`
        ways = (*client.logout_ways(), "--tls-verify=false")
    told = client.ask("search", *ways, "--no-trunc", *words).must_succeed()
    lines = (line.split() for line in told.said.splitlines())
    return [line for line in lines if line and line[0] != "NAME" and "=" not in line[0]]


def names(client: Docker | Podman, term: str, *words: str) -> list[str]:
    """What is found, without the host."""
    found = asked(client, *words, f"{client.host}/{term}")
    return [line[0].removeprefix(f"{client.host}/") for line in found]


def test_docker(docker: Docker, private_image: str) -> None:
    assert names(docker, "image") == [PUBLIC]
    assert names(docker, PUBLIC[:-1], "--limit=1") == [PUBLIC]
    assert names(docker, "no-such-thing") == []
    assert names(docker, private_image) == []
    docker.login("rita").must_succeed()
    assert names(docker, private_image) == [private_image]


def test_podman(podman: Podman, private_image: str) -> None:
    """It never logs in to a search; of an empty term it asks the catalog, with its login."""
    assert names(podman, "image") == [PUBLIC]
    assert names(podman, "image", "--limit=1") == [PUBLIC]
    assert names(podman, "image", "--filter=is-official") == []
    assert names(podman, "no-such-thing") == []
    assert names(podman, private_image) == []
    podman.login("rita").must_succeed()
    assert {PUBLIC, private_image} <= set(names(podman, ""))


def test_podman_lists_tags(podman: Podman, private_image: str) -> None:
    podman.login("rita").must_succeed()
    for repository in (PUBLIC, private_image):
        reference = f"{podman.host}/{repository}"
        assert asked(podman, "--list-tags", reference) == [[reference, "1"]]
