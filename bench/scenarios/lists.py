"""Lists of very many: the first, the middle and the last page, asked for in turns."""

import json
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from statistics import median
from typing import NamedTuple
from urllib.parse import quote

from bench import large
from bench.credentials import PASSWORD, USER, basic
from bench.figures import Work
from bench.medians import percentile
from bench.peers import TOKENS
from bench.scenarios.scenario import Site, Stage, Timed
from bench.settings import ListLoad
from bench.wire import Connection

PAGE = 100
WARM_UP = 20


class Person(NamedTuple):
    """Who may see some of the repositories, by these globs."""

    patterns: Callable[[list[str]], list[str]]
    sees: Callable[[list[str]], list[str]]


def _every_tenth(names: list[str]) -> list[str]:
    return names[:: max(1, len(names) // 10)]


def _every_second_team(names: list[str]) -> list[str]:
    return [name for name in names if int(name.partition("/")[0][-1]) % 2 == 0]


# Every account of the harness may see `bench/**` too, which is the one repository more.
PEOPLE = {
    "everything": Person(lambda _: ["**"], lambda names: names),
    "ten": Person(_every_tenth, _every_tenth),
    "half": Person(
        lambda names: sorted(
            {f"{name.partition('/')[0]}/**" for name in _every_second_team(names)}
        ),
        _every_second_team,
    ),
    "glob": Person(
        lambda _: ["**/special"],
        lambda names: [name for name in names if name.endswith("/special")],
    ),
}


def catalog(site: Site, who: str = "", size: int = PAGE) -> Stage:
    """Pages of `_catalog`; `who` names one of PEOPLE where the server asks for a token."""
    load = site.settings.lists
    names = large.repository_names(load)
    tables = list(large.rows(ListLoad(load.repositories, 0, 0)))
    if who:
        tables.append(large.granted(f"user:{USER}", PEOPLE[who].patterns(names)))
        names = PEOPLE[who].sees(names)
    _seed(site, tables)
    return _pages(site, "/v2/_catalog", "repositories", [large.LARGE, *names], size)


def tags(site: Site, size: int = PAGE) -> Stage:
    """Pages of the tags of one repository."""
    load = site.settings.lists
    _seed(site, large.rows(ListLoad(0, load.tags, 0)))
    names = [large.tag_name(number) for number in range(load.tags)]
    return _pages(site, f"/v2/{large.LARGE}/tags/list", "tags", names, size)


def referrers(site: Site) -> Stage:
    """Pages of the referrers of one digest."""
    amounts = ListLoad(0, 0, site.settings.lists.referrers)
    _seed(site, large.rows(amounts))
    digests = large.referrer_digests(amounts)
    target = f"/v2/{large.LARGE}/referrers/{large.image_digest()}"
    return _pages(site, target, "manifests", digests, PAGE)


def _seed(site: Site, tables: Iterable[large.Rows]) -> None:
    site.server.stop()
    large.fill_sqlite(site.server.data, tables)
    site.server.start()


def _pages(site: Site, path: str, key: str, names: Sequence[str], size: int) -> Stage:
    """The page at the beginning, in the middle, and the last that is full, if there are so many."""
    before = (len(names) // 2, max(len(names) - size, 1))
    targets = [f"{path}?n={size}"]
    targets += [f"{path}?n={size}&last={quote(names[number - 1], safe='')}" for number in before]
    headers = _authorization(site)
    with site.server.connect(headers) as connection:
        for target, start in zip(targets, (0, *before), strict=True):
            _check(connection, target, key, names[start : start + size])

    def stage(_number: int) -> Timed:
        _ask(site, targets, headers, WARM_UP)
        return partial(_ask, site, targets, headers, site.settings.lists.turns)

    return stage


def _authorization(site: Site) -> dict[str, str]:
    if site.server.mode != TOKENS:
        return {}
    scope = quote("registry:catalog:*", safe="")
    with site.server.connect({"Authorization": basic(USER, PASSWORD)}) as connection:
        reply = connection.request("GET", f"/token?service=kho&scope={scope}").expect(200)
    return {"Authorization": f"Bearer {json.loads(reply.body)['token']}"}


def _check(connection: Connection, target: str, key: str, expected: Sequence[str]) -> None:
    found = json.loads(connection.request("GET", target).expect(200).body)[key]
    names = [one["digest"] if isinstance(one, dict) else one for one in found]
    if names != list(expected):
        raise ValueError(f"{target}: {len(names)} entries in place of {len(expected)}, or others")


def _ask(site: Site, targets: Sequence[str], headers: dict[str, str], turns: int) -> Work:
    times: list[list[float]] = [[] for _ in targets]
    begun = time.perf_counter()
    with site.server.connect(headers) as connection:
        for _ in range(turns):
            for target, taken in zip(targets, times, strict=True):
                start = time.perf_counter()
                connection.request("GET", target).expect(200)
                taken.append(time.perf_counter() - start)
    seconds = time.perf_counter() - begun
    ordered = sorted(one for taken in times for one in taken)
    return Work(
        len(ordered),
        seconds,
        p50=percentile(ordered, 0.5),
        p99=percentile(ordered, 0.99),
        last_page=median(times[-1]) / median(times[0]),
    )
