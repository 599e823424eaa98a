"""Lists of very many; of khod alone, whose rows can be written without pushing for hours."""

from functools import partial

from bench import figures
from bench.peers import OPEN, ROWS, TOKENS
from bench.scenarios import lists
from bench.scenarios.scenario import Prepare, Scenario
from bench.settings import Settings

GROUP = "Large lists"
LIMIT_MS = 20.0


def rows(settings: Settings) -> tuple[Scenario, ...]:
    """Each list as everybody sees it, then the catalog of those who may see a part."""
    load = settings.lists
    names = f"catalog of {load.repositories:,}"
    tags = f"list of {load.tags:,} tags"
    return (
        _pages("catalog", names, lists.catalog),
        _pages("catalog-1000", f"{names}, n=1000", partial(lists.catalog, size=1000)),
        _pages("tags", tags, lists.tags),
        _pages("tags-1000", f"{tags}, n=1000", partial(lists.tags, size=1000)),
        _pages("referrers", f"{load.referrers:,} referrers", lists.referrers),
        _pages("all", f"{names}, may see all", _who("everything"), TOKENS),
        _pages("half", f"{names}, every second", _who("half"), TOKENS),
        _pages("ten", f"{names}, may see ten", _who("ten"), TOKENS),
        _pages("glob", f"{names}, ten by **/special", _who("glob"), TOKENS),
    )


def _who(name: str) -> Prepare:
    return partial(lists.catalog, who=name)


def _pages(key: str, title: str, prepare: Prepare, mode: str = OPEN) -> Scenario:
    read = (
        figures.p99(limit=LIMIT_MS),
        figures.p50(),
        figures.last_page(),
        figures.cpu_each(),
        figures.memory(),
    )
    return Scenario(f"large-{key}", title, GROUP, prepare, read, ROWS, mode=mode)
