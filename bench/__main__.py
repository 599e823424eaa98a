"""The door: `python -m bench` measures, prints the table, and publishes it where asked."""

import signal
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import FrameType

from bench import options, publish, results, rounds, table
from bench.figures import Sample
from bench.machine import MEMORY_FILESYSTEMS, filesystem_of, this_machine
from bench.options import Options
from bench.programs import ProgramMissingError, lacking, locate, version_of
from bench.results import Line, PeerNote, Report
from bench.rounds import Contestant, Terms
from bench.scenarios import scenarios
from bench.scenarios.scenario import Scenario


class StoppedError(Exception):
    """The minutes of the run are over, or somebody asked it to end: what was measured is shown."""


@dataclass
class Findings:
    """What has been measured so far."""

    lines: list[Line] = field(default_factory=list)
    samples: dict[str, dict[str, list[Sample]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    failed: bool = False


def main() -> int:
    """0 when every scenario ran, 1 when one failed, 2 when nothing can be measured here."""
    said = options.parse()
    if said.again:
        return _finish(publish.read_json(said.again), said)
    chosen = [row for row in scenarios(said.settings) if said.wanted(row.key)]
    if said.list:
        print("\n".join(f"{row.key:22}{row.title}" for row in chosen))
        return 0
    said.folder.mkdir(parents=True, exist_ok=True)
    if (kind := filesystem_of(said.folder)) in MEMORY_FILESYSTEMS:
        return _refuse(f"{said.folder} is on {kind}: give a folder on a disk by --data")
    try:
        contestants = contestants_of(said)
    except ProgramMissingError as missing:
        return _refuse(str(missing))
    _say(f"measuring {len(chosen)} scenarios: {', '.join(each.peer.title for each in contestants)}")
    findings = _measure_all(chosen, contestants, said)
    done = _finish(_report(said, contestants, findings), said)
    return 1 if findings.failed else done


def _finish(report: Report, said: Options) -> int:
    _show(report)
    if not report.lines:
        return 1
    if said.json:
        publish.write_json(report, said.json)
    if said.publish:
        _say("wrote " + ", ".join(path.name for path in publish.publish(report)))
    return 0


def contestants_of(said: Options) -> tuple[Contestant, ...]:
    """Who can be run here; the limit may be missing, ProgramMissingError names another."""
    found = []
    for wanted in said.peers:
        try:
            peer, program = locate(wanted)
        except ProgramMissingError as missing:
            if not wanted.limit:
                raise
            _say(f"left out: {missing}")
            continue
        if peer is not wanted:
            _say(f"{wanted.title} cannot be built here, {peer.title} takes its place")
        found.append(Contestant(peer, program, version_of(peer, program)))
    return tuple(found)


def _measure_all(
    chosen: list[Scenario], contestants: tuple[Contestant, ...], said: Options
) -> Findings:
    findings = Findings()
    terms = Terms(said.settings, said.workers, said.folder, said.settle)
    signal.signal(signal.SIGALRM, _stop)
    signal.signal(signal.SIGTERM, _stop)
    signal.alarm(said.limit)
    try:
        for scenario in chosen:
            _measure(scenario, contestants, terms, findings)
    except StoppedError as stopped:
        findings.failed = True
        findings.notes.append(f"{stopped}, before it was complete")
    finally:
        signal.alarm(0)
    return findings


def _measure(
    scenario: Scenario, contestants: tuple[Contestant, ...], terms: Terms, findings: Findings
) -> None:
    if missing := lacking(scenario.needs):
        findings.notes.append(f"{scenario.title}: left out, it needs {' and '.join(missing)}")
        return
    begun = time.monotonic()
    try:
        samples = rounds.run(scenario, contestants, terms)
    except StoppedError:
        raise
    except Exception as failure:  # noqa: BLE001 - the other scenarios shall run all the same
        findings.failed = True
        reason = str(failure).partition("\n")[0]
        findings.notes.append(f"{scenario.title}: failed: {type(failure).__name__}: {reason}")
        _say("\n".join([f"{scenario.key}: {failure}", *getattr(failure, "__notes__", [])]))
        return
    findings.samples[scenario.key] = samples
    lines = results.lines_of(scenario, samples)
    findings.lines += lines
    _say(f"{scenario.key:22}{_in_short(lines[0])}   ({time.monotonic() - begun:.0f} s)")


def _in_short(line: Line) -> str:
    parts = [f"{name} {table.number(value)}" for name, value in line.medians.items()]
    return f"{line.unit}: " + ", ".join(parts)


def _report(said: Options, contestants: tuple[Contestant, ...], findings: Findings) -> Report:
    loader, others = results.noise(findings.samples)
    busy = f"While timed, the load generator used {loader:.2f} of a core, "
    notes = [*findings.notes, f"{busy}the kernel and other programs {others:.2f}."]
    return Report(
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        quick=said.quick,
        machine=this_machine(),
        filesystem=filesystem_of(said.folder),
        workers=said.workers,
        settings=said.settings,
        peers=tuple(
            PeerNote(each.peer.name, each.peer.title, each.version, each.peer.limit)
            for each in contestants
        ),
        lines=tuple(findings.lines),
        notes=tuple(notes),
        samples=findings.samples,
    )


def _show(report: Report) -> None:
    print()
    if report.lines:
        print(table.plain(table.rows(report.lines, report.peers)))
    print()
    for peer in report.peers:
        print(f"{peer.title}: {peer.version}")
    print("\n".join(report.notes), flush=True)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _refuse(text: str) -> int:
    _say(text)
    return 2


def _stop(number: int, _frame: FrameType | None) -> None:
    raise StoppedError(f"stopped by {signal.Signals(number).name}")


if __name__ == "__main__":
    sys.exit(main())
