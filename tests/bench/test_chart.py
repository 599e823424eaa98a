"""The picture is well-formed and says what the lines say."""

from xml.etree import ElementTree as ET

import pytest

from bench.chart import BARS_FROM, BARS_TO, WIDTH, chart, scale_of
from tests.bench import samples

SVG = "{http://www.w3.org/2000/svg}"


def drawn(text: str) -> ET.Element:
    return ET.fromstring(text)


def test_one_bar_for_each_drawn_line_of_its_own_kind() -> None:
    kinds = [bar.get("class") for bar in drawn(chart(samples.report())).iter(f"{SVG}rect")]
    assert kinds == ["card", "worse", "better", "better"]


def test_texts_are_escaped_and_tell_both_figures() -> None:
    texts = [text.text or "" for text in drawn(chart(samples.report())).iter(f"{SVG}text")]
    assert "11,000 / 4,200 requests/s" in texts
    assert any("Some & Processor <1>" in text for text in texts)


def test_better_bars_go_to_the_right_of_equal_and_worse_ones_to_the_left() -> None:
    report = samples.report()
    bars = [bar for bar in drawn(chart(report)).iter(f"{SVG}rect") if bar.get("class") != "card"]
    worse, better, _ = ((float(bar.get("x", 0)), float(bar.get("width", 0))) for bar in bars)
    assert worse[0] + worse[1] == pytest.approx(better[0], abs=0.2)


def test_nothing_leaves_the_card() -> None:
    root = drawn(chart(samples.report(samples.every_line())))
    height = float(root.get("height", 0))
    for element in root.iter():
        if element.tag in (f"{SVG}text", f"{SVG}rect"):
            assert 0 <= float(element.get("x", 0)) <= WIDTH
            assert 0 <= float(element.get("y", 0)) <= height


def test_the_scale_has_equal_inside_and_keeps_extremes_in() -> None:
    scale = scale_of([1.1, 100.0])
    assert (scale.low, scale.high) == (-1, 5)
    assert scale.at(1000.0) == BARS_TO
    assert scale.at(0.001) == BARS_FROM
    assert (scale_of([]).low, scale_of([]).high) == (-1, 1)


def test_the_dark_one_differs_in_its_style_only() -> None:
    light, dark = chart(samples.report()), chart(samples.report(), dark=True)
    assert light.partition("</style>")[2] == dark.partition("</style>")[2]
    assert "prefers-color-scheme" in light
    assert "prefers-color-scheme" not in dark
