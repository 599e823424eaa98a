"""Scopes of the token protocol: `repository:team/app:pull,push`, read and printed."""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

# The order in which actions are printed: containerd compares scopes as text.
_ORDER: Final = ("pull", "push", "delete", "*")
# Nothing that could end a quoted string, a header or a line; the class in brackets is deprecated.
_GRAMMAR: Final = re.compile(
    r"(?P<type>[a-z0-9]+)(?:\([a-z0-9]+\))?"
    r":(?P<name>[!#-\[\]-~]+)"
    r":(?P<actions>[!#-9;-\[\]-~]*)",
    re.ASCII,
)


class Scope(NamedTuple):
    """Actions on one resource; `type` without its deprecated class."""

    type: str
    name: str
    actions: frozenset[str]

    def __str__(self) -> str:
        return f"{self.type}:{self.name}:{','.join(self.ordered())}"

    def ordered(self) -> list[str]:
        """The actions as they are printed."""
        known = [action for action in _ORDER if action in self.actions]
        return known + sorted(self.actions - set(_ORDER))

    def claim(self) -> dict[str, object]:
        """An entry of a token's `access`."""
        return {"type": self.type, "name": self.name, "actions": self.ordered()}


def parse_scope(text: str) -> Scope | None:
    """One scope; None where the grammar is broken: what is unknown is dropped, not refused.

    The name may hold a colon (host:port): the type ends at the first, actions begin at the last.
    """
    match = _GRAMMAR.fullmatch(text)
    if match is None:
        return None
    actions = (part for part in match["actions"].split(",") if part)
    return Scope(match["type"], match["name"], frozenset(actions))


def parse_scopes(values: Iterable[str]) -> list[Scope]:
    """Every scope of repeated values, each of which may hold several; merged by type and name."""
    merged: dict[tuple[str, str], frozenset[str]] = {}
    for value in values:
        for text in value.split():
            one = parse_scope(text)
            if one is not None:
                key = one.type, one.name
                merged[key] = merged.get(key, frozenset()) | one.actions
    return [Scope(*key, actions) for key, actions in merged.items()]
