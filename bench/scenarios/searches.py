"""Searches for words that are in few, in many and in nearly all repositories, in turns."""

import json
import time
from functools import partial

from bench import large, searchable
from bench.credentials import PASSWORD, USER, basic
from bench.figures import Work
from bench.medians import percentile
from bench.peers import TOKENS
from bench.scenarios.scenario import Site, Stage, Timed

WARM_UP = 5
USUAL = ("app", "a", "server", "ser", "")
# Rare, frequent, in nearly all; beginnings of words, several words, none at all.
QUERIES = (
    *USUAL,
    "nginx7",
    "redis42",
    "api worker",
    "app python 1.2",
    "linux amd64 mit",
    "team-007",
    "team-007/3/app",
    "nothing-like-it",
    "sha256:0123456",
)


def search(site: Site, who: str = "") -> Stage:
    """As everybody of an open registry; as `nobody` or `somebody` of one that asks who it is."""
    tables = list(searchable.rows(site.settings.lists.repositories))
    if site.server.mode == TOKENS:
        mine = (f"team-{number:03}/**" for number in range(0, searchable.TEAMS, 50))
        tables.append(large.granted(f"user:{USER}", mine))
    site.server.stop()
    large.fill_sqlite(site.server.data, tables)
    site.server.start()
    headers = {"Authorization": basic(USER, PASSWORD)} if who == "somebody" else {}
    _check(site, headers)

    def stage(_number: int) -> Timed:
        _ask(site, headers, WARM_UP)
        return partial(_ask, site, headers, site.settings.lists.turns // 5)

    return stage


def _target(query: str) -> str:
    return f"/v1/search?q={query.replace(' ', '+')}"


def _check(site: Site, headers: dict[str, str]) -> None:
    with site.server.connect(headers) as connection:
        for query in QUERIES:
            reply = connection.request("GET", _target(query)).expect(200)
            found = len(json.loads(reply.body)["results"])
            if query in USUAL and not found:
                raise ValueError(f"{query!r} found nothing")


def _ask(site: Site, headers: dict[str, str], turns: int) -> Work:
    times = []
    begun = time.perf_counter()
    with site.server.connect(headers) as connection:
        for _ in range(turns):
            for query in QUERIES:
                start = time.perf_counter()
                connection.request("GET", _target(query)).expect(200)
                times.append(time.perf_counter() - start)
    seconds = time.perf_counter() - begun
    times.sort()
    return Work(len(times), seconds, p50=percentile(times, 0.5), p99=percentile(times, 0.99))
