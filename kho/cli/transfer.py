"""What commands that move images share: how many at a time, how fast, and what is told meanwhile.

    @transferring
    @wired
    async def command(wire: "Wire", ..., *, transfer: "Transfer", ...) -> None:

Bars on a terminal, lines in a log, nothing with --quiet: all of it on standard error.
"""

import logging
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from kho.cli import exits, shown

if TYPE_CHECKING:
    from kho.client.progress import Progress
    from kho.client.rate import Rate

Function = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Transfer:
    """The options of one transfer."""

    jobs: int
    quiet: bool
    progress: str
    rate: "Rate | None"
    # What is to be put away at the end.
    stack: ExitStack

    def told(self, *, silent: bool = False) -> "Progress":
        """Who is told of the progress, and holds the rate; nobody where only a result is wanted.

        To be asked once, and handed to whatever moves content.
        """
        from kho.client.progress import Progress  # noqa: PLC0415

        told = Progress()
        how = "none" if self.quiet or (silent and self.progress == "auto") else self.progress
        if how == "auto":
            # The lines of --debug would stand amid the bars.
            debugged = logging.getLogger("kho").isEnabledFor(logging.DEBUG)
            terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and not debugged
            how = "bar" if terminal else "plain"
        if how == "bar":
            from kho.cli.bars import Bars  # noqa: PLC0415

            told = self.stack.enter_context(Bars())
        elif how == "plain":
            told = shown.Lines()
        told.rate = self.rate
        return told


def transferring(function: Function) -> Function:
    """Give a command the options, and its function a Transfer as `transfer`."""

    @click.option("--jobs", default=4, type=click.IntRange(1, 64), help="Layers at a time  [4].")
    @click.option("--limit-rate", metavar="RATE", help="Bytes a second in all, as 500k or 10M.")
    @click.option(
        "--progress",
        type=click.Choice(["auto", "bar", "plain", "none"]),
        default="auto",
        help="How progress is told  [auto: bars on a terminal, else lines].",
    )
    @click.option("-q", "--quiet", is_flag=True, help="Print the result alone.")
    @wraps(function)
    def command(
        *arguments: object,
        jobs: int,
        limit_rate: str | None,
        progress: str,
        quiet: bool,
        **options: object,
    ) -> Any:  # noqa: ANN401
        with ExitStack() as stack:
            transfer = Transfer(jobs, quiet, progress, _rate(limit_rate), stack)
            return function(*arguments, transfer=transfer, **options)

    return command


def _rate(text: str | None) -> "Rate | None":
    if text is None:
        return None
    from kho.client.errors import Misused  # noqa: PLC0415
    from kho.client.rate import Rate, parse_rate  # noqa: PLC0415

    try:
        return Rate(parse_rate(text))
    except Misused as error:
        exits.fail_by(error)
