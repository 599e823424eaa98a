"""Pulls while somebody else tries passwords."""

import time
from collections.abc import Callable
from dataclasses import replace

from bench.figures import Work
from bench.loaders import intruding
from bench.scenarios import requests
from bench.scenarios.scenario import Site, Stage

SETTLE = 1.0


def bad_logins(site: Site) -> Stage:
    """The same GETs twice: in peace, and beside bad logins; the latency in peace is kept beside."""
    peace = requests.manifest_by_tag(site)

    def stage(number: int) -> Callable[[], Work]:
        drive = peace(number)

        def timed() -> Work:
            alone = drive()
            seconds = SETTLE + site.settings.rate_seconds + SETTLE
            with intruding(site.server.address, site.settings.intruders, seconds):
                time.sleep(SETTLE)
                beside = drive()
            return replace(beside, alone_p99=alone.p99)

        return timed

    return stage
