"""What a published run writes into the READMEs."""

import pytest

from bench import readmes
from bench.publish import with_figures
from bench.readmes import ENGLISH, FIVE, PAGES, VIETNAMESE, Language
from bench.results import lines_of
from bench.scenarios import scenarios
from bench.settings import FULL
from tests.bench import samples


def test_the_five_are_lines_that_a_full_run_has() -> None:
    known = {(row.key, figure.name) for row in scenarios(FULL) for figure in row.figures}
    assert known >= set(FIVE)
    assert len(ENGLISH.titles) == len(VIETNAMESE.titles) == len(FIVE) == 5


@pytest.mark.parametrize("language", [ENGLISH, VIETNAMESE])
def test_a_row_for_each_that_was_measured(language: Language) -> None:
    rows = {row.key: row for row in scenarios(FULL)}
    found = {
        "khod": [samples.sample(1, 4.0, size=1)],
        "distribution": [samples.sample(1, 6.0, size=1)],
    }
    lines = [*lines_of(rows["docker-pull"], found), *lines_of(rows["bearer-tag"], found)]
    text = readmes.figures_of(samples.report(tuple(lines)), language)
    where, _, *table = text.splitlines()
    assert "2026-01-31" in where
    assert "Some & Processor" in where
    assert len(table) == 4
    second = "s" if language is ENGLISH else "giây"
    assert table[2] == f"| {language.titles[0]} | 4.00 {second} | 6.00 {second} | 1.50x |"


def test_a_peer_that_was_not_measured_has_no_figure() -> None:
    rows = {row.key: row for row in scenarios(FULL)}
    lines = lines_of(rows["docker-pull"], {"khod": [samples.sample(1, 4.0, size=1)]})
    assert readmes.figures_of(samples.report(lines), ENGLISH).endswith("| 4.00 s | - | - |")


def test_both_pages_have_their_marks() -> None:
    for page in PAGES:
        assert "new" in with_figures(page.read_text(), "new", readmes.BEGIN, readmes.END)


def test_all_units_of_the_five_are_said_in_vietnamese() -> None:
    units = {line.unit for line in samples.every_line() if (line.scenario, line.figure) in FIVE}
    assert units == set(VIETNAMESE.units)
