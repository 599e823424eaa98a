"""Where the shapes of charts stand; templates/charts.html draws them.

A chart is SVG without text, which would shrink with it on a phone; words stand beside it, and a
table says the same in figures.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

WIDTH: Final = 600.0
_GAP: Final = 0.2


class Bar(NamedTuple):
    """One value's bar, in units of the drawing."""

    x: float
    y: float
    width: float
    height: float


def bars(values: Sequence[float], height: float) -> list[Bar]:
    """Bars side by side, the largest as high as the drawing; what is not 0 can be seen."""
    if not values:
        return []
    most = max(*values, 1)
    step = WIDTH / len(values)
    found = []
    for number, value in enumerate(values):
        tall = max(1.0, value / most * height) if value else 0.0
        found.append(Bar(number * step + step * _GAP / 2, height - tall, step * (1 - _GAP), tall))
    return found


def line(values: Sequence[float], height: float) -> str:
    """The points of a line from the first to the last value, above 0."""
    if not values:
        return ""
    most = max(*values, 1)
    step = WIDTH / max(1, len(values) - 1)
    return " ".join(
        f"{number * step:.1f},{height - value / most * height:.1f}"
        for number, value in enumerate(values)
    )


def shares(values: Sequence[float], least: float = 3.0) -> list[Bar]:
    """Parts of one horizontal bar, drawn to scale; each wide enough to be hit."""
    total = sum(values) or 1
    wanted = [max(least, value / total * WIDTH) for value in values]
    scale = WIDTH / (sum(wanted) or 1)
    found, x = [], 0.0
    for one in wanted:
        found.append(Bar(x, 0.0, one * scale, 0.0))
        x += one * scale
    return found


def treemap(values: Sequence[float], height: float) -> list[Bar]:
    """Rectangles whose areas are as the values, as square as can be; values come descending."""
    total = sum(values)
    if total <= 0:
        return [Bar(0.0, 0.0, 0.0, 0.0) for _ in values]
    areas = [value / total * WIDTH * height for value in values]
    found: list[Bar] = []
    x, y, wide, tall = 0.0, 0.0, WIDTH, height
    start = 0
    while start < len(areas):
        side = min(wide, tall)
        stop = start + 1
        while stop < len(areas) and _worst(areas[start : stop + 1], side) <= _worst(
            areas[start:stop], side
        ):
            stop += 1
        row = areas[start:stop]
        thick = sum(row) / side if side else 0.0
        at = 0.0
        for area in row:
            long = area / thick if thick else 0.0
            if wide >= tall:
                found.append(Bar(x, y + at, thick, long))
            else:
                found.append(Bar(x + at, y, long, thick))
            at += long
        if wide >= tall:
            x, wide = x + thick, max(0.0, wide - thick)
        else:
            y, tall = y + thick, max(0.0, tall - thick)
        start = stop
    return found


def _worst(row: Sequence[float], side: float) -> float:
    """The longest rectangle of a row along a side: how many times as long as wide."""
    total = sum(row)
    if total <= 0 or side <= 0:
        return float("inf")
    thick = total / side
    return max(max(thick * thick / area, area / (thick * thick)) if area else 1e9 for area in row)
