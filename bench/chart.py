"""The lines of a run as a picture: one bar each, to the right where the first peer is better."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from bench.medians import advantage, verdict
from bench.results import Line, Report
from bench.table import number

WIDTH = 960
MARGIN = 28
BARS_FROM, BARS_TO = 260, 640
FIGURES_AT = 932
# Figures that a scenario is named for: the bar bears the name of the scenario alone.
MAIN = ("rate", "throughput", "time")
ROW, BAR, HEADING, TOP, FOOT = 27, 15, 38, 104, 62

# The card has a ground of its own: it reads on any page, and follows a dark one where it can.
STYLE = """\
text { font: 13px "DejaVu Sans", Verdana, Helvetica, Arial, sans-serif; }
.card { fill: #ffffff; stroke: #d4d9df; }
.title { font-size: 19px; font-weight: bold; fill: #16202b; }
.text { fill: #16202b; }
.soft { fill: #5a6673; font-size: 12px; }
.group { fill: #16202b; font-weight: bold; }
.grid { stroke: #e4e8ec; stroke-width: 1; }
.one { stroke: #5a6673; stroke-width: 1.5; }
.better { fill: #16806a; }
.worse { fill: #c4561a; }
.even { fill: #7d8894; }
"""
DARK = """\
.card { fill: #14191f; stroke: #343d47; }
.title, .text, .group { fill: #eef2f5; }
.soft { fill: #a3aeb9; }
.grid { stroke: #2b333c; }
.one { stroke: #a3aeb9; }
.better { fill: #35b597; }
.worse { fill: #ec8a4e; }
.even { fill: #8e99a5; }
"""


@dataclass(frozen=True, slots=True)
class Scale:
    """Powers of two between the ends of the bars; 1x is where the two peers are equal."""

    low: int
    high: int

    def at(self, value: float) -> float:
        """The place of a ratio, kept between the ends."""
        share = (math.log2(value) - self.low) / (self.high - self.low)
        return BARS_FROM + (BARS_TO - BARS_FROM) * min(1.0, max(0.0, share))


@dataclass(frozen=True, slots=True)
class Bar:
    """A line that can be drawn; `times` above 1 is better."""

    line: Line
    times: float


def chart(report: Report, *, dark: bool = False) -> str:
    """A whole SVG; `dark` draws it as a dark page would show it."""
    first, second, *_ = report.peers
    bars = [bar for line in report.lines if (bar := _bar(line, second.name)) is not None]
    scale = scale_of([bar.times for bar in bars])
    body = list(_body(bars, scale, (first.name, second.name)))
    groups = len({bar.line.group for bar in bars})
    height = TOP + len(bars) * ROW + groups * HEADING + FOOT
    style = STYLE + (DARK if dark else f"@media (prefers-color-scheme: dark) {{\n{DARK}}}\n")
    label = escape(f"{first.title} compared with {second.title}, {len(bars)} lines")
    box = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    card = f'x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="10"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {box} role="img" aria-label="{label}">',
            f"<style>\n{style}</style>",
            f'<rect class="card" {card}/>',
            *_titles(report),
            *_grid(scale, height - FOOT),
            *body,
            *_foot(report, height),
            "</svg>",
            "",
        ]
    )


def scale_of(times: Sequence[float]) -> Scale:
    """From at most half to at least twice, wide enough for all bars up to 32 times."""
    logs = [math.log2(value) for value in times]
    low = min([-1, *(math.floor(value) for value in logs)])
    high = max([1, *(math.ceil(value) for value in logs)])
    return Scale(max(low, -5), min(high, 5))


def _bar(line: Line, other: str) -> Bar | None:
    times = advantage(line.ratios.get(other), line.better)
    return Bar(line, times) if line.drawn and times is not None else None


def _titles(report: Report) -> Iterator[str]:
    first, second, *_ = report.peers
    yield _text(MARGIN, 38, f"{first.title} beside {second.title}", "title")
    machine = report.machine
    where = f"{report.date}, one machine, one run, alternating: {machine.cores} cores, loopback"
    yield _text(MARGIN, 60, f"{where}, medians of {report.settings.repeats}", "soft")
    head = f"{first.title} / {second.title}"
    yield _text(FIGURES_AT, 84, head, "soft", "end")


def _grid(scale: Scale, bottom: int) -> Iterator[str]:
    for power in range(scale.low, scale.high + 1):
        x = scale.at(2.0**power)
        kind = "one" if power == 0 else "grid"
        yield f'<line class="{kind}" x1="{x:.1f}" y1="92" x2="{x:.1f}" y2="{bottom}"/>'
        yield _text(x, 84, _times(power), "soft", "middle")


def _times(power: int) -> str:
    if power == 0:
        return "equal"
    return f"{2**power}x" if power > 0 else f"1/{2**-power}"


def _body(bars: Sequence[Bar], scale: Scale, names: tuple[str, str]) -> Iterator[str]:
    y, group = TOP, ""
    for bar in bars:
        if bar.line.group != group:
            group = bar.line.group
            yield _text(MARGIN, y + 25, group, "group")
            y += HEADING
        yield from _row(bar, scale, y, names)
        y += ROW


def _row(bar: Bar, scale: Scale, y: int, names: tuple[str, str]) -> Iterator[str]:
    line, middle = bar.line, y + BAR / 2 + 4.5
    title = line.title if line.figure in MAIN else f"{line.title}, {line.figure}"
    yield _text(MARGIN + 12, middle, f"{title[:1].upper()}{title[1:]}", "text")
    start, end = sorted((scale.at(1.0), scale.at(bar.times)))
    kind = verdict(bar.times, "higher")
    yield (
        f'<rect class="{kind}" x="{start:.1f}" y="{y}" '
        f'width="{max(2.0, end - start):.1f}" height="{BAR}" rx="2"/>'
    )
    shown = f"{bar.times:.2f}x" if bar.times < 10 else f"{bar.times:.1f}x"
    yield _text(max(end, scale.at(1.0)) + 7, middle, shown, "text")
    own, other = (number(line.medians[name]) for name in names)
    yield _text(FIGURES_AT, middle, f"{own} / {other} {line.unit}", "text", "end")


def _foot(report: Report, height: int) -> Iterator[str]:
    first = report.peers[0].title
    yield _text(
        MARGIN, height - 34, f"A bar to the right: {first} is better by so many times.", "soft"
    )
    machine = report.machine
    where = (
        f"{machine.processor}, {machine.memory_gib:g} GiB, {machine.kernel}, {report.filesystem}"
    )
    yield _text(MARGIN, height - 16, where, "soft")


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
    )
