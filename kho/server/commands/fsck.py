"""`khod fsck`: whether everything that is stored is as it should be."""

import json
import sys
import time
from collections import Counter
from typing import Final

import click

from kho.server.commands.operator import OPERATOR, configuration, fail, operation, run
from kho.server.registry import fsck
from kho.server.registry.finding import Check, Finding
from kho.server.resources import Resources

_STEP_SECONDS: Final = 0.2


@click.command("fsck")
@click.option("--quick", is_flag=True, help="Do not read the bytes of blobs, only their sizes.")
@click.option("--repair", is_flag=True, help="Repair what can be repaired without a loss.")
@click.option(
    "--min-age",
    type=click.FloatRange(0),
    default=3600.0,
    metavar="SECONDS",
    help="Leftovers younger than this may be a push under way  [3600].",
)
@click.option("--json", "json_wanted", is_flag=True, help="JSON: a line a finding, then a summary.")
@operation
def group(*, quick: bool, repair: bool, min_age: float, json_wanted: bool, **flags: object) -> None:
    """Compare all rows and bytes with each other, beside a running server or without one.

    Exit codes: 0 all is right, 1 something is or was wrong, 2 wrong usage.
    """
    config = configuration(flags)
    if not config.data.is_dir():
        fail(f"there is no data folder {config.data}", code=2)
    if config.storage_url.startswith("memory:"):
        fail("the blobs are in the server's memory: nobody else can look at them", code=2)
    progress = _Progress()

    async def work(resources: Resources) -> tuple[int, Counter[str]]:
        check = Check(resources, quick=quick, min_age=min_age, progress=progress.show)
        found = 0
        async for finding in fsck.findings(check):
            told = await fsck.repaired(check, finding, OPERATOR) if repair else finding
            progress.clear()
            click.echo(_line(told, repair=repair, json_wanted=json_wanted))
            found += 1
        return found, check.counted

    found, counted = run(flags, work)
    progress.clear()
    if json_wanted:
        click.echo(json.dumps({"clean": not found, "findings": found, "checked": counted}))
    else:
        amounts = ", ".join(f"{amount} {name}" for name, amount in counted.items())
        result = "all is right" if not found else f"{found} found to be wrong"
        click.echo(f"{result} ({amounts})", err=bool(found))
    sys.exit(1 if found else 0)


def _line(finding: Finding, *, repair: bool, json_wanted: bool) -> str:
    if json_wanted:
        names = ("kind", "where", "what", "repair", "repaired")
        return json.dumps({name: getattr(finding, name) for name in names})
    after = "nothing can be repaired here"
    if finding.repaired:
        after = f"repaired: {finding.repair}"
    elif finding.repair:
        after = "not repaired" if repair else f"--repair: {finding.repair}"
    return f"{finding.kind}  {finding.where}  {finding.what}  ({after})"


class _Progress:
    """One line of stderr, where somebody watches it."""

    def __init__(self) -> None:
        self._watched = sys.stderr.isatty()
        self._next = 0.0

    def show(self, counted: Counter[str]) -> None:
        """Say what was looked at, some times a second."""
        if self._watched and time.monotonic() >= self._next:
            self._next = time.monotonic() + _STEP_SECONDS
            amounts = ", ".join(f"{amount} {name}" for name, amount in counted.items())
            click.echo(f"\r\x1b[K{amounts}", nl=False, err=True)

    def clear(self) -> None:
        """Make room for other lines."""
        if self._watched:
            click.echo("\r\x1b[K", nl=False, err=True)
