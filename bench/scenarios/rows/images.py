"""Small whole images, by several clients at once."""

from bench import figures
from bench.peers import WRITE
from bench.scenarios import image_pushes
from bench.scenarios.scenario import Prepare, Scenario
from bench.settings import Settings

GROUP = "Small images, 8 clients at once"


def rows(_settings: Settings) -> tuple[Scenario, ...]:
    """Repositories that differ, and one that all of them want."""
    return (
        _images("distinct", "image push, own repositories", image_pushes.distinct, 2.5),
        _images("shared", "image push, one repository", image_pushes.shared, None),
    )


def _images(key: str, title: str, prepare: Prepare, goal: float | None) -> Scenario:
    read = (
        figures.rate("images/s", goal=goal),
        figures.p50(),
        figures.p99(),
        figures.cpu_each(),
        figures.memory(),
    )
    return Scenario(f"images-{key}", title, GROUP, prepare, read, WRITE)
