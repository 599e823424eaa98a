"""Scopes of the token protocol: `repository:team/app:pull,push`, read and printed."""

from collections.abc import Iterable
from typing import Final, NamedTuple

# The order in which actions are printed: containerd compares scopes as text.
_ORDER: Final = ("pull", "push", "delete", "*")


class Scope(NamedTuple):
    """Actions on one resource; `type` without its deprecated class."""

    type: str
    name: str
    actions: frozenset[str]

    def __str__(self) -> str:
        known = [action for action in _ORDER if action in self.actions]
        return f"{self.type}:{self.name}:{','.join(known + sorted(self.actions - set(_ORDER)))}"

    def claim(self) -> dict[str, object]:
        """An entry of a token's `access`."""
        return {
            "type": self.type,
            "name": self.name,
            "actions": str(self).rpartition(":")[2].split(","),
        }


def parse_scope(text: str) -> Scope | None:
    """One scope; None where the grammar is broken: what is unknown is dropped, not refused.

    The name may hold a colon (host:port): the type ends at the first, actions begin at the last.
    """
    kind, colon, rest = text.partition(":")
    name, last, actions = rest.rpartition(":")
    kind = kind.partition("(")[0]
    if not (colon and last and kind and name) or not text.isprintable() or " " in text:
        return None
    return Scope(kind, name, frozenset(part for part in actions.split(",") if part))


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
