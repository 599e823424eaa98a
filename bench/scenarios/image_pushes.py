"""Small whole images, pushed by several clients at once."""

from collections.abc import Callable
from functools import partial

from bench.crew import Crew, Errand
from bench.images import SmallImage, push_image
from bench.scenarios.scenario import Site, Stage, Timed


def distinct(site: Site) -> Stage:
    """Every image into a repository of its own."""
    return _stage(site, lambda number, client, index: f"bench/r{number}c{client}i{index}")


def shared(site: Site) -> Stage:
    """All images of all clients into one repository, each under a tag of its own."""
    return _stage(site, lambda _number, _client, _index: "bench/shared")


def _stage(site: Site, repository: Callable[[int, int, int], str]) -> Stage:
    def stage(number: int) -> Timed:
        clients = range(site.settings.image_clients)
        errands = [_errands(site, number, client, repository) for client in clients]
        return Crew(site.server, errands)

    return stage


def _errands(
    site: Site, number: int, client: int, repository: Callable[[int, int, int], str]
) -> list[Errand]:
    return [
        partial(
            push_image,
            repository=repository(number, client, index),
            tag=f"r{number}c{client}i{index}",
            image=SmallImage.random(),
        )
        for index in range(site.settings.images_per_client)
    ]
