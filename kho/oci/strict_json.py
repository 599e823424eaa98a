"""JSON as a registry must read it: one meaning, bounded work.

Python's reader takes the last of duplicate keys, NaN, lone surrogates, and recurses without end;
Go's matches keys in any case. Two readers of one manifest must never differ (CVE-2021-41190), so
whatever they could read differently is refused.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, NoReturn

DEPTH: Final = 64
# A manifest at its limit of references holds some 80,000 objects and lists.
NESTED: Final = 250_000
# Possessive, and also matching a string without end: linear time, no memory for backtracking.
_BRACKETS: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[{\]}]', re.DOTALL)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class JsonRefused(ValueError):
    """Why the text is not taken; one line."""


def _check_depth(content: bytes) -> None:
    if content.count(b"{") + content.count(b"[") <= DEPTH:
        return  # most are so: nothing in them is nested deeper, whatever stands in strings
    depth = opened = 0
    for match in _BRACKETS.finditer(content):
        token = match.group()
        if token in b"[{":
            depth += 1
            opened += 1
            if opened > NESTED:
                raise JsonRefused(f"more than {NESTED} objects and lists")
            if depth > DEPTH:
                raise JsonRefused(f"nested deeper than {DEPTH}")
        elif token in b"]}":
            depth -= 1
            if depth < 0:
                raise JsonRefused("not JSON: a bracket too many")


def _unique(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    out = dict(pairs)
    if len(out) != len(pairs):
        twice, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise JsonRefused(f"the key {twice[:64]!a} stands twice")
    return out


def _no_constant(text: str) -> NoReturn:
    raise JsonRefused(f"{text} is not JSON")


def _bounded_int(text: str) -> int:
    if len(text) > 19:  # noqa: PLR2004  the longest int64 has 19 digits; descriptors hold no more
        raise JsonRefused("a number with more than 19 digits")
    return int(text)


def _float(text: str) -> float:
    # Written in Python, so that others have their turn while a thread reads a million of them.
    return float(text)


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_constant=_no_constant,
    parse_float=_float,
    parse_int=_bounded_int,
)


def parse_object(content: bytes) -> dict[str, object]:
    """Read one JSON object; raise JsonRefused for anything ambiguous or unbounded."""
    _check_depth(content)
    try:
        text = content.decode("utf-8")
        value = _DECODER.decode(text)
    except UnicodeDecodeError as error:
        raise JsonRefused("not UTF-8") from error
    except RecursionError as error:
        raise JsonRefused("nested too deep") from error
    except json.JSONDecodeError as error:
        raise JsonRefused(f"not JSON: {error.msg} at character {error.pos}") from error
    if not isinstance(value, dict):
        raise JsonRefused("not a JSON object")
    if "\\u" in text and _SURROGATE.search(json.dumps(value, ensure_ascii=False)):
        raise JsonRefused("a lone surrogate in a string")
    return value


def check_key_case(value: dict[str, object], known: frozenset[str], where: str) -> None:
    """Refuse a key that is a known one in another case: Go would read it, Python would not.

    Go folds as Unicode does: to it U+017F is an "s" and U+212A a "k".
    """
    folded = _folded(known)
    for key in value:
        wanted = folded.get(key.casefold())
        if wanted is not None and wanted != key:
            raise JsonRefused(f"{where}: the key {key[:64]!a} must be written {wanted!a}")


@lru_cache(maxsize=64)
def _folded(known: frozenset[str]) -> Mapping[str, str]:
    return {key.casefold(): key for key in known}
