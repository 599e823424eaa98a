"""The web page, of khod alone."""

from bench import figures
from bench.peers import ROWS
from bench.scenarios import pages
from bench.scenarios.scenario import Scenario
from bench.settings import Settings

GROUP = "Web page"
LIMIT_MS = 50.0


def rows(settings: Settings) -> tuple[Scenario, ...]:
    """The list of repositories, whole pages."""
    amount = min(pages.REPOSITORIES, settings.lists.repositories)
    read = (figures.p99(limit=LIMIT_MS), figures.p50(), figures.cpu_each(), figures.memory())
    title = f"page of {amount:,} repositories"
    return (Scenario("page", title, GROUP, pages.repositories, read, ROWS),)
