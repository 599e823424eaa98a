"""How long a fault test runs, from which seed, and where its figures go.

`make test` runs each for some seconds, `make faults` (KHO_FAULTS=long) as long as it takes.
"""

import json
import os
import random
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

LONG: Final = os.environ.get("KHO_FAULTS") == "long"
_FIGURES: Final = Path(__file__).parents[2] / ".cache" / "faults" / "figures.jsonl"


def rounds(*, short: int, long: int) -> int:
    """How often; FAULTS_ROUNDS stands above both."""
    told = os.environ.get("FAULTS_ROUNDS")
    return int(told) if told else long if LONG else short


def seed() -> int:
    """A new one each time, unless FAULTS_SEED repeats a run."""
    told = os.environ.get("FAULTS_SEED")
    return int(told) if told else random.SystemRandom().randrange(1_000_000)


def report(fault: str, **figures: object) -> None:
    """Keep the figures of a long run, and show them."""
    line = json.dumps({"fault": fault, "at": f"{datetime.now(UTC):%Y-%m-%d %H:%M}", **figures})
    if LONG:
        _FIGURES.parent.mkdir(parents=True, exist_ok=True)
        with _FIGURES.open("a") as file:
            file.write(line + "\n")
        sys.stderr.write(f"\n{line}\n")
