"""A small made-up run."""

from bench import figures
from bench.figures import Sample, Work
from bench.machine import Machine
from bench.meter import Usage
from bench.results import Line, PeerNote, Report, lines_of
from bench.scenarios import scenarios
from bench.scenarios.scenario import Scenario, Site, Stage
from bench.settings import FULL, GIB, MIB

PEERS = (
    PeerNote("khod", "Kho", "khod 0.1.0"),
    PeerNote("distribution", "distribution v3.1.1", "v3.1.1"),
)


def sample(count: int, seconds: float, *, size: int = 0, cpu: float = 1.0) -> Sample:
    work = Work(count, seconds, size, p50=0.002, p99=0.010)
    return Sample(work, Usage(seconds, cpu, loader_cpu=0.1, other_cpu=0.2, peak_memory=50 * MIB))


def unprepared(_site: Site) -> Stage:
    raise AssertionError("nothing is run here")


RATE = Scenario(
    "manifest-tag",
    "manifest GET by tag",
    "Requests",
    unprepared,
    (figures.rate("requests/s", goal=2.5), figures.p99(goal=1.0)),
)
START = Scenario("start", "cold start", "Start", unprepared, (figures.seconds(limit=1.0),))
PUSH = Scenario(
    "push-1g",
    "push 1 GiB",
    "Push, one stream",
    unprepared,
    (figures.seconds(goal=0.6), figures.cpu_per_gib(goal=0.8, drawn=True)),
)


def run_lines() -> tuple[Line, ...]:
    rates = {
        "khod": [sample(10_000, 1.0), sample(12_000, 1.0), sample(11_000, 1.0)],
        "distribution": [sample(4_000, 1.0), sample(4_400, 1.0), sample(4_200, 1.0)],
    }
    pushes = {
        "khod": [sample(1, 3.0, size=GIB, cpu=1.5)],
        "distribution": [sample(1, 2.5, size=GIB, cpu=2.5)],
    }
    return (*lines_of(PUSH, pushes), *lines_of(RATE, rates))


def report(lines: tuple[Line, ...] | None = None) -> Report:
    return Report(
        date="2026-01-31",
        quick=False,
        machine=Machine(2, "Some & Processor <1>", 24.0, "Linux 6.18", "3.11.7"),
        filesystem="ext4",
        workers=2,
        settings=FULL,
        peers=PEERS,
        lines=run_lines() if lines is None else lines,
        notes=("A note.",),
        samples={},
    )


def every_line() -> tuple[Line, ...]:
    """One run of every scenario of the table, with ratios from 0.4 to 12."""
    found: list[Line] = []
    for number, scenario in enumerate(scenarios(FULL)):
        own, other = 0.4 * 1.25**number, 1.0
        rows = {
            "khod": [sample(1000, 1 / own, size=GIB, cpu=1 / own)],
            "distribution": [sample(1000, 1 / other, size=GIB, cpu=1.0)],
        }
        found += lines_of(scenario, rows)
    return tuple(found)
