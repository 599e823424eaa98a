"""Medians, ratios, verdicts."""

import pytest

from bench import medians
from bench.figures import Better


@pytest.mark.parametrize(
    "values,share,expected",
    [([], 0.5, None), ([3.0], 0.99, 3.0), ([1.0, 2.0, 3.0, 4.0], 0.5, 3.0)],
)
def test_percentile(values: list[float], share: float, expected: float | None) -> None:
    assert medians.percentile(values, share) == expected


def test_p99_of_a_hundred_is_the_last() -> None:
    assert medians.percentile([float(value) for value in range(100)], 0.99) == 99.0


def test_middle_and_spread() -> None:
    assert medians.middle([5.0, 1.0, 3.0]) == 3.0
    assert medians.middle([]) is None
    assert medians.spread([9.0, 10.0, 11.0]) == pytest.approx(0.2)


def test_ratio_of_nothing_is_nothing() -> None:
    assert medians.ratio(10.0, 4.0) == 2.5
    assert medians.ratio(None, 4.0) is None
    assert medians.ratio(10.0, 0.0) is None


@pytest.mark.parametrize(
    "ratio,better,expected",
    [
        (2.0, "higher", "better"),
        (2.0, "lower", "worse"),
        (0.5, "lower", "better"),
        (0.5, "higher", "worse"),
        (1.04, "higher", "even"),
        (0.97, "lower", "even"),
        (None, "lower", "-"),
    ],
)
def test_verdict(ratio: float | None, better: Better, expected: str) -> None:
    assert medians.verdict(ratio, better) == expected


def test_advantage_is_above_one_when_better() -> None:
    assert medians.advantage(0.25, "lower") == 4.0
    assert medians.advantage(4.0, "higher") == 4.0


def test_goals() -> None:
    assert medians.reaches(2.6, 2.5, "higher") is True
    assert medians.reaches(0.7, 0.6, "lower") is False
    assert medians.reaches(0.7, None, "lower") is None
