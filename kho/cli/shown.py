"""What is printed: JSON for programs, lines for people and logs, content as it is.

Names of tags, files in images, annotations and errors come from others: they are printed by `line`,
which lets nothing through that moves a terminal's cursor, renames its window, or answers for it.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from kho.client.progress import Outcome, Progress

if TYPE_CHECKING:
    from kho.oci.manifest import Descriptor

_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")
_STEP: Final = 1024
# A log gets a line now and then, not one for each piece.
EVERY_SECONDS: Final = 10.0


# Takes away what is drawn on the terminal, bars, before something else is printed there.
_CLEAR: list[Callable[[], None]] = []


def clear_first(clear: Callable[[], None] | None) -> None:
    """Have this called before each line; None ends that."""
    _CLEAR[:] = [] if clear is None else [clear]


def _echo(text: str, *, err: bool = False) -> None:
    for clear in _CLEAR:
        clear()
    click.echo(text, err=err)


def as_json(value: Any) -> None:  # noqa: ANN401 - whatever JSON takes
    """One value, indented."""
    _echo(json.dumps(value, indent=2))


def printable(text: str) -> str:
    r"""The same where it is printable; else as an escape: `\x1b`, `\u202e`."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else _escape(one) for one in text)


def _escape(sign: str) -> str:
    code = ord(sign)
    if 0xDC80 <= code <= 0xDCFF:  # noqa: PLR2004 - a byte that is no UTF-8, as os.fsdecode has it
        return f"\\x{code - 0xDC00:02x}"
    return ascii(sign)[1:-1]


def line(text: str = "", *, err: bool = False) -> None:
    """One line, printable."""
    _echo(printable(text), err=err)


def lines(text: str) -> None:
    """Some lines, each printable."""
    for one in text.splitlines():
        line(one)


def table(rows: Sequence[Sequence[str]], *, right: frozenset[int] = frozenset()) -> None:
    """Columns, those in `right` with their ends in one line; on a terminal no longer than that."""
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    most = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    for row in cells:
        parts = [
            cell.rjust(width) if at in right else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        text = "  ".join(parts).rstrip()
        _echo(f"{text[: most - 1]}…" if most and len(text) > most else text)


def content(piece: bytes) -> None:
    """Bytes as they are; on a terminal lines that do nothing to it."""
    out = sys.stdout.buffer
    if sys.stdout.isatty():
        text = piece.decode("utf-8", "surrogateescape")
        kept = "".join(one if one in "\n\t" else printable(one) for one in text)
        piece = kept.encode("utf-8", "backslashreplace")
    out.write(piece)
    out.flush()


def discard() -> None:
    """Nobody reads any more: what is still to be written goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def size(count: float) -> str:
    """Bytes as people read them."""
    for unit in _UNITS[:-1]:
        if count < _STEP:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= _STEP
    return f"{count:.1f} {_UNITS[-1]}"


def counted(count: int, what: str) -> str:
    """`1 file`, `2 files`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def short(content: "Descriptor") -> str:
    """The first digits of a digest."""
    return content.digest.hex[:12]


class Lines(Progress):
    """Plain lines on standard error, for logs: one for each blob's end, and for long waits."""

    def __init__(self) -> None:
        self._moved: dict[str, int] = {}
        self._told = time.monotonic()

    def move(self, content: "Descriptor", start: int) -> None:
        """Tell where an earlier run is gone on with."""
        if start:
            self._say(f"{short(content)}: going on at {size(start)}")
        self._moved[content.digest.hex] = start

    def advance(self, content: "Descriptor", count: int) -> None:
        """Tell now and then how far it is."""
        self._moved[content.digest.hex] = self._moved.get(content.digest.hex, 0) + count
        now = time.monotonic()
        if now - self._told > EVERY_SECONDS:
            self._told = now
            done = self._moved[content.digest.hex]
            self._say(f"{short(content)}: {size(done)} of {size(content.size)}")

    def end(self, content: "Descriptor", outcome: Outcome) -> None:
        """Tell what became of it."""
        self._say(f"{short(content)}: {outcome.value} ({size(content.size)})")

    def note(self, text: str) -> None:
        """Tell it as it is."""
        self._say(text)

    def _say(self, text: str) -> None:
        print(printable(text), file=sys.stderr)  # noqa: T201 - click.echo takes 20 us more
