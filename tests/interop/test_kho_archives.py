"""kho and archives of docker, podman, skopeo, crane and ctr, both ways; and docker's own engine."""

import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .access_log import assert_nothing_uploaded
from .clients import Command, program, with_own_cache
from .engines import containerd_engine, docker_engine
from .kho_client import Kho
from .processes import run
from .servers import Server
from .small_images import NAME, SmallImage, TwoPlatforms
from .wire import digest_of, manifest

_OCI = "application/vnd.oci.image.manifest.v1+json"
_DOCKER = "application/vnd.docker.distribution.manifest.v2+json"


@pytest.fixture(scope="module")
def docker(scratch: Path) -> Iterator[Command]:
    """An engine with the small image in it."""
    with docker_engine(scratch / "docker") as command:
        yield command


@pytest.fixture(scope="module")
def podman(scratch: Path) -> Command:
    """The program over a store of its own."""
    state = scratch / "podman"
    places = ("--root", state / "root", "--runroot", state / "run", "--tmpdir", state / "tmp")
    ways = ("--storage-driver=overlay", "--cgroup-manager=cgroupfs", "--events-backend=none")
    return (*with_own_cache("podman", state / "cache"), *places, *ways)


@pytest.fixture(scope="module")
def skopeo(scratch: Path) -> Command:
    return with_own_cache("skopeo", scratch / "skopeo")


@pytest.fixture(scope="module")
def ctr(scratch: Path) -> Iterator[Command]:
    with containerd_engine(scratch / "containerd") as command:
        yield command


def config_digest(image: SmallImage) -> str:
    path = image.layout / "blobs" / image.digest.replace(":", "/")
    found: str = json.loads(path.read_bytes())["config"]["digest"]
    return found


Save = Callable[[pytest.FixtureRequest, SmallImage, Path], str]


def docker_save(request: pytest.FixtureRequest, image: SmallImage, path: Path) -> str:
    docker = request.getfixturevalue("docker")
    run(*docker, "load", "--input", image.docker_archive)
    run(*docker, "save", "--output", path, NAME)
    return f"docker-archive:{path}"


def _podman_save(form: str) -> Save:
    def save(request: pytest.FixtureRequest, image: SmallImage, path: Path) -> str:
        podman = request.getfixturevalue("podman")
        run(*podman, "pull", "--quiet", f"docker-archive:{image.docker_archive}")
        run(*podman, "save", "--quiet", f"--format={form}", "--output", path, NAME)
        return f"{form}:{path}"

    return save


def _skopeo_copy(form: str) -> Save:
    def save(request: pytest.FixtureRequest, image: SmallImage, path: Path) -> str:
        skopeo = request.getfixturevalue("skopeo")
        run(*skopeo, "copy", f"oci:{image.layout}:small", f"{form}:{path}:{NAME}")
        return f"{form}:{path}"

    return save


def _crane_pull(form: str) -> Save:
    def save(request: pytest.FixtureRequest, image: SmallImage, path: Path) -> str:
        registry = request.getfixturevalue("registry")
        crane = program("crane")
        there = f"{registry.host}/archives/crane:1"
        run(crane, "push", image.layout, there)
        run(crane, "pull", f"--format={form}", there, path)
        if not path.is_dir():
            return f"docker-archive:{path}"
        packed = path.with_suffix(".tar.gz")
        with tarfile.open(packed, "w:gz") as archive:
            archive.add(path, arcname=".")
        return f"oci-archive:{packed}"

    return save


# Who saves it, and the media type that it has then.
SAVES: dict[str, tuple[Save, str]] = {
    "docker": (docker_save, _DOCKER),
    "podman-docker": (_podman_save("docker-archive"), _DOCKER),
    "podman-oci": (_podman_save("oci-archive"), _OCI),
    "skopeo-docker": (_skopeo_copy("docker-archive"), _DOCKER),
    "skopeo-oci": (_skopeo_copy("oci-archive"), _OCI),
    "crane-tarball": (_crane_pull("tarball"), _DOCKER),
    "crane-legacy": (_crane_pull("legacy"), _DOCKER),
    "crane-oci": (_crane_pull("oci"), _OCI),
}


@pytest.mark.parametrize("by", SAVES)
def test_what_others_save_is_pushed(
    by: str,
    request: pytest.FixtureRequest,
    kho: Kho,
    image: SmallImage,
    either: Server,
    *,
    skopeo: Command,
    tmp_path: Path,
) -> None:
    save, media_type = SAVES[by]
    place = save(request, image, tmp_path / "image.tar")
    told = kho.run("copy", place, f"{either.host}/archives/{by}:1").strip()
    assert told == digest_of(either, f"archives/{by}", "1")
    found = manifest(either, f"archives/{by}", "1").json()
    assert found["mediaType"] == media_type
    if not by.startswith("podman"):  # it writes the config anew
        assert found["config"]["digest"] == config_digest(image)
    if by in ("skopeo-oci", "crane-oci"):
        assert told == image.digest
    mark = either.log.mark()
    assert kho.run("copy", place, f"{either.host}/archives/{by}:2").strip() == told
    assert_nothing_uploaded(either.log.since(mark))
    # It is what it says: another client pulls it, with every layer checked.
    there = f"docker://{either.host}/archives/{by}:1"
    run(*skopeo, "copy", "--src-tls-verify=false", there, f"dir:{tmp_path}/pulled")


@pytest.fixture(params=["docker", "oci"])
def written(request: pytest.FixtureRequest, kho: Kho, image: SmallImage, tmp_path: Path) -> Path:
    """An archive by kho."""
    path = tmp_path / "by-kho.tar"
    place = f"{request.param}-archive:{path}:{NAME}"
    assert kho.run("copy", f"oci:{image.layout}:small", place).strip() == image.digest
    return path


def test_podman_loads_it(written: Path, podman: Command, image: SmallImage) -> None:
    run(*podman, "rmi", "--all", "--force")
    assert NAME in run(*podman, "load", "--input", written)
    (found,) = json.loads(run(*podman, "image", "inspect", NAME))
    assert f"sha256:{found['Id']}" == config_digest(image)


def test_ctr_imports_it(written: Path, ctr: Command, image: SmallImage) -> None:
    run(*ctr, "images", "import", written)
    assert image.digest in run(*ctr, "images", "ls", f"name=={NAME}")
    run(*ctr, "images", "rm", NAME)


def test_skopeo_reads_it(written: Path, skopeo: Command, image: SmallImage) -> None:
    words = ("inspect", "--format={{.Digest}}")
    assert run(*skopeo, *words, f"oci-archive:{written}:{NAME}").strip() == image.digest


@pytest.fixture
def for_docker(kho: Kho, image: SmallImage, tmp_path: Path) -> Path:
    path = tmp_path / "for-docker.tar"
    kho.run("copy", f"oci:{image.layout}:small", f"docker-archive:{path}:{NAME}")
    return path


def test_docker_loads_it(for_docker: Path, docker: Command, image: SmallImage) -> None:
    run(*docker, "image", "prune", "--all", "--force")
    assert f"Loaded image: {NAME}" in run(*docker, "load", "--input", for_docker)
    assert run(*docker, "image", "inspect", "--format={{.Id}}", NAME).strip() == config_digest(
        image
    )


def test_skopeo_reads_the_form_of_docker(
    for_docker: Path, skopeo: Command, image: SmallImage, tmp_path: Path
) -> None:
    run(*skopeo, "copy", f"docker-archive:{for_docker}:{NAME}", f"dir:{tmp_path}/out")
    found = json.loads((tmp_path / "out/manifest.json").read_bytes())
    assert found["config"]["digest"] == config_digest(image)


def test_crane_pushes_it(for_docker: Path, either: Server, image: SmallImage) -> None:
    there = f"{either.host}/archives/by-kho:1"
    run(program("crane"), "push", for_docker, there)
    run(program("crane"), "validate", "--remote", there)
    found = manifest(either, "archives/by-kho", "1").json()
    assert found["config"]["digest"] == config_digest(image)


def test_several_images_of_two_platforms(
    kho: Kho,
    docker: Command,
    podman: Command,
    both: TwoPlatforms,
    image: SmallImage,
    tmp_path: Path,
) -> None:
    path = tmp_path / "two.tar"
    kho.run("save", "-o", path, f"oci:{both.layout}:both", f"oci:{image.layout}:small")
    printed = run(*docker, "load", "--input", path)
    assert [line for line in printed.splitlines() if line.startswith("Loaded")] == [
        "Loaded image: both:latest",
        "Loaded image: small:latest",
    ]
    assert "small:latest" in run(*podman, "load", "--input", path)
    kho.run("load", "-i", path)
    assert kho.run("copy", "local:both", f"oci:{tmp_path}/out:1").strip() == both.index


def engine_of(docker: Command) -> str:
    return str(docker[docker.index("--host") + 1])


def test_out_of_an_engine(kho: Kho, docker: Command, either: Server, image: SmallImage) -> None:
    run(*docker, "load", "--input", image.docker_archive)
    kho.env["DOCKER_HOST"] = engine_of(docker)
    there = f"{either.host}/archives/engine"
    told = kho.run("copy", f"docker-daemon:{NAME}", f"{there}:1").strip()
    assert told == digest_of(either, "archives/engine", "1")
    run(*docker, "image", "rm", "--force", NAME)
    run(*docker, "pull", f"{there}:1")
    found = run(*docker, "image", "inspect", "--format={{.Id}}", f"{there}:1").strip()
    assert found == config_digest(image)


def test_into_an_engine(kho: Kho, docker: Command, image: SmallImage) -> None:
    kho.env["DOCKER_HOST"] = engine_of(docker)
    name = "kho.invalid/into:1"
    kho.run("copy", f"oci:{image.layout}:small", f"docker-daemon:{name}")
    found: Any = json.loads(run(*docker, "image", "inspect", name))[0]
    assert found["Id"] == config_digest(image)
    assert "no such image" in kho.refused("copy", "docker-daemon:no/such:1", "oci:x:1")


def test_through_the_local_store(
    kho: Kho, docker: Command, image: SmallImage, tmp_path: Path
) -> None:
    assert kho.run("load", "-q", "-i", image.docker_archive) == f"Loaded image: {NAME}\n"
    kho.run("save", "-q", "-o", tmp_path / "saved.tar", NAME)
    run(*docker, "image", "prune", "--all", "--force")
    assert f"Loaded image: {NAME}" in run(*docker, "load", "--input", tmp_path / "saved.tar")
