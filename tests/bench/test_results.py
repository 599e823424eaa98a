"""Lines from samples."""

import json

import pytest

from bench.figures import Sample, Work
from bench.results import lines_of, noise
from bench.scenarios import scenarios
from bench.settings import FULL, QUICK
from tests.bench import samples


def test_a_line_holds_medians_and_the_ratio_of_the_first_to_the_others() -> None:
    seconds, cpu, rate, _ = samples.run_lines()
    assert seconds.medians == {"khod": 3.0, "distribution": 2.5}
    assert cpu.ratios == {"distribution": pytest.approx(0.6)}
    assert rate.medians == {"khod": 11_000, "distribution": 4_200}
    assert rate.spread == pytest.approx(2_000 / 11_000)


def test_a_figure_that_a_sample_lacks_has_no_line() -> None:
    one = samples.sample(10, 1.0)
    rows = {"khod": [Sample(Work(10, 1.0), one.usage)], "distribution": [one]}
    assert [line.figure for line in lines_of(samples.RATE, rows)] == ["rate"]


def test_noise_is_in_cores() -> None:
    rows = {"push": {"khod": [samples.sample(1, 2.0), samples.sample(1, 2.0)]}}
    assert noise(rows) == pytest.approx((0.05, 0.1))
    assert noise({}) == (0.0, 0.0)


def test_the_report_is_json() -> None:
    text = json.dumps(samples.report().as_json())
    assert json.loads(text)["lines"][0]["scenario"] == "push-1g"


@pytest.mark.parametrize("settings", [FULL, QUICK])
def test_keys_and_titles_are_unique(settings: object) -> None:
    rows = scenarios(FULL if settings is FULL else QUICK)
    assert len({row.key for row in rows}) == len(rows)
    assert len({(row.group, row.title) for row in rows}) == len(rows)
