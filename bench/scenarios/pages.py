"""Pages of a registry with very many repositories, as an open one shows them to everybody."""

import re
import time
from functools import partial

from bench import large, searchable
from bench.figures import Work
from bench.medians import percentile
from bench.scenarios.scenario import Site, Stage, Timed
from bench.wire import Connection

REPOSITORIES = 10_000
HEAVIEST = 150 * 1024
WARM_UP = 5
# The first page, sorted and narrowed ones; a page that follows is added to them.
PAGES = (
    "/",
    "/?view=grouped",
    "/?sort=pulls",
    "/?sort=size&order=up",
    "/?q=nginx",
    "/?namespace=team-007",
    "/?platform=linux/arm64&visibility=public",
)


def repositories(site: Site) -> Stage:
    """The list in several orders, and a page in its middle."""
    amount = min(REPOSITORIES, site.settings.lists.repositories)
    site.server.stop()
    large.fill_sqlite(site.server.data, searchable.rows(amount))
    site.server.start()
    with site.server.connect() as connection:
        pages = (*PAGES, _middle(connection))
        for page in pages:
            body = connection.request("GET", page).expect(200).body
            if b"team-" not in body or len(body) > HEAVIEST:
                raise ValueError(f"{page}: {len(body)} bytes, or no repository")

    def stage(_number: int) -> Timed:
        _ask(site, pages, WARM_UP)
        return partial(_ask, site, pages, site.settings.lists.turns)

    return stage


def _middle(connection: Connection) -> str:
    """Where the fourth page is."""
    page = "/"
    for _ in range(3):
        text = connection.request("GET", page).expect(200).body.decode()
        found = re.search(r'rel="next" href="([^"]+)"', text)
        if found is None:
            raise ValueError(f"{page}: nothing follows")
        page = "/" + found[1].replace("&amp;", "&")
    return page


def _ask(site: Site, pages: tuple[str, ...], turns: int) -> Work:
    times = []
    begun = time.perf_counter()
    with site.server.connect() as connection:
        for _ in range(turns):
            for page in pages:
                start = time.perf_counter()
                connection.request("GET", page).expect(200)
                times.append(time.perf_counter() - start)
    seconds = time.perf_counter() - begun
    times.sort()
    return Work(len(times), seconds, p50=percentile(times, 0.5), p99=percentile(times, 0.99))
