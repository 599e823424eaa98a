"""What a principal may see of the repositories, as a filter that SQL can apply.

open, or an unlimited reader     everything   no filter
no grants                        public       the public ones
otherwise                        some         conditions, all of which must hold:
                                                in a range of a grant, or public
                                                in a range of each ceiling
"""

import json
import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from kho.server.policy.access import EVERYTHING, Action, Principal, pullable
from kho.server.policy.patterns import covering, quick

# What no name holds, and PostgreSQL can store.
_AFTER_NAME = "\x01"
_LAST = "\x7f"
_PUBLIC: list[str | None] = ["public", None, None]


class Kind(StrEnum):
    """Which of three statements answers."""

    EVERYTHING = "everything"
    PUBLIC = "public"
    SOME = "some"


@dataclass(frozen=True, slots=True)
class Sight:
    """`conditions` is JSON: a list of conditions, each a list of alternatives.

    An alternative is [low, high, expression]: the sort key of a name is in low <= key < high (high
    null: no end) and the name matches the expression (null: any). ["public", null, null] are the
    public repositories.
    """

    kind: Kind
    conditions: str = "[]"


def sight_of(principal: Principal) -> Sight:
    """What the principal may pull, and so may see."""
    granted = pullable(principal)
    if not principal.ceilings:
        if EVERYTHING in granted:
            return Sight(Kind.EVERYTHING)
        if not granted:
            return Sight(Kind.PUBLIC)
    conditions = [[_PUBLIC, *_alternatives(granted)]]
    for ceiling in principal.ceilings:
        lines = [line.pattern for line in ceiling if Action.PULL in line.actions]
        conditions.append(_alternatives(lines))
    return Sight(Kind.SOME, json.dumps(conditions))


def _alternatives(patterns: Iterable[str]) -> list[list[str | None]]:
    return [
        [one.low, None if one.high is None else one.high.replace("\0", _AFTER_NAME), one.expression]
        for one in covering(tuple(patterns))
    ]


class _Condition:
    """Alternatives of which one must hold. Plain ranges do not overlap: they are bisected."""

    def __init__(self, alternatives: list[list[str | None]]) -> None:
        self.public = _PUBLIC in alternatives
        ranges = [
            (low or "", _LAST if high is None else high, expression)
            for low, high, expression in (one for one in alternatives if one != _PUBLIC)
        ]
        plain = sorted((low, high) for low, high, expression in ranges if expression is None)
        self.lows = [low for low, _ in plain]
        self.highs = [high for _, high in plain]
        self.globs = [
            (low, high, re.compile(quick(expression), re.ASCII | re.DOTALL))
            for low, high, expression in ranges
            if expression is not None
        ]

    def holds(self, key: str, name: str, public: int) -> bool:
        """Whether the repository meets an alternative."""
        if public and self.public:
            return True
        place = bisect_right(self.lows, key) - 1
        if place >= 0 and key < self.highs[place]:
            return True
        return any(
            low <= key < high and expression.search(name) is not None
            for low, high, expression in self.globs
        )


class _Last:
    """The conditions that were asked for last: one query asks for the same ones all the time."""

    text = "[]"
    conditions: tuple[_Condition, ...] = ()


def sees(conditions: str, key: str, name: str, public: int) -> bool:
    """What SQL says of a repository with this sort key, by the conditions of a `Sight`."""
    if conditions != _Last.text:
        _Last.conditions = tuple(map(_Condition, json.loads(conditions)))
        _Last.text = conditions
    return all(one.holds(key, name, public) for one in _Last.conditions)
