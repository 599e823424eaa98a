"""The same requests to a server of one worker, then of two."""

from collections.abc import Callable
from dataclasses import replace

from bench.figures import Work
from bench.scenarios import requests
from bench.scenarios.scenario import Site, Stage


def one_to_two(site: Site) -> Stage:
    """Started with one worker for the first, untimed half of each round, with two for the other."""
    by_tag = requests.manifest_by_tag(site)

    def stage(number: int) -> Callable[[], Work]:
        _restart(site, 1)
        alone = by_tag(number)()
        _restart(site, 2)
        drive = by_tag(number)
        return lambda: replace(drive(), one_worker=alone.count / alone.seconds)

    return stage


def _restart(site: Site, workers: int) -> None:
    site.server.stop()
    site.server.start(workers)
