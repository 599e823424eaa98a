"""What is printed: JSON for programs, lines for people and logs."""

import json
import sys
import time
from typing import Any, Final

import click

from kho.client.progress import Outcome, Progress
from kho.oci.manifest import Descriptor

_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")
_STEP: Final = 1024
# A log gets a line now and then, not one for each piece.
EVERY_SECONDS: Final = 10.0


def as_json(value: Any) -> None:  # noqa: ANN401 - whatever JSON takes
    """One value, indented."""
    click.echo(json.dumps(value, indent=2))


def size(count: float) -> str:
    """Bytes as people read them."""
    for unit in _UNITS[:-1]:
        if count < _STEP:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= _STEP
    return f"{count:.1f} {_UNITS[-1]}"


def short(content: Descriptor) -> str:
    """The first digits of a digest."""
    return content.digest.hex[:12]


class Lines(Progress):
    """Plain lines on standard error, for logs: one for each blob's end, and for long waits."""

    def __init__(self) -> None:
        self._moved: dict[str, int] = {}
        self._told = time.monotonic()

    def move(self, content: Descriptor, start: int) -> None:
        """Tell where an earlier run is gone on with."""
        if start:
            self._say(f"{short(content)}: going on at {size(start)}")
        self._moved[content.digest.hex] = start

    def advance(self, content: Descriptor, count: int) -> None:
        """Tell now and then how far it is."""
        self._moved[content.digest.hex] = self._moved.get(content.digest.hex, 0) + count
        now = time.monotonic()
        if now - self._told > EVERY_SECONDS:
            self._told = now
            done = self._moved[content.digest.hex]
            self._say(f"{short(content)}: {size(done)} of {size(content.size)}")

    def end(self, content: Descriptor, outcome: Outcome) -> None:
        """Tell what became of it."""
        self._say(f"{short(content)}: {outcome.value} ({size(content.size)})")

    def note(self, text: str) -> None:
        """Tell it as it is."""
        self._say(text)

    def _say(self, text: str) -> None:
        print(text, file=sys.stderr)  # noqa: T201 - click.echo takes 20 us more
