"""What one timed run yields, and the figures that are read from it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from bench.meter import Usage
from bench.settings import GIB, MIB

Better = Literal["higher", "lower"]


@dataclass(frozen=True, slots=True)
class Work:
    """What the load generator did: things and bytes in so many seconds; latencies in seconds.

    `alone_p99` is the latency of the same work while nothing else went on, `last_page` how many
    times that of a first page a last one has, `one_worker` the rate of a single worker.
    """

    count: int
    seconds: float
    size: int = 0
    p50: float | None = None
    p99: float | None = None
    alone_p99: float | None = None
    last_page: float | None = None
    one_worker: float | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One timed run: the work that was done and what it cost."""

    work: Work
    usage: Usage


@dataclass(frozen=True, slots=True)
class Figure:
    """One number read from a sample.

    `goal` is the ratio first peer to other that is wanted, `limit` the most (or least) that the
    first peer may have by itself.
    """

    name: str
    unit: str
    better: Better
    value: Callable[[Sample], float | None] = field(repr=False)
    goal: float | None = None
    drawn: bool = False
    limit: float | None = None


def rate(unit: str, *, goal: float | None = None, drawn: bool = True) -> Figure:
    """How many a second, as the main figure."""
    return Figure(
        "rate",
        unit,
        "higher",
        lambda sample: sample.work.count / sample.work.seconds,
        goal,
        drawn,
    )


def throughput(*, goal: float | None = None, drawn: bool = True) -> Figure:
    """MiB a second, as the main figure."""
    return Figure("throughput", "MiB/s", "higher", _throughput, goal, drawn)


def seconds(*, goal: float | None = None, limit: float | None = None) -> Figure:
    """Seconds for one, as the main figure."""
    return Figure(
        "time",
        "s",
        "lower",
        lambda sample: sample.work.seconds / sample.work.count,
        goal,
        drawn=True,
        limit=limit,
    )


def cpu_per_gib(*, goal: float | None = None, drawn: bool = False) -> Figure:
    """Server CPU seconds for a GiB of bodies."""
    return Figure("server CPU", "s/GiB", "lower", _cpu_per_gib, goal, drawn)


def cpu_each(*, goal: float | None = None) -> Figure:
    """Server CPU microseconds for one request, push or image."""
    return Figure(
        "server CPU",
        "us each",
        "lower",
        lambda sample: sample.usage.server_cpu * 1e6 / sample.work.count,
        goal,
    )


def memory(name: str = "peak memory", *, goal: float | None = None, drawn: bool = False) -> Figure:
    """Peak proportional memory of the server's tree."""
    return Figure(name, "MiB", "lower", lambda sample: sample.usage.peak_memory / MIB, goal, drawn)


def growth(*, limit: float) -> Figure:
    """How much the memory of the server's tree grew by the work."""
    return Figure(
        "memory growth",
        "MiB",
        "lower",
        lambda sample: (sample.usage.peak_memory - sample.usage.idle_memory) / MIB,
        limit=limit,
    )


def p50() -> Figure:
    """Median latency."""
    return Figure("p50", "ms", "lower", lambda sample: _milliseconds(sample.work.p50))


def p99(*, goal: float | None = None, limit: float | None = None) -> Figure:
    """Latency that 99 of 100 stay under."""
    value = _p99
    return Figure("p99", "ms", "lower", value, goal, limit=limit)


def alone_p99() -> Figure:
    """The same without what was going on beside."""
    return Figure(
        "p99 in peace", "ms", "lower", lambda sample: _milliseconds(sample.work.alone_p99)
    )


def slowdown(*, limit: float) -> Figure:
    """How many times the latency that 99 of 100 stay under grew by what was going on beside."""
    return Figure("p99 beside / in peace", "x", "lower", _slowdown, limit=limit)


def last_page() -> Figure:
    """How many times as long a last page takes as a first one: in a list that is flat, as long."""
    return Figure("last page / first", "x", "lower", lambda sample: sample.work.last_page)


def one_worker() -> Figure:
    """How many a second where the server has one worker."""
    return Figure(
        "rate of one worker", "requests/s", "higher", lambda sample: sample.work.one_worker
    )


def scaling() -> Figure:
    """How many times the rate of one worker two of them have."""
    return Figure("two workers / one", "x", "higher", _scaling)


def _scaling(sample: Sample) -> float | None:
    work = sample.work
    return work.count / work.seconds / work.one_worker if work.one_worker else None


def _slowdown(sample: Sample) -> float | None:
    beside, alone = sample.work.p99, sample.work.alone_p99
    return beside / alone if beside is not None and alone else None


def _p99(sample: Sample) -> float | None:
    return _milliseconds(sample.work.p99)


def _throughput(sample: Sample) -> float:
    return sample.work.size / MIB / sample.work.seconds


def _cpu_per_gib(sample: Sample) -> float:
    return sample.usage.server_cpu / (sample.work.size / GIB)


def _milliseconds(value: float | None) -> float | None:
    return None if value is None else value * 1000
