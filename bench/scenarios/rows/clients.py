"""A real image by real clients."""

from bench import figures
from bench.peers import WRITE
from bench.programs import ROOT_USER
from bench.scenarios import clients
from bench.scenarios.scenario import Prepare, Scenario
from bench.settings import Settings

GROUP = "An image of ten layers, by its clients"


def rows(settings: Settings) -> tuple[Scenario, ...]:
    """Debian in ten layers; in a quick run ten small layers."""
    maker = () if settings.image_layer else ("debootstrap", "umoci", ROOT_USER)
    skopeo = ("skopeo", *maker)
    docker = ("dockerd", "docker", "skopeo", *(maker or (ROOT_USER,)))
    what = "of ten small layers" if settings.image_layer else "of Debian, 250 MB"
    return (
        _copy("skopeo-push", f"skopeo push {what}", clients.skopeo_push, skopeo),
        _copy("skopeo-pull", f"skopeo pull {what}", clients.skopeo_pull, skopeo),
        _copy("docker-pull", f"docker pull {what}", clients.docker_pull, docker),
    )


def _copy(key: str, title: str, prepare: Prepare, needs: tuple[str, ...]) -> Scenario:
    read = figures.seconds(goal=0.9), figures.cpu_per_gib(), figures.memory()
    return Scenario(key, title, GROUP, prepare, read, WRITE, needs)
