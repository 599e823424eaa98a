"""The search, as who may see everything, what is public, or some of it."""

from functools import partial

from bench import figures
from bench.peers import OPEN, ROWS, TOKENS
from bench.scenarios import searches
from bench.scenarios.scenario import Scenario
from bench.settings import Settings

GROUP = "Search"
LIMIT_MS = 30.0


def rows(settings: Settings) -> tuple[Scenario, ...]:
    """Three callers of the same repositories."""
    among = f"search among {settings.lists.repositories:,}"
    return (
        _row("search", among),
        _row("search-public", f"{among}, a quarter public", "nobody", TOKENS),
        _row("search-some", f"{among}, ten teams and what is public", "somebody", TOKENS),
    )


def _row(key: str, title: str, who: str = "", mode: str = OPEN) -> Scenario:
    read = (figures.p99(limit=LIMIT_MS), figures.p50(), figures.cpu_each(), figures.memory())
    return Scenario(key, title, GROUP, partial(searches.search, who=who), read, ROWS, mode=mode)
