"""Puts a run into docs/ and the READMEs: figures, picture, tables between their marks."""

import json
from pathlib import Path

import msgspec

from bench import readmes
from bench.chart import chart
from bench.programs import ROOT
from bench.results import Report
from bench.table import groups, markdown, rows

DOCS = ROOT / "docs"
BEGIN = "<!-- figures: written by make bench ARGS=--publish -->"
END = "<!-- end of figures -->"


def write_json(report: Report, path: Path) -> None:
    """All samples and all lines, each on a row of its own so that two runs can be compared."""
    parts = [f"{json.dumps(key)}: {_spread_out(part)}" for key, part in report.as_json().items()]
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n")


def read_json(path: Path) -> Report:
    """A report that `write_json` wrote."""
    return msgspec.json.decode(path.read_bytes(), type=Report)


def publish(report: Report) -> tuple[Path, ...]:
    """Write them all, return their paths; each page must have its two marks."""
    page, picture, data = (DOCS / f"performance.{kind}" for kind in ("md", "svg", "json"))
    page.write_text(with_figures(page.read_text(), figures_of(report)))
    picture.write_text(chart(report))
    write_json(report, data)
    for readme, language in readmes.PAGES.items():
        short = readmes.figures_of(report, language)
        readme.write_text(with_figures(readme.read_text(), short, readmes.BEGIN, readmes.END))
    return page, picture, data, *readmes.PAGES


def figures_of(report: Report) -> str:
    """Date, machine, versions, the table and the notes, in Markdown."""
    machine = report.machine
    where = (
        f"Run of {report.date}: {machine.cores} cores ({machine.processor}), "
        f"{machine.memory_gib:g} GiB, {machine.kernel}, Python {machine.python}, "
        f"data on {report.filesystem}; {report.workers} workers of khod; "
        f"medians of {report.settings.repeats} runs."
    )
    facts = [
        where,
        "",
        *(f"- {peer.title}: `{peer.version}`" for peer in report.peers),
        *(f"- {note}" for note in report.notes),
        "",
    ]
    tables = [
        f"### {name}\n\n{markdown(rows(lines, report.peers))}\n"
        for name, lines in groups(report.lines)
    ]
    return "\n".join([*facts, *tables]).rstrip()


def _spread_out(part: object) -> str:
    """Lists and dictionaries of anything but words and numbers: one member a row."""
    if isinstance(part, list | tuple) and part:
        return "[\n" + ",\n".join(f" {json.dumps(member)}" for member in part) + "\n]"
    if isinstance(part, dict) and any(isinstance(member, dict) for member in part.values()):
        rows_of = (f" {json.dumps(key)}: {json.dumps(member)}" for key, member in part.items())
        return "{\n" + ",\n".join(rows_of) + "\n}"
    return json.dumps(part)


def with_figures(page: str, figures: str, begin: str = BEGIN, end: str = END) -> str:
    """The page with everything between its marks replaced."""
    before, begun, rest = page.partition(begin)
    _, ended, after = rest.partition(end)
    if not begun or not ended:
        raise ValueError("the page has lost the marks between which the figures stand")
    return f"{before}{begin}\n\n{figures}\n\n{end}{after}"
