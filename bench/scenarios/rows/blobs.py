"""Blobs of each size, in and out on one stream."""

from dataclasses import replace
from functools import partial

from bench import figures
from bench.figures import Figure
from bench.peers import READ, WRITE
from bench.scenarios import transfers
from bench.scenarios.scenario import Scenario
from bench.settings import MIB, BlobLoad, Settings

PUSH = "Push, one stream"
PULL = "Pull, one stream"

# Bodies from this size on are told in MiB/s and CPU s/GiB, smaller ones in pieces a second.
LARGE = MIB
HUGE = 1024 * MIB


def rows(settings: Settings) -> tuple[Scenario, ...]:
    """Pushes of all sizes, then pulls of them."""
    return (
        *(push(load) for load in settings.blobs),
        *(_push_chunked(load) for load in settings.blobs[2:3]),
        *(pull(load) for load in settings.blobs[:-1]),
        replace(pull(settings.blobs[-1]), limited=True),
    )


def push(load: BlobLoad) -> Scenario:
    """The body in one PATCH with its length."""
    prepare = partial(transfers.push, load=load)
    return Scenario(
        f"push-{load.key}", f"push {load.label}", PUSH, prepare, _push_figures(load), WRITE
    )


def pull(load: BlobLoad) -> Scenario:
    """GETs of one blob."""
    prepare = partial(transfers.pull, load=load)
    return Scenario(
        f"pull-{load.key}", f"pull {load.label}", PULL, prepare, _pull_figures(load), READ
    )


def _push_chunked(load: BlobLoad) -> Scenario:
    """The form in which docker sends a layer: in chunks of 32 KiB, its length unknown."""
    prepare = partial(transfers.push, load=load, chunked=True)
    title = f"push {load.label}, chunked coding"
    return Scenario(f"push-{load.key}-chunked", title, PUSH, prepare, _push_figures(load), WRITE)


def _push_figures(load: BlobLoad) -> tuple[Figure, ...]:
    if load.size < LARGE:
        return figures.rate("pushes/s"), figures.p99(), figures.cpu_each()
    if load.size < HUGE:
        return figures.throughput(), figures.cpu_per_gib(), figures.memory()
    cpu = figures.cpu_per_gib(goal=0.8, drawn=True)
    return figures.seconds(goal=0.6), cpu, figures.memory()


def _pull_figures(load: BlobLoad) -> tuple[Figure, ...]:
    if load.size < LARGE:
        return figures.rate("pulls/s"), figures.p99(), figures.cpu_each()
    if load.size < HUGE:
        return figures.throughput(), figures.cpu_per_gib(), figures.memory()
    cpu = figures.cpu_per_gib(goal=0.9, drawn=True)
    return figures.throughput(goal=1.0), cpu, figures.memory()
