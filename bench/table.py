"""The lines of a run as a table: plain text for the terminal, Markdown for the documentation."""

from collections.abc import Sequence
from itertools import groupby

from bench.medians import reaches, verdict
from bench.results import Line, PeerNote


def number(value: float) -> str:
    """Three figures that count, thousands set apart."""
    if value >= 100:
        return f"{value:,.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3g}"


def rows(lines: Sequence[Line], peers: Sequence[PeerNote]) -> list[list[str]]:
    """Head first; the name of a scenario stands on its first line only.

    Who has no figure in these lines has no column.
    """
    first, *others = peers
    peers = (first, *(peer for peer in others if any(peer.name in line.medians for line in lines)))
    head = ["scenario", "figure", first.title]
    for other in peers[1:]:
        head += _heads(other, "so Kho is" if first.name == "khod" else "verdict")
    head += ["goal", "spread"]
    table = [head]
    previous = ""
    for line in lines:
        title = "" if line.scenario == previous else line.title
        previous = line.scenario
        table.append([title, f"{line.figure}, {line.unit}", *_cells(line, peers)])
    return table


def groups(lines: Sequence[Line]) -> list[tuple[str, list[Line]]]:
    """The lines that stand together, with the name of their group."""
    return [(name, list(part)) for name, part in groupby(lines, key=lambda line: line.group)]


def plain(table: Sequence[Sequence[str]]) -> str:
    """Columns set with spaces; numbers to the right."""
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    out = [_set(row, widths) for row in table]
    out.insert(1, "-" * len(out[0]))
    return "\n".join(line.rstrip() for line in out)


def markdown(table: Sequence[Sequence[str]]) -> str:
    """A Markdown table, numbers to the right."""
    head, *body = table
    marks = ["---" if column < 2 else "--:" for column in range(len(head))]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, marks, *body])


def _heads(other: PeerNote, verdict: str) -> list[str]:
    """Nobody competes with the limit: no verdict is given."""
    if other.limit:
        return [f"limit: {other.title}", "ratio"]
    return [other.title, "ratio", verdict]


def _cells(line: Line, peers: Sequence[PeerNote]) -> list[str]:
    first, *others = peers
    cells = [_median(line, first)]
    for other in others:
        value = line.ratios.get(other.name)
        shown = "-" if value is None else f"{value:.2f}x"
        cells += [_median(line, other), shown]
        if not other.limit:
            cells.append(verdict(value, line.better))
    return [*cells, _goal(line, first), f"{line.spread:.0%}"]


def _median(line: Line, peer: PeerNote) -> str:
    value = line.medians.get(peer.name)
    return "-" if value is None else number(value)


def _goal(line: Line, first: PeerNote) -> str:
    """The goals are those of Kho, by itself or against distribution, and of nobody else."""
    if first.name != "khod":
        return ""
    bound, unit, value = line.goal, "x", line.ratios.get("distribution")
    if line.limit is not None:
        bound, unit, value = line.limit, f" {line.unit}", line.medians.get(first.name)
    reached = reaches(value, bound, line.better)
    if reached is None:
        return ""
    sign = ">=" if line.better == "higher" else "<="
    return f"{sign} {bound:g}{unit} {'met' if reached else 'missed'}"


def _set(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = []
    for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
        cells.append(cell.ljust(width) if column < 2 else cell.rjust(width))
    return "  ".join(cells)
