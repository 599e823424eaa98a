"""Runs one scenario on all peers: A B, then B A, then A B again, so that drift hits all alike."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Sample
from bench.meter import Meter, wait_until_quiet
from bench.payloads import Payloads
from bench.peers import Peer
from bench.scenarios.scenario import Scenario, Site, Timed
from bench.server import Server
from bench.settings import Settings

SYNC_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Contestant:
    """A peer that can be run here."""

    peer: Peer
    program: Path
    version: str


@dataclass(frozen=True, slots=True)
class Terms:
    """How every scenario of a run is run; `settle` is how long to wait for a quiet machine."""

    settings: Settings
    workers: int
    folder: Path
    settle: float


def order(names: Sequence[str], number: int) -> tuple[str, ...]:
    """Who goes first in this round: forwards in the even ones, backwards in the odd ones."""
    return tuple(names) if number % 2 == 0 else tuple(reversed(names))


def run(
    scenario: Scenario, contestants: Sequence[Contestant], terms: Terms
) -> dict[str, list[Sample]]:
    """The samples of each peer; servers and data are new for the scenario and gone after it."""
    able = [each for each in contestants if scenario.can_run(each.peer)]
    samples: dict[str, list[Sample]] = {each.peer.name: [] for each in able}
    with ExitStack() as stack:
        folder = stack.enter_context(_folder(terms.folder))
        payloads = Payloads(folder)
        stack.callback(payloads.close)
        sites = {}
        for each in able:
            home = folder / each.peer.name
            server = Server(each.peer, each.program, home, terms.workers, scenario.mode)
            stack.enter_context(server)
            sites[each.peer.name] = Site(server, terms.settings, payloads, home, stack)
        try:
            _run_rounds(scenario, sites, samples, terms)
        except Exception as failure:
            for site in sites.values():
                failure.add_note(f"{site.server.peer.title} wrote:\n{site.server.log_tail()}")
            raise
    return samples


def _run_rounds(
    scenario: Scenario, sites: Mapping[str, Site], samples: dict[str, list[Sample]], terms: Terms
) -> None:
    stages = {name: scenario.prepare(site) for name, site in sites.items()}
    for number in range(terms.settings.repeats):
        for name in order(list(samples), number):
            timed = stages[name](number)
            samples[name].append(_measure(sites[name].server, timed, terms))


def _measure(server: Server, timed: Timed, terms: Terms) -> Sample:
    _flush(terms.folder)
    if terms.settle:
        wait_until_quiet(terms.settle)
    with Meter(lambda: server.pid) as meter:
        work = timed()
    assert meter.usage is not None
    return Sample(work, meter.usage)


def _flush(folder: Path) -> None:
    """Write out what the run before left behind, so that nobody pays for another's bytes."""
    with suppress(subprocess.TimeoutExpired):
        subprocess.run(["sync", "-f", str(folder)], timeout=SYNC_SECONDS, check=False)


@contextmanager
def _folder(parent: Path) -> Iterator[Path]:
    parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix="run-", dir=parent))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        if made.exists():
            print(f"could not remove {made}", file=sys.stderr)
