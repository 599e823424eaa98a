"""From the start of the program to its first answer, and what it holds while nobody asks."""

import time

from bench.figures import Work
from bench.scenarios.scenario import Site, Stage, Timed

IDLE_SECONDS = 1.0


def start(site: Site) -> Stage:
    """Stop, start on the same data, wait until ready; then idle while its memory is watched."""

    def timed() -> Work:
        seconds = site.server.start()
        time.sleep(IDLE_SECONDS)
        return Work(1, seconds)

    def stage(_number: int) -> Timed:
        site.server.stop()
        return timed

    return stage
