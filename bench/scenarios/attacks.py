"""Pulls while somebody else tries passwords."""

from collections.abc import Callable
from dataclasses import replace

from bench.figures import Work
from bench.loaders import intruding
from bench.scenarios import requests
from bench.scenarios.scenario import Site, Stage


def bad_logins(site: Site) -> Stage:
    """The same GETs twice: in peace, and beside bad logins, which begin soon after them."""
    peace = requests.manifest_by_tag(site)

    def stage(number: int) -> Callable[[], Work]:
        drive = peace(number)

        def timed() -> Work:
            alone = drive()
            amount, seconds = site.settings.intruders, site.settings.rate_seconds
            # An address that the server has not refused yet, so that no round is easier.
            with intruding(site.server.address, amount, seconds, f"127.0.1.{number + 1}"):
                beside = drive()
            return replace(beside, alone_p99=alone.p99)

        return timed

    return stage
