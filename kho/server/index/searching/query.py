"""What somebody typed, as words: whatever it is, it is never syntax."""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from kho.oci.platform import Platform, PlatformInvalid
from kho.server.database.searching.search import Word
from kho.server.database.searching.search_document import kind_facet, platform_facet
from kho.server.database.searching.words import clean, spans

_LENGTH: Final = 512
_WORDS: Final = 8
_DIGEST: Final = re.compile(r"sha(?:256|512):[0-9a-f]{7,128}", re.ASCII)
# What search_document.py leaves out of types of artifacts.
_COMMON: Final = re.compile(r"(?<!\S)application/(?=\S*[.+])(?:vnd\.)?", re.IGNORECASE)
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._/-]{0,254}", re.ASCII)


@dataclass(frozen=True)
class Query:
    """The last word may go on; the others are whole.

    `name` is what was typed, if that may be (the beginning of) a name; `digest` likewise. `nothing`
    is what was typed and has no word in it.
    """

    words: tuple[str, ...] = ()
    facets: tuple[str, ...] = ()
    name: str = ""
    digest: str = ""
    nothing: bool = False

    @cached_property
    def last_word(self) -> re.Pattern[str]:
        """The last word, whole, in a name."""
        last = self.words[-1] if self.words else ""
        return re.compile(rf"(?<![a-z0-9]){re.escape(last)}(?![a-z0-9])", re.ASCII)

    @property
    def ranges(self) -> list[Word]:
        """The words as the rows are asked for them."""
        *whole, last = self.words or ("",)
        return [*map(Word.exactly, whole), Word.beginning(last)] if last else []


def parse(text: str, platform: str = "", kind: str = "") -> Query:
    """Read a search; more than eight words are left out. A platform that is none finds nothing."""
    typed = clean(text, _LENGTH)
    facets = []
    if platform:
        try:
            facets.append(platform_facet(str(Platform.parse(platform))))
        except PlatformInvalid:
            return Query(nothing=True)
    if kind:
        facets.append(kind_facet(clean(kind, _LENGTH)))
    lower = typed.lower()
    if _DIGEST.fullmatch(lower):
        return Query(facets=tuple(facets), digest=lower)
    found = [span.word for span in spans(_COMMON.sub("", typed))]
    last = found[-1:]
    words = tuple([*dict.fromkeys(word for word in found if [word] != last), *last][-_WORDS:])
    name = lower if words and _NAME.fullmatch(lower) else ""
    return Query(words, tuple(facets), name, nothing=bool(typed) and not words)
