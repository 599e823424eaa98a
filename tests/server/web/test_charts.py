"""Shapes of charts: to scale, within the drawing, without overlaps."""

from hypothesis import given
from hypothesis import strategies as st

from kho.server.web.ui.charts import WIDTH, bars, line, shares, treemap

VALUES = st.lists(st.integers(0, 10**12), max_size=60)
SLACK = 0.5


@given(VALUES)
def test_bars_stand_in_the_drawing(values: list[int]) -> None:
    found = bars(values, 80)
    assert len(found) == len(values)
    for bar, value in zip(found, values, strict=True):
        assert 0 <= bar.x <= WIDTH
        assert bar.x + bar.width <= WIDTH + SLACK
        assert 0 <= bar.y <= 80
        assert (bar.height > 0) == (value > 0)
        assert abs(bar.y + bar.height - 80) < SLACK


@given(VALUES)
def test_shares_fill_the_bar(values: list[int]) -> None:
    found = shares(values)
    if values:
        assert abs(sum(one.width for one in found) - WIDTH) < SLACK
    assert all(one.width > 0 for one in found)


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=60))
def test_areas_of_the_treemap_are_as_the_values(values: list[int]) -> None:
    values.sort(reverse=True)
    found = treemap(values, 240)
    for one, value in zip(found, values, strict=True):
        assert -SLACK <= one.x <= one.x + one.width <= WIDTH + SLACK
        assert -SLACK <= one.y <= one.y + one.height <= 240 + SLACK
        assert abs(one.width * one.height - value / sum(values) * WIDTH * 240) < 1


def test_nothing_is_drawn_of_nothing() -> None:
    assert bars([], 80) == []
    assert line([], 80) == ""
    assert shares([]) == []
    assert treemap([], 80) == []
    assert [one.width for one in treemap([0, 0], 80)] == [0, 0]
    assert line([5], 80) == "0.0,0.0"
