"""docker's own engine: push, pull, run, `docker manifest`; it has no remote delete."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from .access_log import assert_mounted, assert_nothing_uploaded
from .clients import Command
from .engines import docker_engine
from .images import MARKER, MARKER_TEXT, DebianImage
from .processes import run
from .servers import Server
from .wire import digest_of, layers_of, manifest

_LOADED = "kho.invalid/debian:1"


@pytest.fixture(scope="module")
def docker(scratch: Path) -> Iterator[Command]:
    """The engine that pushes."""
    with docker_engine(scratch / "first") as command:
        yield (*command, "--config", scratch / "config")


@pytest.fixture(scope="module")
def pushed(docker: Command, registry: Server, debian: DebianImage) -> str:
    """The image as docker pushed it."""
    run(*docker, "load", "--input", debian.folder / "docker.tar")
    reference = f"{registry.host}/docker/debian:1"
    _push(docker, _LOADED, reference)
    return reference


def _push(docker: Command, image: str, reference: str) -> str:
    """Push under a new name; returns the digest that docker tells."""
    run(*docker, "tag", image, reference)
    told = re.search(r"digest: (sha256:[0-9a-f]{64})", run(*docker, "push", reference))
    assert told
    return told[1]


def test_push_sends_every_layer_and_tells_the_digest(
    docker: Command, pushed: str, registry: Server, debian: DebianImage
) -> None:
    assert len(layers_of(registry, "docker/debian", "1")) == len(debian.layers)
    assert digest_of(registry, "docker/debian", "1") in run(*docker, "image", "inspect", pushed)


def test_pull_into_an_empty_engine_runs(pushed: str, registry: Server, scratch: Path) -> None:
    script = f"cat {MARKER} /etc/debian_version; python3 -c 'print(6*7)'"
    with docker_engine(scratch / "second") as engine:
        other = (*engine, "--config", scratch / "config")
        printed = run(*other, "pull", pushed)
        assert f"Digest: {digest_of(registry, 'docker/debian', '1')}" in printed
        lines = run(
            *other, "run", "--rm", "--network=none", pushed, "sh", "-c", script
        ).splitlines()
    assert lines[0] == MARKER_TEXT
    assert lines[1].startswith("12.")
    assert lines[2] == "42"


def test_second_push_uploads_nothing(docker: Command, pushed: str, registry: Server) -> None:
    mark = registry.log.mark()
    told = _push(docker, pushed, f"{registry.host}/docker/debian:again")
    assert_nothing_uploaded(registry.log.since(mark))
    assert (
        told
        == digest_of(registry, "docker/debian", "1")
        == digest_of(registry, "docker/debian", "again")
    )


def test_push_to_another_repository_mounts(
    docker: Command, pushed: str, registry: Server, debian: DebianImage
) -> None:
    mark = registry.log.mark()
    told = _push(docker, pushed, f"{registry.host}/docker/mounted:1")
    assert_mounted(registry.log.since(mark), "docker/mounted", len(debian.layers))
    assert told == digest_of(registry, "docker/mounted", "1")


def test_index_of_two_platforms(
    docker: Command, pushed: str, registry: Server, debian: DebianImage, scratch: Path
) -> None:
    repository = f"{registry.host}/docker/multi"
    _push(docker, pushed, f"{repository}:amd64")
    small = scratch / "small.tar"
    run("tar", "-C", debian.folder / "debian", "-cf", small, "oci-layout")
    run(*docker, "import", small, f"{repository}:arm64")
    run(*docker, "push", f"{repository}:arm64")
    run(
        *docker,
        "manifest",
        "create",
        "--insecure",
        f"{repository}:1",
        f"{repository}:amd64",
        f"{repository}:arm64",
    )
    run(*docker, "manifest", "annotate", "--arch=arm64", f"{repository}:1", f"{repository}:arm64")
    told = run(*docker, "manifest", "push", f"{repository}:1").strip()
    assert told == digest_of(registry, "docker/multi", "1")
    index = manifest(registry, "docker/multi", "1").json()
    assert {child["platform"]["architecture"] for child in index["manifests"]} == {"amd64", "arm64"}
    assert f"Digest: {told}" in run(*docker, "pull", f"{repository}:1")
