"""The five lines that matter most to a user, as the README tells them in each language."""

from dataclasses import dataclass

from bench.medians import advantage
from bench.programs import ROOT
from bench.results import Line, Report
from bench.table import number

BEGIN = "<!-- speed: written by make bench ARGS=--publish -->"
END = "<!-- end of speed -->"

# Scenario and figure: what people wait for, from the real image to the first request of a pull.
FIVE = (
    ("docker-pull", "time"),
    ("skopeo-push", "time"),
    ("pull-1g", "throughput"),
    ("images-distinct", "rate"),
    ("bearer-tag", "rate"),
)


@dataclass(frozen=True, slots=True)
class Language:
    """The words of one README; `titles` are those of FIVE."""

    where: str
    head: str
    titles: tuple[str, ...]
    units: dict[str, str]


ENGLISH = Language(
    where="Run of {date} on {cores} cores ({processor}), {memory:g} GiB, {filesystem}:",
    head="times as fast",
    titles=(
        "`docker pull` of Debian, 250 MB in ten layers",
        "`skopeo copy` of it into the registry",
        "pull of a blob of 1 GiB",
        "small images pushed by 8 clients at once",
        "manifest GET by tag with a token, 32 connections",
    ),
    units={},
)
VIETNAMESE = Language(
    where="Lần chạy ngày {date} trên {cores} nhân ({processor}), {memory:g} GiB, {filesystem}:",
    head="nhanh gấp",
    titles=(
        "`docker pull` ảnh Debian, 250 MB chia mười lớp",
        "`skopeo copy` ảnh ấy vào registry",
        "kéo một blob 1 GiB",
        "ảnh nhỏ do 8 trình khách cùng đẩy",
        "GET manifest theo tag, có token, 32 kết nối",
    ),
    units={"s": "giây", "images/s": "ảnh/giây", "requests/s": "yêu cầu/giây", "MiB/s": "MiB/giây"},
)
PAGES = {ROOT / "README.md": ENGLISH, ROOT / "README.vi.md": VIETNAMESE}


def figures_of(report: Report, language: Language) -> str:
    """Date, machine and a table of those of the five that the run has."""
    machine = report.machine
    where = language.where.format(
        date=report.date,
        cores=machine.cores,
        processor=machine.processor,
        memory=machine.memory_gib,
        filesystem=report.filesystem,
    )
    first, second, *_ = report.peers
    table = [f"| | {first.title} | {second.title} | {language.head} |", "|---|--:|--:|--:|"]
    lines = {(line.scenario, line.figure): line for line in report.lines}
    for key, title in zip(FIVE, language.titles, strict=True):
        if key in lines:
            cells = _cells(lines[key], (first.name, second.name), language)
            table.append(f"| {' | '.join([title, *cells])} |")
    return "\n".join([where, "", *table])


def _cells(line: Line, peers: tuple[str, str], language: Language) -> list[str]:
    unit = language.units.get(line.unit, line.unit)
    told = [
        f"{number(line.medians[peer])} {unit}" if peer in line.medians else "-" for peer in peers
    ]
    times = advantage(line.ratios.get(peers[1]), line.better)
    return [*told, "-" if times is None else f"{times:.2f}x"]
