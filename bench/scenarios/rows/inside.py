"""Files inside layers; of khod alone, which lists them."""

from bench import debian, figures
from bench.figures import Figure
from bench.peers import ROWS
from bench.scenarios import inside
from bench.scenarios.scenario import Scenario
from bench.settings import Settings

GROUP = "The index"
MOST_BYTES = 100.0


def rows(_settings: Settings) -> tuple[Scenario, ...]:
    """The image that all tests push."""
    each = Figure(
        "database",
        "bytes a file",
        "lower",
        lambda sample: sample.work.size / sample.work.count,
        drawn=True,
        limit=MOST_BYTES,
    )
    read = each, figures.cpu_each(), figures.memory()
    title = "files of a Debian image listed"
    return (Scenario("inside", title, GROUP, inside.listing, read, ROWS, needs=debian.NEEDS),)
