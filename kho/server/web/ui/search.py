"""What was found, and why."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from kho.server.index import search
from kho.server.index.catalogue import glimpses
from kho.server.index.catalogue.glimpses import NOTHING, Glimpse
from kho.server.index.search import Hit
from kho.server.resources import Resources
from kho.server.web.request import Request, Response
from kho.server.web.ui import choices, render

ROWS: Final = 25
LONGEST: Final = 256
KEYS: Final = ("q", "visibility", "kind", "platform", "days")


class Piece(NamedTuple):
    """Text of a match; `marked` is a word that was looked for."""

    text: str
    marked: bool


class Row(NamedTuple):
    """A hit; `field` says where the words are, "" where nothing was asked."""

    hit: Hit
    glimpse: Glimpse
    field: str
    name: tuple[Piece, ...]
    pieces: tuple[Piece, ...]


async def page(resources: Resources, request: Request) -> Response:
    """Of what the viewer may pull; without a question, what is pulled the most."""
    text = choices.text(request, "q")[:LONGEST]
    chosen = choices.read(request)
    cursor = request.query("cursor") or None
    found = await search.find(
        resources,
        request.caller.principal,
        text,
        platform=chosen.platform,
        kind=chosen.kind,
        public=chosen.public,
        pushed_after=chosen.pushed_after,
        cursor=cursor,
        limit=ROWS,
    )
    seen = await glimpses.of(resources, (hit.name for hit in found.hits))
    return await render.page(
        resources,
        request,
        "search.html",
        query=text,
        choices=chosen,
        narrowed=any(request.query(key) for key in KEYS[1:]),
        rows=[_row(hit, seen.get(hit.name, NOTHING)) for hit in found.hits],
        count=found.count,
        exact=found.exact,
        crumbs=[],
        following=choices.with_query(request, KEYS, cursor=found.cursor) if found.cursor else "",
        first=choices.with_query(request, KEYS) if cursor else "",
    )


def _row(hit: Hit, glimpse: Glimpse) -> Row:
    if hit.match is None:
        return Row(hit, glimpse, "", (Piece(hit.name, marked=False),), ())
    pieces = cut(hit.match.text, hit.match.ranges)
    if hit.match.field == "name":
        return Row(hit, glimpse, "name", pieces, ())
    return Row(hit, glimpse, hit.match.field, (Piece(hit.name, marked=False),), pieces)


def cut(text: str, ranges: Sequence[tuple[int, int]]) -> tuple[Piece, ...]:
    """The text in pieces: those in the ranges are marked."""
    found, end = [], 0
    for start, stop in sorted(ranges):
        begin = max(start, end)
        if begin >= stop:
            continue
        found += [Piece(text[end:begin], marked=False), Piece(text[begin:stop], marked=True)]
        end = stop
    found.append(Piece(text[end:], marked=False))
    return tuple(piece for piece in found if piece.text)
