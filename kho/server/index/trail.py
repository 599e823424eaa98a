"""The audit trail as people read it: filtered, the newest first, page by page."""

import re
from datetime import UTC, datetime
from typing import Final

from kho.server.database import audit
from kho.server.database.audit import AuditRow, Filter
from kho.server.index.errors import Invalid
from kho.server.policy.errors import Disallowed
from kho.server.policy.patterns import compiled, matches
from kho.server.resources import Resources

Entry = AuditRow
Wanted = Filter

OUTCOMES: Final = audit.OUTCOMES
# Rows that are looked at for a page, at most: one that few fit is shorter than asked.
LOOKED_AT: Final = 20_000
BATCH: Final = 1000

_AGO: Final = re.compile(r"([0-9]{1,6})([smhdw])")
_UNIT_MS: Final = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


def moment(text: str, now_ms: int) -> int:
    """The moment that the text names, in milliseconds; without an offset it is UTC.

    Raises ValueError.
    """
    ago = _AGO.fullmatch(text)
    if ago:
        return now_ms - int(ago[1]) * _UNIT_MS[ago[2]]
    try:
        found = datetime.fromisoformat(text)
        return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise Disallowed(
            "%(text)s is no time; allowed is a time ago such as 90m, 12h, 7d, a date such as"
            " 2026-11-01, or ISO 8601",
            text=ascii(text),
        ) from None


async def wanted(
    resources: Resources,
    *,
    since: str = "",
    until: str = "",
    actor: str = "",
    actions: tuple[str, ...] = (),
    repository: str = "",
    outcome: str = "",
) -> Filter:
    """Which events; what is "" lets all through. Raises Invalid."""
    now_ms = await resources.database.read(audit.now)
    try:
        if repository:
            compiled(repository)
        return Filter(
            since_ms=moment(since, now_ms) if since else None,
            until_ms=moment(until, now_ms) if until else None,
            actor=actor,
            actions=actions,
            repository=repository,
            outcome=outcome,
        )
    except Disallowed as error:
        raise Invalid(error.template, **error.values) from None


async def page(
    resources: Resources, these: Filter, before: int | None, limit: int
) -> tuple[list[AuditRow], int | None]:
    """Events before that id, the newest first, and the id that the next page begins before.

    None: there are no more. A page may be shorter than `limit`, or empty, and not be the last.
    """
    glob = these.repository
    # `*` of SQL crosses slashes, that of repositories does not: it is looked at again here.
    these = these._replace(repository=glob.replace("?", "*"))
    exact = "*" not in these.repository
    found: list[AuditRow] = []
    looked_at = 0
    while looked_at < LOOKED_AT:
        size = limit + 1 if exact else BATCH
        rows = await resources.database.read(audit.newest, these._replace(before_id=before), size)
        looked_at += size
        for row in reversed(rows):
            if len(found) == limit:
                return found, found[-1].id
            before = row.id
            if exact or (row.repository is not None and matches(glob, row.repository)):
                found.append(row)
        if len(rows) < size:
            return found, None
    return found, before
