"""Text into words: one way for what is stored and for what is asked, whichever the database.

"Ảnh Docker của nhóm"   anh, docker, cua, nhom     marks and capitals go
"my_app-v1.25.3"        my, app, 1.25.3            versions stay whole, so 1.2 finds 1.25
"""

import re
import unicodedata
from functools import lru_cache
from typing import Final, NamedTuple

LONGEST: Final = 64
HIGHEST: Final = "\U0010ffff"  # after whatever a word can go on with

# Chinese and Japanese have no spaces: each sign is a word, and a name of two is found by both.
_SIGNS: Final = "\u3041-\u3096\u30a1-\u30fa\u3400-\u4dbf\u4e00-\u9fff"
_WORD: Final = re.compile(
    rf"v?(\d+(?:\.\d+)+)|v(\d+)(?![^\W_])|[{_SIGNS}]|[^\W_{_SIGNS}]+", re.IGNORECASE
)
# What Unicode does not take apart.
_PLAIN: Final = str.maketrans({"đ": "d", "ø": "o", "ł": "l", "ı": "i"})


class Span(NamedTuple):
    """A word, and where its text stands."""

    word: str
    start: int
    stop: int


def clean(text: str, length: int) -> str:
    """At most so many characters, composed, on one line, of what every database can hold."""
    cut = text[: 4 * length]
    if not cut.isascii():
        cut = unicodedata.normalize("NFC", cut.encode("utf-8", "ignore").decode())
    return " ".join(cut.replace("\0", " ").split())[:length]


def spans(text: str) -> list[Span]:
    """The words of a cleaned text, in order."""
    found = []
    for match in _WORD.finditer(text):
        word = _folded(match[1] or match[2] or match[0])
        if word:
            found.append(Span(word, match.start(), match.end()))
    return found


@lru_cache(maxsize=8192)
def words(text: str) -> tuple[str, ...]:
    """The same without places, each once."""
    return tuple(dict.fromkeys(span.word for span in spans(text)))


def _folded(text: str) -> str:
    if text.isascii():
        return text.lower()[:LONGEST]
    taken_apart = unicodedata.normalize("NFKD", text.casefold().translate(_PLAIN))
    return "".join(sign for sign in taken_apart if sign.isalnum())[:LONGEST]
