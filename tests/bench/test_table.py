"""The table on the terminal and in Markdown."""

import json
from pathlib import Path

import pytest

from bench.publish import BEGIN, END, figures_of, read_json, with_figures, write_json
from bench.results import PeerNote, lines_of
from bench.table import markdown, number, plain, rows
from tests.bench import samples


@pytest.mark.parametrize(
    "value,expected",
    [
        (12345.6, "12,346"),
        (123.4, "123"),
        (12.34, "12.3"),
        (1.234, "1.23"),
        (0.1234, "0.12"),
        (0.01234, "0.0123"),
    ],
)
def test_numbers_have_three_figures(value: float, expected: str) -> None:
    assert number(value) == expected


def test_rows() -> None:
    head, seconds, cpu, *_ = rows(samples.run_lines(), samples.PEERS)
    assert head[:4] == ["scenario", "figure", "Kho", "distribution v3.1.1"]
    assert seconds == [
        "push 1 GiB",
        "time, s",
        "3.00",
        "2.50",
        "1.20x",
        "worse",
        "<= 0.6x missed",
        "0%",
    ]
    assert cpu[0] == ""
    assert cpu[6] == "<= 0.8x met"


def test_goals_are_those_against_distribution_only() -> None:
    swapped = tuple(reversed(samples.PEERS))
    assert all(row[6] == "" for row in rows(samples.run_lines(), swapped)[1:])


def test_a_limit_is_held_against_the_first_peer_alone() -> None:
    rows_of = {"khod": [samples.sample(1, 0.5)], "distribution": [samples.sample(1, 0.1)]}
    lines = lines_of(samples.START, rows_of)
    assert rows(lines, samples.PEERS)[1][6] == "<= 1 s met"


LIMIT = PeerNote("nginx", "nginx, static files", "nginx/1", limit=True)


def test_nobody_competes_with_the_limit() -> None:
    found = {name: [samples.sample(10, 1.0)] for name in ("khod", "distribution", "nginx")}
    lines = lines_of(samples.RATE, found)
    head, first, _ = rows(lines, (*samples.PEERS, LIMIT))
    assert head[6:9] == ["limit: nginx, static files", "ratio", "goal"]
    assert first[6:8] == ["10.0", "1.00x"]
    assert len(head) == len(first)


def test_who_has_no_figure_has_no_column() -> None:
    assert rows(samples.run_lines(), (*samples.PEERS, LIMIT)) == rows(
        samples.run_lines(), samples.PEERS
    )


def test_each_group_has_a_table_of_its_own() -> None:
    text = figures_of(samples.report())
    push, requests = text.partition("### Requests")[::2]
    assert "### Push, one stream" in push
    assert "push 1 GiB" in push
    assert "manifest GET" not in push
    assert "manifest GET" in requests


def test_plain_columns_are_flush() -> None:
    lines = plain(rows(samples.run_lines(), samples.PEERS)).splitlines()
    assert set(lines[1]) == {"-"}
    assert {len(line) for line in lines} == {len(lines[0])}


def test_markdown_has_as_many_cells_in_every_row() -> None:
    lines = markdown(rows(samples.run_lines(), samples.PEERS)).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert lines[1].startswith("| --- | --- | --:")


def test_figures_replace_what_stands_between_the_marks() -> None:
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    once = with_figures(page, figures_of(samples.report()))
    assert once.startswith("before\n")
    assert once.endswith("after\n")
    assert "old" not in once
    assert with_figures(once, figures_of(samples.report())) == once


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="marks"):
        with_figures("nothing here", "figures")


def test_the_json_is_whole_and_has_a_row_for_each_line(tmp_path: Path) -> None:
    report = samples.report()
    write_json(report, tmp_path / "run.json")
    text = (tmp_path / "run.json").read_text()
    assert json.loads(text) == json.loads(json.dumps(report.as_json()))
    assert read_json(tmp_path / "run.json") == report
    assert sum(row.startswith(' {"scenario"') for row in text.splitlines()) == len(report.lines)
