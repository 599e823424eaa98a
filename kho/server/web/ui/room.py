"""What fits on a page: images may say anything of themselves, and a page has 150 KB.

Lists end where their room does, and say how many more there are; so do texts.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeVar

T = TypeVar("T")

# Of a row beside its texts: tags, a badge.
ROW: Final = 240
_ESCAPED: Final = re.compile("[<>&\"']")
_LONGEST_ESCAPE: Final = 5  # &#34;


class Told(NamedTuple):
    """A text, and how many characters of it are left out."""

    text: str
    left_out: int


def weight(text: str) -> int:
    """Bytes of a text on a page."""
    special = len(_ESCAPED.findall(text))
    return len(text.encode("utf-8", "replace")) + (_LONGEST_ESCAPE - 1) * special


def fit(items: Sequence[T], room: int, *names: str) -> Sequence[T]:
    """The first ones, as many as have room with the fields of these names; at least one."""
    left = room
    for count, item in enumerate(items):
        left -= ROW + sum(weight(str(getattr(item, name))) for name in names)
        if left < 0 and count:
            return items[:count]
    return items


def cut(text: str, room: int) -> Told:
    """As much of its beginning as has room."""
    shown = text[:room]
    while (heavy := weight(shown)) > room:
        shown = shown[: len(shown) * room // heavy]
    return Told(shown, len(text) - len(shown))


def pretty(text: str, room: int) -> Told:
    """JSON, indented, where that has room; else the text as it is, as much as fits."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return cut(text, room)
    found: list[str] = []
    length = 0
    for piece in _indented(value):
        found.append(piece)
        length += len(piece)
        # Of little text, nested deep, much may be made.
        if length > room:
            return cut(text, room)
    indented = "".join(found)
    return Told(indented, 0) if weight(indented) <= room else cut(text, room)


def _indented(value: Any) -> Iterator[str]:  # noqa: ANN401  JSON
    return json.JSONEncoder(indent=2, ensure_ascii=False).iterencode(value)
