"""A real image by the programs that people use: skopeo and docker."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from functools import partial

from bench.docker import Docker, docker_engine
from bench.figures import Work
from bench.layouts import Layout
from bench.scenarios.scenario import Site, Stage, Timed

LIMIT = 300
REPOSITORY = "bench/image"
SEEDED = -1


def skopeo_push(site: Site) -> Stage:
    """New images from a folder, each into a repository of its own."""

    def stage(number: int) -> Timed:
        copies = _images(site, number)
        names = [f"bench/r{number}i{index}" for index in range(len(copies))]
        errands = [
            partial(_skopeo, site, "--dest-tls-verify=false", copy.reference, _there(site, name))
            for copy, name in zip(copies, names, strict=True)
        ]
        return partial(_one_by_one, errands, copies)

    return stage


def skopeo_pull(site: Site) -> Stage:
    """Into a new folder each time."""
    there, image = _seed(site)
    target = site.scratch / "pulled"

    def stage(_number: int) -> Timed:
        shutil.rmtree(target, ignore_errors=True)
        count = site.settings.image_copies
        errands = [
            partial(_skopeo, site, "--src-tls-verify=false", there, f"oci:{target}/{index}:1")
            for index in range(count)
        ]
        target.mkdir()
        return partial(_one_by_one, errands, [image] * count)

    return stage


def docker_pull(site: Site) -> Stage:
    """By an engine that has none of it; what it pulled is removed before the next round."""
    _, image = _seed(site)
    name = f"{site.server.address.host}:{site.server.address.port}/{REPOSITORY}:1"
    docker = site.closing.enter_context(docker_engine(site.scratch / "docker"))

    def stage(_number: int) -> Timed:
        _forget(docker)
        return partial(_one_by_one, [partial(docker.run, "pull", "--quiet", name)], [image])

    return stage


def _forget(docker: Docker) -> None:
    if images := docker.run("images", "--quiet").split():
        docker.run("rmi", "--force", *images)


def _images(site: Site, number: int, count: int = 0) -> tuple[Layout, ...]:
    images = site.payloads.images(site.settings.image_layer)
    return images.copies(number, count or site.settings.image_copies)


def _seed(site: Site) -> tuple[str, Layout]:
    """Bring one image into the server; its name there."""
    (image,) = _images(site, SEEDED, 1)
    there = _there(site, REPOSITORY)
    _skopeo(site, "--dest-tls-verify=false", image.reference, there)
    return there, image


def _there(site: Site, repository: str) -> str:
    return f"docker://{site.server.address.host}:{site.server.address.port}/{repository}:1"


def _skopeo(site: Site, *words: str) -> None:
    """Copy without compressing anything again.

    Its memory of blobs that it has seen lies in the scratch folder: for root there is no other way
    to say so than to tell it that root is somebody else.
    """
    command = ["skopeo", "--insecure-policy", "copy", "--quiet", "--preserve-digests", *words]
    own = {"XDG_DATA_HOME": str(site.scratch), "_CONTAINERS_ROOTLESS_UID": "1"}
    done = subprocess.run(
        command,
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"skopeo: {done.stderr.strip()[-600:]}")


def _one_by_one(errands: Sequence[Callable[[], object]], images: Sequence[Layout]) -> Work:
    begun = time.perf_counter()
    for errand in errands:
        errand()
    seconds = time.perf_counter() - begun
    return Work(len(errands), seconds, sum(image.size for image in images))
