"""`khod audit`: the trail of who did what."""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Final

import click

from kho.server.commands.operator import Flags, fail, operation, run
from kho.server.database import audit
from kho.server.database.audit import OUTCOMES, AuditRow, Filter
from kho.server.index.trail import moment
from kho.server.policy.patterns import compiled, matches
from kho.server.resources import Resources

PAGE: Final = 500
FOLLOW_SECONDS: Final = 1.0
# Rows become visible in another order than that of their ids, but not much later: --follow looks
# at the same ids again for so many rounds, and begins so many ids back.
SETTLE_POLLS: Final = 10
RECENT: Final = 1000


@click.command("audit")
@operation
@click.option("--since", metavar="WHEN", help="From then on: 90m, 1d, 2026-11-01, or ISO 8601.")
@click.option("--until", metavar="WHEN", help="Before then.")
@click.option("--actor", metavar="GLOB", default="", help="Who: user:alice, 'robot:*'.")
@click.option("--action", "actions", metavar="GLOB", multiple=True, help="What: login, 'user.*'.")
@click.option("--repository", metavar="GLOB", default="", help="Where: team/app, 'team/**'.")
@click.option("--outcome", type=click.Choice(OUTCOMES), default=None, help="What came of it.")
@click.option(
    "--limit",
    type=click.IntRange(0),
    metavar="N",
    help="The last N events; 0 is all  [100; all with --json].",
)
@click.option("--json", "json_wanted", is_flag=True, help="JSON, one event on each line.")
@click.option("--follow", is_flag=True, help="Go on with what comes, until interrupted.")
def group(
    *,
    since: str | None,
    until: str | None,
    actor: str,
    actions: tuple[str, ...],
    repository: str,
    outcome: str | None,
    limit: int | None,
    json_wanted: bool,
    follow: bool,
    **flags: object,
) -> None:
    """Read the trail of who did what, the newest last."""
    _checked(since, until, repository)
    most = limit if limit is not None else (0 if json_wanted else 100)

    async def work(resources: Resources) -> None:
        now_ms = await resources.database.read(audit.now)
        wanted = Filter(
            since_ms=None if since is None else moment(since, now_ms),
            until_ms=None if until is None else moment(until, now_ms),
            actor=actor,
            actions=actions,
            repository=repository,
            outcome=outcome or "",
        )
        shown = Trail(resources, wanted, json_wanted=json_wanted)
        await shown.remember()
        await shown.print_known(most)
        if follow:
            await shown.print_coming()

    _run(flags, work)


def _run(flags: Flags, work: Callable[[Resources], Awaitable[None]]) -> None:
    with suppress(KeyboardInterrupt):  # how --follow ends
        run(flags, work)


def _checked(since: str | None, until: str | None, repository: str) -> None:
    try:
        for text in (since, until):
            if text is not None:
                moment(text, 0)
        if repository:
            compiled(repository)
    except ValueError as error:
        fail(str(error), code=2)


class Trail:
    """What `wanted` lets through, printed."""

    def __init__(self, resources: Resources, wanted: Filter, *, json_wanted: bool) -> None:
        self._resources = resources
        self._pattern = wanted.repository
        # `*` of SQL crosses slashes, that of repositories does not: it is looked at again here.
        self._wanted = wanted._replace(repository=wanted.repository.replace("?", "*"))
        self._line = as_json if json_wanted else as_text
        self._seen: set[int] = set()
        self._lasts: deque[int] = deque(maxlen=SETTLE_POLLS)

    async def print_known(self, limit: int) -> None:
        """The last `limit` events, all with 0."""
        if limit and self._exact:
            self._print(await self._resources.database.read(audit.newest, self._wanted, limit))
            return
        kept: list[AuditRow] = []
        after = 0
        while rows := await self._resources.database.read(audit.find, self._wanted, after, PAGE):
            after = rows[-1].id
            kept += [row for row in rows if self._passes(row)]
            if limit:
                kept = kept[-limit:]
            else:
                self._print(kept)
                kept = []
        self._print(kept)

    async def remember(self) -> None:
        """Take note of what is there, so that `print_coming` prints none of it."""
        last = await self._resources.database.read(audit.last_id)
        self._lasts.append(max(0, last - RECENT))
        rows = await self._resources.database.read(
            audit.find, self._wanted, self._lasts[0], 2 * RECENT
        )
        self._seen = {row.id for row in rows}

    async def print_coming(self) -> None:
        """What is written from now on, for ever."""
        while True:
            await asyncio.sleep(FOLLOW_SECONDS)
            last = await self._resources.database.read(audit.last_id)
            after = self._lasts[0]
            while rows := await self._resources.database.read(
                audit.find, self._wanted, after, PAGE
            ):
                after = rows[-1].id
                fresh = [row for row in rows if row.id not in self._seen and self._passes(row)]
                self._print(fresh)
                self._seen.update(row.id for row in rows)
            self._lasts.append(last)
            self._seen = {number for number in self._seen if number > self._lasts[0]}

    @property
    def _exact(self) -> bool:
        return "*" not in self._wanted.repository

    def _passes(self, row: AuditRow) -> bool:
        if self._exact:
            return True
        # What the trail holds may be any text that somebody asked for.
        return row.repository is not None and matches(self._pattern, row.repository)

    def _print(self, rows: Iterable[AuditRow]) -> None:
        for row in rows:
            click.echo(self._line(row))
            if row.id > self._lasts[0]:
                self._seen.add(row.id)


def as_json(row: AuditRow) -> str:
    """An event as an object on one line."""
    details = None if row.details is None else json.loads(row.details)
    return json.dumps({**asdict(row), "at": iso(row.at), "details": details})


def as_text(row: AuditRow) -> str:
    """An event as a line of words; `-` is nothing."""
    times = f" x{row.count}" if row.count > 1 else ""
    head = f"{iso(row.at)}  {row.outcome:7}  {row.action:18}  {_word(row.actor):20}"
    return "  ".join((head, *map(_word, (row.repository, row.target, row.address)))) + times


def _word(text: str | None) -> str:
    """The text as one word: what somebody typed must not look like another column."""
    if not text:
        return "-"
    return json.dumps(text, ensure_ascii=False) if {" ", '"'} & {*text} else text


def iso(at_ms: int) -> str:
    """A time in UTC, with milliseconds."""
    second, ms = divmod(at_ms, 1000)
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}.{ms:03d}Z"
