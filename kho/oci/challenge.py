"""WWW-Authenticate: written as clients parse it, read as registries write it (RFC 9110, 11.6.1)."""

import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from kho.oci.scope import Scope

# The realm may come from a Host header: nothing in it may end the string.
_UNSAFE: Final = re.compile(r"[^ !#-\[\]-~]")
_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# `key=value`, or the name of the next scheme; every alternative begins differently.
_PART: Final = re.compile(
    rf"""
    [ \t,]*
    (?:
        (?P<key>{_WORD}) [ \t]*=[ \t]*
        (?: "(?P<quoted>(?:[^"\\]|\\.)*)" | (?P<plain>{_WORD}) )
      | (?P<scheme>{_WORD}) (?=[ \t,]|$)
    )
    """,
    re.VERBOSE,
)
_ESCAPED: Final = re.compile(r"\\(.)")
LENGTH: Final = 8192


def bearer_challenge(
    realm: str, service: str, scopes: Sequence[Scope] = (), error: str | None = None
) -> str:
    """Comma without space, double quotes, in this order: clients parse it by hand."""
    parts = [("realm", realm), ("service", service)]
    if scopes:
        parts.append(("scope", " ".join(map(str, scopes))))
    if error is not None:
        parts.append(("error", error))
    return "Bearer " + ",".join(f"{key}={_quoted(value)}" for key, value in parts)


def basic_challenge(realm: str) -> str:
    """Ask for name and password."""
    return f"Basic realm={_quoted(realm)}"


def _quoted(value: str) -> str:
    return '"' + _UNSAFE.sub("?", value) + '"'


class Challenge(NamedTuple):
    """How a registry wants to be asked: the scheme in lower case, and its parameters."""

    scheme: str
    parameters: dict[str, str]


def parse_challenges(headers: Iterable[str]) -> list[Challenge]:
    """Every challenge of the header's lines; what comes after a broken part is left out."""
    found: list[Challenge] = []
    for header in headers:
        text, position, own = header[:LENGTH], 0, len(found)
        while (match := _PART.match(text, position)) is not None:
            position = match.end()
            if match["scheme"] is not None:
                found.append(Challenge(match["scheme"].lower(), {}))
            elif len(found) > own:
                quoted = match["quoted"]
                value = match["plain"] if quoted is None else _ESCAPED.sub(r"\1", quoted)
                found[-1].parameters.setdefault(match["key"].lower(), value)
    return found
