"""podman: push, pull, run, search, an index; no remote delete exists."""

from pathlib import Path

import pytest

from .access_log import assert_mounted, assert_nothing_uploaded
from .clients import Command, program, with_own_cache
from .images import MARKER, MARKER_TEXT, DebianImage
from .processes import run
from .servers import Server
from .wire import digest_of, layers_of, manifest

_INSECURE = "--tls-verify=false"
# podman raises these limits for its containers, which a sandboxed root may not do
_LIMITS = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=4096:4096")


def _podman(state: Path) -> Command:
    places = ("--root", state / "root", "--runroot", state / "run", "--tmpdir", state / "tmp")
    ways = ("--storage-driver=overlay", "--cgroup-manager=cgroupfs", "--events-backend=none")
    return (
        *with_own_cache("podman", state / "cache"),
        *places,
        *ways,
        "--runtime",
        program("runc"),
    )


@pytest.fixture(scope="module")
def podman(scratch: Path) -> Command:
    """The program over a store of its own."""
    return _podman(scratch / "first")


@pytest.fixture(scope="module")
def image(podman: Command, debian: DebianImage) -> str:
    """The Debian image in podman's store."""
    return run(*podman, "pull", "--quiet", f"docker-archive:{debian.folder}/docker.tar").split()[-1]


@pytest.fixture(scope="module")
def pushed(podman: Command, image: str, registry: Server) -> str:
    """The image as podman pushed it."""
    reference = f"{registry.host}/podman/debian:1"
    run(*podman, "push", _INSECURE, image, reference)
    return reference


def test_push_tells_the_digest(
    podman: Command, image: str, registry: Server, scratch: Path
) -> None:
    told = scratch / "digest"
    run(*podman, "push", _INSECURE, "--digestfile", told, image, f"{registry.host}/podman/told:1")
    assert told.read_text().strip() == digest_of(registry, "podman/told", "1")


def test_pull_into_an_empty_store_runs(pushed: str, registry: Server, scratch: Path) -> None:
    other = _podman(scratch / "second")
    run(*other, "pull", "--quiet", _INSECURE, pushed)
    digest = run(*other, "image", "inspect", "--format={{.Digest}}", pushed).strip()
    assert digest == digest_of(registry, "podman/debian", "1")
    script = f"cat {MARKER}; git --version"
    printed = run(*other, "run", "--rm", "--network=none", *_LIMITS, pushed, "sh", "-c", script)
    assert printed.startswith(f"{MARKER_TEXT}\ngit version 2.")


def test_second_push_uploads_nothing(podman: Command, image: str, registry: Server) -> None:
    repository = f"{registry.host}/podman/twice"
    run(*podman, "push", _INSECURE, image, f"{repository}:1")
    mark = registry.log.mark()
    run(*podman, "push", _INSECURE, image, f"{repository}:again")
    assert_nothing_uploaded(registry.log.since(mark))
    again = digest_of(registry, "podman/twice", "again")
    assert again == digest_of(registry, "podman/twice", "1")


@pytest.mark.usefixtures("pushed")
def test_push_to_another_repository_mounts(
    podman: Command, image: str, registry: Server, debian: DebianImage
) -> None:
    mark = registry.log.mark()
    run(*podman, "push", _INSECURE, image, f"{registry.host}/podman/mounted:1")
    assert_mounted(registry.log.since(mark), "podman/mounted", len(debian.layers))
    assert len(layers_of(registry, "podman/mounted", "1")) == len(debian.layers)


def test_index_is_pushed_whole(registry: Server, debian: DebianImage, scratch: Path) -> None:
    podman = _podman(scratch / "third")  # one that has not seen these layers compressed otherwise
    run(*podman, "manifest", "create", "two-platforms")
    run(*podman, "manifest", "add", "--all", "two-platforms", f"oci:{debian.multi_layout}")
    run(
        *podman,
        "manifest",
        "push",
        "--all",
        _INSECURE,
        "two-platforms",
        f"docker://{registry.host}/podman/multi:1",
    )
    index = manifest(registry, "podman/multi", "1").json()
    assert [child["platform"]["architecture"] for child in index["manifests"]] == ["amd64", "arm64"]
    run(
        *podman,
        "pull",
        "--quiet",
        _INSECURE,
        "--platform=linux/arm64",
        f"{registry.host}/podman/multi:1",
    )


@pytest.mark.usefixtures("pushed")
def test_search_finds_the_repository_and_its_tags(podman: Command, registry: Server) -> None:
    assert "podman/debian" in run(*podman, "search", _INSECURE, f"{registry.host}/podman")
    assert " 1" in run(
        *podman, "search", "--list-tags", _INSECURE, f"{registry.host}/podman/debian"
    )
