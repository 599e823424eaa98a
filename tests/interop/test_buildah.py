"""buildah: build on a base, push, pull, an index; no remote delete exists."""

from pathlib import Path

import pytest

from .access_log import assert_mounted, assert_nothing_uploaded
from .clients import Command, with_own_cache
from .images import MARKER, MARKER_TEXT, DebianImage
from .processes import run
from .servers import Server
from .wire import digest_of, layers_of, manifest

_INSECURE = "--tls-verify=false"


def _buildah(state: Path) -> Command:
    root, runroot = state / "root", state / "run"
    program = with_own_cache("buildah", state / "cache")
    return (*program, "--root", root, "--runroot", runroot, "--storage-driver=overlay")


@pytest.fixture(scope="module")
def buildah(scratch: Path) -> Command:
    """The program over a store of its own."""
    return _buildah(scratch / "first")


@pytest.fixture(scope="module")
def image(buildah: Command, debian: DebianImage) -> str:
    """The Debian image in buildah's store."""
    return run(*buildah, "pull", f"docker-archive:{debian.folder}/docker.tar").split()[-1]


@pytest.fixture(scope="module")
def pushed(buildah: Command, image: str, registry: Server) -> str:
    """The image as buildah pushed it."""
    reference = f"{registry.host}/buildah/debian:1"
    run(*buildah, "push", _INSECURE, image, f"docker://{reference}")
    return reference


def test_push_sends_every_layer(pushed: str, registry: Server, debian: DebianImage) -> None:
    assert len(layers_of(registry, "buildah/debian", pushed.rpartition(":")[2])) == len(
        debian.layers
    )


def test_pull_into_an_empty_store_runs(pushed: str, registry: Server, scratch: Path) -> None:
    other = _buildah(scratch / "second")
    run(*other, "pull", _INSECURE, f"docker://{pushed}")
    digests = run(*other, "images", "--digests", "--format={{.Digest}}").split()
    assert digests == [digest_of(registry, "buildah/debian", "1")]
    container = run(*other, "from", "--pull-never", pushed).strip()
    printed = run(*other, "run", "--isolation=chroot", container, "--", "cat", MARKER)
    assert printed.strip() == MARKER_TEXT


def test_second_push_uploads_nothing(buildah: Command, image: str, registry: Server) -> None:
    repository = f"docker://{registry.host}/buildah/twice"
    run(*buildah, "push", _INSECURE, image, f"{repository}:1")
    mark = registry.log.mark()
    run(*buildah, "push", _INSECURE, image, f"{repository}:again")
    assert_nothing_uploaded(registry.log.since(mark))
    again = digest_of(registry, "buildah/twice", "again")
    assert again == digest_of(registry, "buildah/twice", "1")


@pytest.mark.usefixtures("pushed")
def test_push_to_another_repository_mounts(
    buildah: Command, image: str, registry: Server, debian: DebianImage
) -> None:
    mark = registry.log.mark()
    run(*buildah, "push", _INSECURE, image, f"docker://{registry.host}/buildah/mounted:1")
    assert_mounted(registry.log.since(mark), "buildah/mounted", len(debian.layers))
    assert digest_of(registry, "buildah/mounted", "1") == digest_of(registry, "buildah/debian", "1")


def test_build_on_the_image_pushes_the_new_layer_only(
    buildah: Command, pushed: str, registry: Server
) -> None:
    container = run(*buildah, "from", "--pull=false", _INSECURE, pushed).strip()
    run(
        *buildah,
        "run",
        "--isolation=chroot",
        container,
        "--",
        "sh",
        "-c",
        "echo built > /srv/built",
    )
    run(*buildah, "commit", container, "buildah-built")
    run(
        *buildah,
        "push",
        _INSECURE,
        "buildah-built",
        f"docker://{registry.host}/buildah/debian:built",
    )
    base = layers_of(registry, "buildah/debian", "1")
    assert layers_of(registry, "buildah/debian", "built")[: len(base)] == base


def test_index_is_pushed_whole(registry: Server, debian: DebianImage, scratch: Path) -> None:
    buildah = _buildah(scratch / "third")  # one that has not seen these layers compressed otherwise
    run(*buildah, "manifest", "create", "two-platforms")
    run(*buildah, "manifest", "add", "--all", "two-platforms", f"oci:{debian.multi_layout}")
    run(
        *buildah,
        "manifest",
        "push",
        "--all",
        _INSECURE,
        "two-platforms",
        f"docker://{registry.host}/buildah/multi:1",
    )
    index = manifest(registry, "buildah/multi", "1").json()
    assert [child["platform"]["architecture"] for child in index["manifests"]] == ["amd64", "arm64"]
    for child in index["manifests"]:
        assert digest_of(registry, "buildah/multi", child["digest"]) == child["digest"]
