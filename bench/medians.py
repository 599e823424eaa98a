"""Medians, percentiles, spreads and ratios of a few repeated measurements."""

from collections.abc import Sequence
from statistics import median

from bench.figures import Better

EVEN = 0.05


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """The value that `share` of a sorted list stays under or at; None of an empty one."""
    if not ordered:
        return None
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def middle(values: Sequence[float]) -> float | None:
    """The median, None of nothing."""
    return median(values) if values else None


def spread(values: Sequence[float]) -> float:
    """Distance of the extremes as a share of the median: 0.1 means that they lie 10 % apart."""
    centre = middle(values)
    return (max(values) - min(values)) / centre if centre else 0.0


def ratio(own: float | None, other: float | None) -> float | None:
    """Own through other, None where either is missing or the other is nothing."""
    if own is None or other is None or other <= 0:
        return None
    return own / other


def advantage(value: float | None, better: Better) -> float | None:
    """The ratio turned so that above 1 is always better."""
    if value is None or value <= 0:
        return None
    return value if better == "higher" else 1 / value


def verdict(value: float | None, better: Better) -> str:
    """`better`, `worse`, `even` (within 5 %), or `-` where there is nothing to compare."""
    turned = advantage(value, better)
    if turned is None:
        return "-"
    if abs(turned - 1) <= EVEN:
        return "even"
    return "better" if turned > 1 else "worse"


def reaches(value: float | None, goal: float | None, better: Better) -> bool | None:
    """Whether a ratio reaches its goal; None where there is none."""
    if value is None or goal is None:
        return None
    return value >= goal if better == "higher" else value <= goal
