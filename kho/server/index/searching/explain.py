"""Why a repository was found: the field, a short piece of its text, and where the words are."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from kho.server.database.searching.search import Found
from kho.server.database.searching.search_document import Source
from kho.server.database.searching.words import Span, spans
from kho.server.index.searching.query import Query

_BEFORE: Final = 40
_LENGTH: Final = 160


@dataclass(frozen=True, slots=True)
class Match:
    """`field` is name, description, readme, label, tag, platform, type or digest.

    `text` is plain text, of whoever pushed it: nothing in it is markup. `ranges` are the places of
    the words in it, start and stop, in characters.
    """

    field: str
    text: str
    ranges: tuple[tuple[int, int], ...]


def explain(query: Query, found: Found, digest: str = "") -> Match | None:
    """The first field that has all the words, else the one that has the most of them."""
    if digest:
        return Match("digest", digest, ((0, len(query.digest)),))
    if not query.words:
        return None
    best: tuple[int, str, str, list[Span]] = (0, "", "", [])
    for field, text in _fields(found):
        places = [span for span in spans(text) if _asked(query, span.word)]
        kinds = len({_asked(query, span.word) for span in places})
        if kinds > best[0]:
            best = (kinds, field, text, places)
        if kinds == len(query.words):
            break
    _, field, text, places = best
    return _cut(field, text, places) if places else None


def _fields(found: Found) -> Iterator[tuple[str, str]]:
    yield "name", found.name
    source: Source = json.loads(found.source)
    yield "description", source["description"]
    for label in source["labels"]:
        yield "label", label
    for tag in source["tags"]:
        yield "tag", tag
    for platform in source["platforms"]:
        yield "platform", platform
    for kind in source["types"]:
        yield "type", kind
    yield "readme", source["readme"]


def _asked(query: Query, word: str) -> int:
    """Which word of the query this is, from 1; 0 for none of them."""
    *whole, last = query.words
    if word in whole:
        return whole.index(word) + 1
    return len(query.words) if word.startswith(last) else 0


def _cut(field: str, text: str, places: list[Span]) -> Match:
    """The text around the first word."""
    start = max(0, places[0].start - _BEFORE) if len(text) > _LENGTH else 0
    piece = text[start : start + _LENGTH]
    ranges = [
        (span.start - start, min(span.stop - start, len(piece)))
        for span in places
        if span.start - start < len(piece)
    ]
    return Match(field, piece, tuple(ranges))
