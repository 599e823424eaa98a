"""The door: `python -m bench.clients` measures the clients, shows a table, publishes it."""

import argparse
import compileall
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path

from bench.clients import runs
from bench.clients.cases import Case, Stock, cases
from bench.clients.lines import Line, lines_of, markdown, plain
from bench.clients.runs import Place
from bench.clients.tools import TOOLS, Tool
from bench.machine import this_machine
from bench.peers import peer_named
from bench.programs import ROOT, found, lacking, locate
from bench.publish import DOCS, with_figures
from bench.server import Server
from bench.settings import FULL, QUICK

BEGIN = "<!-- clients: written by make bench ARGS=--publish -->"
END = "<!-- end of clients -->"
WORKERS = 2


def main() -> int:
    """0 when every case ran."""
    said = _parser().parse_known_args()[0]
    settings = QUICK if said.quick else FULL
    patterns = list(filter(None, said.only.split(",")))
    chosen = [
        case
        for case in cases(settings)
        if not patterns or any(fnmatchcase(case.key, one) for one in patterns)
    ]
    if said.list:
        print("\n".join(f"{case.key:22}{case.title}" for case in chosen))
        return 0
    if not chosen or said.again:
        return 0
    programs = {tool.name: path for tool in TOOLS if (path := found(tool.program))}
    notes = [f"{tool.name} is missing" for tool in TOOLS if tool.name not in programs]
    tools = [tool for tool in TOOLS if tool.name in programs]
    repeats = said.repeats or settings.repeats
    lines, failed = [], False
    with ExitStack() as stack:
        scratch = _folder(stack, said.data)
        peer, program = locate(peer_named("khod"))
        server = stack.enter_context(Server(peer, program, scratch / "khod", WORKERS))
        stock = Stock(scratch, settings)
        place = Place(server, scratch, programs, stock)
        # As an installed program is; the first run would do it otherwise.
        compileall.compile_dir(ROOT / "kho", quiet=2)
        for case in chosen:
            if missing := lacking(case.needs):
                notes.append(f"{case.title}: left out, it needs {' and '.join(missing)}")
                continue
            made, reason = _measured(case, tools, place, repeats)
            lines += made
            if reason:
                failed = True
                notes.append(f"{case.title}: failed: {reason}")
    print(f"\n{plain(lines)}\n" + "\n".join(notes))
    if said.publish and lines:
        _publish(lines, [*(_version(tool, programs) for tool in tools), *notes], repeats)
    return 1 if failed else 0


def _measured(
    case: Case, tools: Sequence[Tool], place: Place, repeats: int
) -> tuple[list[Line], str]:
    try:
        costs = runs.run(case, tools, place, repeats)
    except Exception as failure:  # noqa: BLE001 - the other cases shall run all the same
        print(f"{case.key}: {failure}", file=sys.stderr, flush=True)
        return [], str(failure).partition("\n")[0]
    made = lines_of(case, costs)
    short = ", ".join(f"{name} {value:.3g}" for name, value in made[0].medians.items())
    print(f"{case.key:22}{made[0].unit}: {short}", file=sys.stderr, flush=True)
    return made, ""


def _folder(stack: ExitStack, parent: Path) -> Path:
    parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix="clients-", dir=parent))
    stack.callback(shutil.rmtree, made, ignore_errors=True)
    return made


def _version(tool: Tool, programs: dict[str, Path]) -> str:
    done = subprocess.run(
        [programs[tool.name], *tool.version], capture_output=True, text=True, check=False
    )
    return f"{tool.name}: `{(done.stdout or done.stderr).strip().splitlines()[0]}`"


def _publish(lines: list[Line], notes: list[str], repeats: int) -> None:
    machine = this_machine()
    where = (
        f"Run of {datetime.now(UTC):%Y-%m-%d}: {machine.cores} cores ({machine.processor}),"
        f" {machine.memory_gib:g} GiB, Python {machine.python}, {WORKERS} workers of khod;"
        f" medians of {repeats} runs."
    )
    text = "\n".join([where, "", *(f"- {note}" for note in notes), "", markdown(lines)])
    page = DOCS / "performance.md"
    page.write_text(with_figures(page.read_text(), text, BEGIN, END))
    data = [
        {"case": line.key, "figure": line.figure, "unit": line.unit, "values": line.values}
        for line in lines
    ]
    (DOCS / "performance-clients.json").write_text(json.dumps(data, indent=1) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m bench.clients", description=__doc__)
    add = parser.add_argument
    add("--quick", action="store_true", help="small images: shows that it works")
    add("--repeats", type=int, default=0, metavar="N", help="timed runs of each case and tool")
    add("--only", default="", metavar="KEYS", help="cases, comma between, * allowed")
    add("--data", type=Path, default=ROOT / ".cache" / "bench", metavar="DIR", help="scratch, disk")
    add("--publish", action="store_true", help="write docs/performance.md and its figures")
    add("--list", action="store_true", help="list the cases and end")
    add("--again", type=Path, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
