"""What a principal may see of the repositories, as a filter that SQL can apply.

open, or an unlimited reader     everything   no filter
no grants                        public       the public ones
otherwise                        some         conditions, all of which must hold:
                                                in a range of a grant, or public
                                                in a range of each ceiling
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from kho.server.policy.access import EVERYTHING, Action, Principal, pullable
from kho.server.policy.patterns import covering

# What no name holds, and PostgreSQL can store.
_AFTER_NAME = "\x01"
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
