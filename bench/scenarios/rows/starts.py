"""Starting."""

from bench import figures
from bench.scenarios import starts
from bench.scenarios.scenario import Scenario
from bench.settings import Settings


def rows(_settings: Settings) -> tuple[Scenario, ...]:
    """One start, and the idling after it."""
    read = figures.seconds(limit=1.0), figures.memory("idle memory", drawn=True)
    return (Scenario("start", "cold start", "Start and idle", starts.start, read),)
