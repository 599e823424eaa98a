"""Progress on a terminal: a bar for each blob on its way, and one for all of them.

0a1b2c3d4e5f ━━━━━━━━━━━━━━━━━━╺━━━━━━━━━━  12.1/30.0 MiB  8.1 MiB/s  0:02
3 of 7       ━━━━━━━━━━━━━╺━━━━━━━━━━━━━━━  40.2/90.0 MiB  16 MiB/s   0:03
"""

import time
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress
from rich.table import Column
from rich.text import Text

from kho.cli import shown
from kho.cli.shown import printable, short, size
from kho.client.progress import Outcome, Progress
from kho.oci.manifest import Descriptor

# Narrower terminals show less.
_WIDE: Final = 72
_NARROW: Final = 44
# A bar moves so often, not with each piece.
_STEP_SECONDS: Final = 0.1


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        """In the units of all other sizes."""
        speed = task.finished_speed or task.speed
        return Text(f"{size(speed)}/s" if speed else "")


class Bars(Progress):
    """`with Bars() as told`: bars until the block ends; notes stand above them.

    For whatever else is printed (kho/cli/shown.py) they go away, and come again with what moves.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False, markup=False)
        self._rich: RichProgress | None = None
        self._total = TaskID(0)
        self._bars: dict[str, TaskID] = {}
        self._moving: dict[str, Descriptor] = {}
        # What counts for the total: bytes of each blob by its digest.
        self._done: dict[str, int] = {}
        self._sizes: dict[str, int] = {}
        self._over = 0
        self._shown = time.monotonic()

    def __enter__(self) -> Self:
        shown.clear_first(self.clear)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.clear()
        shown.clear_first(None)

    def clear(self) -> None:
        """Take the bars away until something moves again."""
        if self._rich is not None:
            self._rich.stop()
            self._rich = None
            self._bars.clear()

    def _drawn(self) -> RichProgress:
        if self._rich is None:
            # One that was stopped takes away lines above it when it is started again.
            self._rich = RichProgress(
                *_columns(self._console.width),
                console=self._console,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._total = self._rich.add_task("", total=None, visible=False)
            self._rich.start()
            for content in self._moving.values():
                self._add(self._rich, content)
        return self._rich

    def _add(self, rich: RichProgress, content: Descriptor) -> None:
        self._bars[content.digest.hex] = rich.add_task(short(content), total=content.size)

    def begin(self, content: Descriptor) -> None:
        """Count it."""
        self._sizes[content.digest.hex] = content.size

    def move(self, content: Descriptor, start: int) -> None:
        """A bar of its own, from where it is gone on with."""
        key = content.digest.hex
        rich = self._drawn()
        self._moving[key] = content
        if key not in self._bars:
            self._add(rich, content)
        self._sizes[key] = content.size
        self._done[key] = start
        rich.update(self._bars[key], completed=start)
        self._show(at_once=True)

    def advance(self, content: Descriptor, count: int) -> None:
        """Move the bars, now and then."""
        key = content.digest.hex
        self._done[key] = self._done.get(key, 0) + count
        self._show(at_once=False)

    def end(self, content: Descriptor, outcome: Outcome) -> None:
        """Its bar goes; what was left out counts for nothing."""
        key = content.digest.hex
        if outcome is Outcome.SKIPPED:
            self._sizes.pop(key, None)
        else:
            self._sizes[key] = self._done[key] = content.size
            self._over += 1
        self._moving.pop(key, None)
        bar = self._bars.pop(key, None)
        if bar is not None:
            self._drawn().remove_task(bar)
        self._show(at_once=True)

    def note(self, text: str) -> None:
        """A line above the bars."""
        self._console.print(
            printable(text), style="yellow", soft_wrap=True, markup=False, highlight=False
        )

    def _show(self, *, at_once: bool) -> None:
        now = time.monotonic()
        if not at_once and now - self._shown < _STEP_SECONDS:
            return
        self._shown = now
        rich = self._drawn()
        for key, bar in self._bars.items():
            rich.update(bar, completed=self._done.get(key, 0))
        done = sum(self._done.get(key, 0) for key in self._sizes)
        text = f"{self._over} of {len(self._sizes)}"
        rich.update(
            self._total,
            description=text,
            completed=done,
            total=sum(self._sizes.values()),
            visible=True,
        )


def _columns(width: int) -> list[ProgressColumn]:
    columns: list[ProgressColumn] = [
        TextColumn("{task.description}", table_column=Column(min_width=12, no_wrap=True)),
        BarColumn(bar_width=None),
    ]
    if width >= _NARROW:
        columns.append(DownloadColumn(binary_units=True, table_column=Column(no_wrap=True)))
    if width >= _WIDE:
        columns += [_Speed(), TimeRemainingColumn(compact=True)]
    return columns
