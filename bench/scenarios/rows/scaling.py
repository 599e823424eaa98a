"""What a second worker brings."""

from bench import figures
from bench.peers import WORKERS
from bench.scenarios import scaling
from bench.scenarios.scenario import Scenario
from bench.settings import Settings

GROUP = "From one worker to two (wrk needs the same cores)"


def rows(_settings: Settings) -> tuple[Scenario, ...]:
    """Reported, without a goal: on two cores the load generator has a part of them."""
    read = (
        figures.rate("requests/s", drawn=False),
        figures.one_worker(),
        figures.scaling(),
        figures.cpu_each(),
    )
    return (
        Scenario(
            "scaling",
            "manifest GET by tag, two workers",
            GROUP,
            scaling.one_to_two,
            read,
            WORKERS,
            ("wrk",),
        ),
    )
