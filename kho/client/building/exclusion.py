"""Globs of what is not packed.

*.pyc           without a slash: a name, at any depth
docs/*.md       with one: a path from the folder on
**/cache        ** is any number of folders, none included
build/          with a slash at the end: folders alone
"""

import re
from collections.abc import Sequence
from typing import Final

from kho.client.errors import Misused

_LENGTH: Final = 1000


class Exclusion:
    """Several globs; what is in an excluded folder is not asked about."""

    def __init__(self, globs: Sequence[str]) -> None:
        """Raise Misused for a glob that is none."""
        both = [_pattern(one) for one in globs if not one.endswith("/")]
        folders = [_pattern(one.rstrip("/")) for one in globs if one.endswith("/")]
        self._any = _joined(both)
        self._folder = _joined(folders + both)

    def has(self, path: bytes, *, is_folder: bool) -> bool:
        """Whether a path below the folder, `a/b`, is excluded."""
        found = self._folder if is_folder else self._any
        return found is not None and found.fullmatch(path) is not None


def _joined(patterns: Sequence[bytes]) -> re.Pattern[bytes] | None:
    return re.compile(b"|".join(patterns), re.DOTALL) if patterns else None


def _pattern(glob: str) -> bytes:
    if not glob.strip("/") or len(glob) > _LENGTH:
        raise Misused(f"--exclude {glob!a:.100}: expected a glob, as *.pyc or docs/**")
    anchored = "/" in glob
    parts = glob.strip("/").encode("utf-8", "surrogateescape").split(b"/")
    if not anchored:
        parts = [b"**", *parts]
    found = b""
    for position, part in enumerate(parts):
        last = position == len(parts) - 1
        if part == b"**":
            found += b".*" if last else b"(?:.*/)?"
        else:
            found += _name(part) + (b"" if last else b"/")
    return b"(?:" + found + b")"


def _name(part: bytes) -> bytes:
    """One component: `*` and `?` stay in it, `[a-z]` and `[!a-z]` are one sign."""
    found, at = b"", 0
    while at < len(part):
        sign = part[at : at + 1]
        at += 1
        end = part.find(b"]", at + 2 if part[at : at + 1] == b"!" else at + 1)
        if sign == b"*":
            if not found.endswith(b"[^/]*"):
                found += b"[^/]*"
        elif sign == b"?":
            found += b"[^/]"
        elif sign == b"[" and end > 0:
            inside = part[at:end].replace(b"\\", b"\\\\").replace(b"[", b"\\[")
            if inside.startswith(b"!"):
                inside = b"^" + inside[1:]
            found += b"[" + inside + b"]"
            at = end + 1
        else:
            found += re.escape(sign)
    return found
