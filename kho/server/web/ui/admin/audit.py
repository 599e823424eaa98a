"""Administration: the audit trail, as a page and as a file for spreadsheets."""

import csv
import io
import json
from collections.abc import AsyncGenerator, Iterable, Iterator
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

from kho.server.index import trail
from kho.server.index.errors import Invalid
from kho.server.resources import Resources
from kho.server.web.request import Request, Response, StreamResponse
from kho.server.web.ui import render
from kho.server.web.ui.admin import frame
from kho.server.web.ui.forms import Problem

ROWS: Final = 100
CSV_ROWS: Final = 100_000
_BATCH: Final = 500
_FIELDS: Final = ("actor", "action", "repository", "outcome", "since", "until")
_COLUMNS: Final = (
    *("at", "outcome", "action", "actor", "repository", "target", "address"),
    *("count", "request_id", "details"),
)
# What spreadsheets take for the beginning of a formula.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_DIGITS: Final = 18


async def audit(resources: Resources, request: Request) -> Response:
    """The newest first, filtered."""
    asked = _asked(request)
    text = request.query("before") or ""
    before = int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else None
    rows: list[trail.Entry] = []
    following = None
    problem = None
    try:
        rows, following = await trail.page(resources, await _wanted(resources, asked), before, ROWS)
    except Invalid as error:
        problem = Problem(error)
    kept = {key: value for key, value in asked.items() if value}
    return await frame.page(
        *(resources, request, "audit"),
        problem=problem,
        asked=asked,
        rows=[(row, _in_words(row.details)) for row in rows],
        outcomes=trail.OUTCOMES,
        most=CSV_ROWS,
        following=f"?{urlencode({**kept, 'before': following})}" if following else "",
        first=f"?{urlencode(kept)}" if before else "",
        download=f"/-/admin/audit.csv?{urlencode(kept)}",
    )


def _in_words(details: str | None) -> str:
    """`role: writer, pattern: team/**`; JSON where it is deeper than that."""
    if not details:
        return ""
    found = json.loads(details)
    if not isinstance(found, dict):
        return details
    return ", ".join(
        f"{key}: {value if isinstance(value, str) else json.dumps(value)}"
        for key, value in found.items()
    )


async def download(resources: Resources, request: Request) -> StreamResponse:
    """The same as a file: at most CSV_ROWS events, the newest first, read while they are sent."""
    wanted = await _wanted(resources, _asked(request))
    headers = [
        ("content-type", "text/csv; charset=utf-8"),
        ("content-disposition", 'attachment; filename="audit.csv"'),
        *render.SAFE_HEADERS,
    ]
    encoded = [(key.encode("ascii"), value.encode("ascii")) for key, value in headers]
    return StreamResponse(200, encoded, _pieces(resources, wanted))


async def _pieces(resources: Resources, wanted: trail.Wanted) -> AsyncGenerator[bytes, None]:
    yield _lines([_COLUMNS])
    before: int | None = None
    left = CSV_ROWS
    while left > 0:
        rows, before = await trail.page(resources, wanted, before, min(left, _BATCH))
        if rows:
            yield _lines(map(_cells, rows))
        left -= len(rows)
        if before is None:
            return


def _lines(rows: Iterable[Iterable[str]]) -> bytes:
    file = io.StringIO(newline="")
    csv.writer(file).writerows(rows)
    return file.getvalue().encode()


def _cells(row: trail.Entry) -> Iterator[str]:
    for column in _COLUMNS:
        value = getattr(row, column)
        if column == "at":
            moment = datetime.fromtimestamp(value / 1000, UTC)
            yield f"{moment:%Y-%m-%dT%H:%M:%S}.{value % 1000:03d}Z"
        else:
            yield harmless("" if value is None else str(value))


def harmless(text: str) -> str:
    """The text as a cell that no spreadsheet calculates: with an apostrophe where it would."""
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text


def _asked(request: Request) -> dict[str, str]:
    return {name: (request.query(name) or "").strip()[:256] for name in _FIELDS}


async def _wanted(resources: Resources, asked: dict[str, str]) -> trail.Wanted:
    return await trail.wanted(
        resources,
        since=asked["since"],
        until=asked["until"],
        actor=asked["actor"],
        actions=tuple(asked["action"].replace(",", " ").split()[:16]),
        repository=asked["repository"],
        outcome=asked["outcome"] if asked["outcome"] in trail.OUTCOMES else "",
    )
