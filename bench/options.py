"""What the command line of `python -m bench` says."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from bench.peers import PEERS, Peer, peer_named
from bench.programs import ROOT
from bench.settings import FULL, QUICK, Settings

PEERS_BY_DEFAULT = "khod,distribution,nginx"


@dataclass(frozen=True, slots=True)
class Options:
    """The parsed command line; `limit` and `settle` are seconds."""

    settings: Settings
    quick: bool
    peers: tuple[Peer, ...]
    only: tuple[str, ...]
    workers: int
    settle: float
    limit: int
    folder: Path
    json: Path | None
    again: Path | None
    publish: bool
    list: bool

    def wanted(self, key: str) -> bool:
        """Whether a scenario with this key is to run."""
        return not self.only or any(fnmatchcase(key, pattern) for pattern in self.only)


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Exits with 2 and a plain message on a mistake."""
    parser = _parser()
    said = parser.parse_args(arguments)
    settings = QUICK if said.quick else FULL
    if said.repeats:
        settings = replace(settings, repeats=said.repeats)
    try:
        peers = tuple(peer_named(name) for name in said.peers.split(","))
    except LookupError as mistake:
        parser.error(str(mistake))
    return Options(
        settings=settings,
        quick=said.quick,
        peers=peers,
        only=tuple(filter(None, said.only.split(","))),
        workers=said.workers,
        settle=said.settle,
        limit=60 * said.limit,
        folder=said.data,
        json=said.json,
        again=said.again,
        publish=said.publish,
        list=said.list,
    )


def _parser() -> argparse.ArgumentParser:
    known = ", ".join(peer.name for peer in PEERS)
    parser = argparse.ArgumentParser("python -m bench", description=__doc__)
    add = parser.add_argument
    add("--quick", action="store_true", help="small sizes, about 2 minutes: shows that it works")
    add("--repeats", type=int, default=0, metavar="N", help="timed runs of each scenario and peer")
    add("--only", default="", metavar="KEYS", help="scenarios, comma between, * allowed")
    add("--peers", default=PEERS_BY_DEFAULT, metavar="NAMES", help=f"first is compared: {known}")
    add("--workers", type=int, default=2, metavar="N", help="worker processes of khod and nginx")
    add("--settle", type=float, default=0, metavar="S", help="wait so long for a quiet machine")
    add("--limit", type=int, default=40, metavar="MIN", help="minutes for the whole run")
    add("--data", type=Path, default=ROOT / ".cache" / "bench", metavar="DIR", help="scratch, disk")
    add("--json", type=Path, metavar="FILE", help="write all figures there as well")
    add("--again", type=Path, metavar="FILE", help="measure nothing, show the figures of --json")
    add("--publish", action="store_true", help="write docs/performance.{md,svg,json}")
    add("--list", action="store_true", help="list the scenarios and end")
    return parser
