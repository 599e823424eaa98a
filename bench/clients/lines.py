"""From costs to lines: one figure of one case, by tool, and how `kho` stands beside the best."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench import table
from bench.clients.cases import Case
from bench.clients.runs import Cost
from bench.clients.tools import START, TOOLS
from bench.medians import middle, ratio, spread, verdict

GOAL_MET, GOAL_MISSED = "met", "MISSED"


@dataclass(frozen=True, slots=True)
class Line:
    """Lower is better in all of them; `goal` is a ratio to the best other, `limit` a figure."""

    key: str
    title: str
    figure: str
    unit: str
    values: dict[str, list[float]]
    goal: float | None = None
    limit: float | None = None

    @property
    def medians(self) -> dict[str, float]:
        """By tool."""
        return {name: value for name, row in self.values.items() if (value := middle(row))}

    @property
    def ratio(self) -> float | None:
        """Ours to the best of the others."""
        own, *others = self.medians.values()
        return ratio(own, min(others)) if others else None

    @property
    def judged(self) -> str:
        """Whether what was wanted is reached."""
        own = next(iter(self.medians.values()))
        said = []
        if self.goal is not None and self.ratio is not None:
            word = GOAL_MET if self.ratio <= self.goal else GOAL_MISSED
            said.append(f"<= {self.goal:g}x {word}")
        if self.limit is not None:
            word = GOAL_MET if own <= self.limit else GOAL_MISSED
            said.append(f"<= {self.limit:g} {self.unit} {word}")
        return ", ".join(said) or "-"


def lines_of(case: Case, costs: Mapping[str, Sequence[Cost]]) -> list[Line]:
    """Time, processor time and memory."""

    def of(read: Callable[[Cost], float]) -> dict[str, list[float]]:
        return {name: [read(cost) for cost in row] for name, row in costs.items()}

    goals = case.goals
    if case.job == START:
        times = of(lambda cost: cost.seconds * 1000)
        return [Line(case.key, case.title, "time", "ms", times, limit=goals.milliseconds)]
    return [
        Line(case.key, case.title, "time", "s", of(lambda cost: cost.seconds), goals.time),
        Line(case.key, case.title, "processor", "s", of(lambda cost: cost.processor)),
        Line(
            case.key,
            case.title,
            "peak memory",
            "MiB",
            of(lambda cost: cost.memory),
            limit=goals.memory,
        ),
    ]


def plain(lines: Sequence[Line]) -> str:
    """For the terminal."""
    return table.plain(_rows(lines))


def markdown(lines: Sequence[Line]) -> str:
    """For the page."""
    return table.markdown(_rows(lines))


def _rows(lines: Sequence[Line]) -> list[list[str]]:
    names = [tool.name for tool in TOOLS if any(tool.name in line.values for line in lines)]
    rows = [["case", "figure", *names, "kho / best", "so kho is", "goal", "spread"]]
    previous = ""
    for line in lines:
        medians = line.medians
        cells = [table.number(medians[name]) if name in medians else "-" for name in names]
        found = line.ratio
        rows.append(
            [
                "" if line.title == previous else line.title,
                f"{line.figure}, {line.unit}",
                *cells,
                "-" if found is None else f"{found:.2f}x",
                verdict(found, "lower"),
                line.judged,
                f"{max(map(spread, line.values.values())):.0%}",
            ]
        )
        previous = line.title
    return rows
