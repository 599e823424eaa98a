"""Many large bodies at once, and parts of one."""

from bench import figures
from bench.peers import WRITE
from bench.scenarios import streams
from bench.scenarios.scenario import Scenario
from bench.settings import Settings

GROUP = "Many streams, and ranges"


def rows(settings: Settings) -> tuple[Scenario, ...]:
    """What they take of time and of memory."""
    load, spans, count = settings.streams, settings.spans, settings.stream_clients
    speed = figures.throughput(goal=1.0), figures.cpu_per_gib()
    part = figures.throughput(goal=1.0), figures.cpu_per_gib(goal=0.9)
    return (
        Scenario(
            f"pull-{load.key}",
            f"{count} pulls of {load.label} at once",
            GROUP,
            streams.pull_together,
            (*speed, figures.growth(limit=64)),
        ),
        Scenario(
            f"push-{load.key}",
            f"{count} pushes of {load.label} at once",
            GROUP,
            streams.push_together,
            (*speed, figures.growth(limit=256)),
            WRITE,
        ),
        Scenario("ranges", f"ranges of {spans.label}", GROUP, streams.ranges, part),
    )
