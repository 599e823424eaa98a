"""The scenarios of zot's `zb`, with its sizes, shares and names."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from bench import figures
from bench.peers import WRITE
from bench.scenarios import zb
from bench.scenarios.scenario import Scenario
from bench.scenarios.zb import Plan
from bench.settings import BlobLoad, Settings

# Of layers of the three sizes.
USUAL, EVEN = (0.2, 0.7, 0.1), (1 / 3, 1 / 3, 1 / 3)


def rows(settings: Settings) -> tuple[Scenario, ...]:
    """In the order of zb; what mixes sizes, where there are three of them."""
    load = settings.zb
    group = f"The scenarios of zot's zb, {load.clients} clients"
    read = figures.rate("requests/s", drawn=False), figures.p99(), figures.cpu_each()
    lists = f"catalog of {load.repositories} repositories"
    return (
        Scenario("zb-catalog", lists, group, zb.catalog, read, WRITE, ("wrk",)),
        *(_row(f"zb-{key}", title, group, plan) for key, title, plan in _plans(load.sizes)),
    )


def _plans(sizes: Sequence[BlobLoad]) -> Iterator[tuple[str, str, Plan]]:
    for one in sizes:
        yield f"push-{one.key}", f"push, monolithic, {one.label}", Plan({one.size: one.pushes})
    for one in sizes:
        plan = Plan({one.size: one.pushes}, chunked=True)
        yield f"chunk-{one.key}", f"push, chunk streamed, {one.label}", plan
    for one in sizes:
        yield f"pull-{one.key}", f"pull, {one.label}", Plan(pulls={one.size: one.pulls})
    if len(sizes) == len(USUAL):
        yield from _mixes(sizes)
    for one in sizes:
        yield f"both-{one.key}", f"75 % pulls, 25 % pushes, {one.label}", _both(one)


def _mixes(sizes: Sequence[BlobLoad]) -> Iterator[tuple[str, str, Plan]]:
    shown = ", ".join(f"{share:.0%} {one.label}" for share, one in zip(USUAL, sizes, strict=True))
    yield "pull-mixed", f"pull, {shown}", Plan(pulls=_shares(sizes, USUAL, 40))
    yield "push-mixed", f"push, monolithic, {shown}", Plan(_shares(sizes, USUAL, 10))
    plan = Plan(_shares(sizes, EVEN, 6), chunked=True)
    yield "chunk-mixed", "push, chunk streamed, a third each", plan


def _both(one: BlobLoad) -> Plan:
    pushes = max(1, one.pushes // 2)
    return Plan({one.size: pushes}, {one.size: 3 * pushes})


def _shares(sizes: Sequence[BlobLoad], shares: Sequence[float], count: int) -> Mapping[int, int]:
    return {one.size: round(share * count) for one, share in zip(sizes, shares, strict=True)}


def _row(key: str, title: str, group: str, plan: Plan) -> Scenario:
    read = figures.rate("requests/s", drawn=False), figures.p99(), figures.cpu_per_gib()
    return Scenario(key, title, group, partial(zb.mixed, plan=plan), read, WRITE)
