"""From samples to lines: one figure of one scenario, its medians and ratios; all of it as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from bench import medians
from bench.figures import Better, Figure, Sample
from bench.machine import Machine
from bench.scenarios.scenario import Scenario
from bench.settings import Settings


@dataclass(frozen=True, slots=True)
class Line:
    """One figure side by side; medians and values are by peer, ratios first peer to other."""

    scenario: str
    group: str
    title: str
    figure: str
    unit: str
    better: Better
    goal: float | None
    limit: float | None
    drawn: bool
    values: dict[str, list[float]]
    medians: dict[str, float]
    spread: float
    ratios: dict[str, float]


@dataclass(frozen=True, slots=True)
class PeerNote:
    """Who was measured."""

    name: str
    title: str
    version: str
    limit: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that is known about a run."""

    date: str
    quick: bool
    machine: Machine
    filesystem: str
    workers: int
    settings: Settings
    peers: tuple[PeerNote, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...]
    samples: dict[str, dict[str, list[Sample]]]

    def as_json(self) -> dict[str, object]:
        """Plain dictionaries and lists."""
        return asdict(self)


def lines_of(scenario: Scenario, samples: Mapping[str, Sequence[Sample]]) -> tuple[Line, ...]:
    """One line for each figure that every sample has."""
    found = (_line(scenario, figure, samples) for figure in scenario.figures)
    return tuple(line for line in found if line is not None)


def noise(samples: Mapping[str, Mapping[str, Sequence[Sample]]]) -> tuple[float, float]:
    """Cores that the load generator and that other programs took while timed, on average."""
    used = [each.usage for peers in samples.values() for row in peers.values() for each in row]
    seconds = sum(usage.seconds for usage in used)
    if not seconds:
        return 0.0, 0.0
    loader = sum(usage.loader_cpu for usage in used) / seconds
    return loader, sum(usage.other_cpu for usage in used) / seconds


def _line(
    scenario: Scenario, figure: Figure, samples: Mapping[str, Sequence[Sample]]
) -> Line | None:
    values: dict[str, list[float]] = {}
    for peer, row in samples.items():
        read = [figure.value(sample) for sample in row]
        values[peer] = [value for value in read if value is not None]
    if not values or not all(values.values()):
        return None
    centres = {
        peer: value for peer, row in values.items() if (value := medians.middle(row)) is not None
    }
    first, *others = values
    ratios = {other: medians.ratio(centres[first], centres[other]) for other in others}
    return Line(
        scenario=scenario.key,
        group=scenario.group,
        title=scenario.title,
        figure=figure.name,
        unit=figure.unit,
        better=figure.better,
        goal=figure.goal,
        limit=figure.limit,
        drawn=figure.drawn,
        values=values,
        medians=centres,
        spread=max(medians.spread(row) for row in values.values()),
        ratios={other: value for other, value in ratios.items() if value is not None},
    )
