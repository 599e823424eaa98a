"""What may stand in the audit trail: text that is printable, short and without secrets (W4)."""

import json
import re
from collections.abc import Mapping
from typing import Final

MASK: Final = "***"
DETAIL_CHARACTERS: Final = 512
DETAILS_CHARACTERS: Final = 4096
ENTRIES: Final = 64
DEPTH: Final = 4

_SECRET_NAME = re.compile(
    r"authorization|cookie|passw|secret|token|credential|private|assertion", re.IGNORECASE
)
# Tokens of ours, signed tokens of anybody, private keys. People paste them into the wrong field.
_SECRET = re.compile(
    r"kho[a-z]_[0-9A-Za-z]{16,}"
    r"|eyJ[0-9A-Za-z_-]{8,}(?:\.[0-9A-Za-z_=-]*){1,4}"
    r"|-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*",
    re.DOTALL,
)
_IN_URL = re.compile(r"://[^\s/@]{1,1024}@")


def clean(text: str, most: int) -> str:
    """The text without secrets and unprintable characters, cut to `most` characters."""
    shown = _SECRET.sub(MASK, text[: most * 4])
    shown = _IN_URL.sub(f"://{MASK}@", shown)
    if not shown.isprintable():
        shown = "".join(c if c.isprintable() else _escaped(c) for c in shown)
    return shown[:most]


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def clean_details(details: Mapping[str, object] | None) -> str | None:
    """Details as bounded JSON in ASCII; entries that would make it too long are left out."""
    if not details:
        return None
    kept: dict[str, object] = {}
    size = 2
    for name, value in list(details.items())[:ENTRIES]:
        safe_name = clean(str(name), 64)
        safe = _cleaned(safe_name, value, DEPTH)
        size += len(json.dumps({safe_name: safe}))
        if size > DETAILS_CHARACTERS:
            kept["cut"] = True
            break
        kept[safe_name] = safe
    return json.dumps(kept)


def _cleaned(name: str, value: object, depth: int) -> object:
    if value is None or isinstance(value, bool | int | float):
        return _number(value)
    if _SECRET_NAME.search(name):
        return MASK
    if depth > 0 and isinstance(value, Mapping):
        entries = list(value.items())[:ENTRIES]
        return {clean(str(key), 64): _cleaned(str(key), one, depth - 1) for key, one in entries}
    if depth > 0 and isinstance(value, list | tuple | set | frozenset):
        return [_cleaned("", one, depth - 1) for one in list(value)[:ENTRIES]]
    return clean(str(value), DETAIL_CHARACTERS)


def _number(value: float | None) -> float | None:
    """The number, unless JSON has no such number or it is absurdly long."""
    return value if value is None or -(2.0**63) < value < 2.0**63 else None
