"""A scenario: what is prepared, what is timed, which figures are read; and the place it runs in."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Figure, Work
from bench.payloads import Payloads
from bench.peers import OPEN, READ, Peer
from bench.server import Server
from bench.settings import Settings


@dataclass(frozen=True, slots=True)
class Site:
    """One running server and what a scenario may use beside it.

    What it starts for all rounds is ended by `closing`, before the server is stopped.
    """

    server: Server
    settings: Settings
    payloads: Payloads
    scratch: Path
    closing: ExitStack


# The timed part itself.
Timed = Callable[[], Work]
# Called before each round with its number, untimed: makes new data, opens connections.
Stage = Callable[[int], Timed]
# Called once for each server, untimed: fills it.
Prepare = Callable[[Site], Stage]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One row of the scenario table.

    `needs` are programs that must be installed, `mode` tells how the servers are run, `limited`
    whether a server of plain files shows the limit beside them.
    """

    key: str
    title: str
    group: str
    prepare: Prepare
    figures: tuple[Figure, ...]
    ability: str = READ
    needs: tuple[str, ...] = ()
    mode: str = OPEN
    limited: bool = False

    def can_run(self, peer: Peer) -> bool:
        """Whether a peer has what the scenario asks of it."""
        if peer.limit and not self.limited:
            return False
        return self.ability in peer.abilities and self.mode in peer.modes
