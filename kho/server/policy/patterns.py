"""Globs of repository names: matched in Python, and turned into ranges for SQL.

    team/app      this repository
    team/*        one component below team
    team/**       everything below team
    **            everything

`*` and `?` stay within a component, `**` does not.
"""

import re
from functools import lru_cache
from typing import Final, NamedTuple

from kho.oci.errors import Words
from kho.server.policy.errors import Disallowed

_ALLOWED: Final = re.compile(r"[a-z0-9._/*?-]{1,255}", re.ASCII)
_WILD: Final = re.compile(r"\*\*|\*|\?")
_PART: Final = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
_STAR: Final = re.compile(r"\[\^/\]\*")
_LIKE: Final = {"**": "%", "*": "%", "?": "_"}
_END: Final = "\0"  # what follows a name in its range: no name holds it
ALLOWED_TEXT: Final = Words(
    "a repository name, where * stands for part of a component and ** for any number of them"
)


class NameRange(NamedTuple):
    """Names whose sort key is in `low <= key < high`; `expression` must match the name too.

    `high` is None where there is no end, `expression` where every name in the range matches.
    `like` and `unlike` are for LIKE, which is much quicker: no name matches whose sort key does not
    match the one, or matches the other.
    """

    low: str
    high: str | None
    expression: str | None
    like: str = "%"
    unlike: str = ""

    @property
    def single(self) -> bool:
        """Whether it holds one name."""
        return self.high == self.low + _END


@lru_cache(maxsize=4096)
def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern as an expression for `fullmatch`. Raises ValueError where it is none."""
    if not _ALLOWED.fullmatch(pattern) or "***" in pattern:
        raise Disallowed(
            "%(pattern)s is not allowed; allowed is %(allowed)s",
            pattern=ascii(pattern),
            allowed=ALLOWED_TEXT,
        )
    return re.compile(quick(_expression(pattern)), re.ASCII | re.DOTALL)


def _expression(pattern: str) -> str:
    parts, end = [], 0
    for wild in _WILD.finditer(pattern):
        parts += [re.escape(pattern[end : wild.start()]), _PART[wild[0]]]
        end = wild.end()
    return "".join((*parts, re.escape(pattern[end:])))


def quick(expression: str) -> str:
    """The same expression for Python's matcher, which tries all splits of a name between stars.

    The first place that fits is as good as any later one: each part is an atomic group, and five
    stars take no longer than one. Only what follows the last star must end with the name.
    """
    first, *rest = expression.split(".*")
    if not rest:
        return _within_component(first, ends=True)
    middle = "".join(f"(?>.*?{_within_component(part)})" for part in rest[:-1])
    return f"{_within_component(first)}{middle}.*?{_within_component(rest[-1], ends=True)}"


def _within_component(part: str, *, ends: bool = False) -> str:
    first, *rest = _STAR.split(part)
    last = f"[^/]*{rest.pop()}" if ends and rest else ""
    return first + "".join(f"(?>[^/]*?{one})" for one in rest) + last


def matches(pattern: str, name: str) -> bool:
    """Whether the whole name matches."""
    return pattern in ("**", name) or compiled(pattern).fullmatch(name) is not None


def sort_key(name: str) -> str:
    """What names are sorted by: `/` lowest, so children come before siblings."""
    return name.replace("/", "!")


def name_range(pattern: str) -> NameRange:
    """Where in the order of names the matching ones are."""
    wild = _WILD.search(pattern)
    if wild is None:
        key = sort_key(pattern)
        return NameRange(key, key + _END, None)
    head = pattern[: wild.start()]
    key = sort_key(head)
    high = key[:-1] + chr(ord(key[-1]) + 1) if key else None
    if pattern[wild.start() :] == "**":
        return NameRange(key, high, None)
    like = _WILD.sub(lambda found: _LIKE[found[0]], sort_key(pattern))
    # Without `**` all names have as many components as the pattern.
    unlike = "" if "**" in pattern else "%" + "!%" * (pattern.count("/") + 1)
    return NameRange(key, high, f"^{_expression(pattern)}$", like, unlike)


@lru_cache(maxsize=128)
def covering(patterns: tuple[str, ...]) -> tuple[NameRange, ...]:
    """Ranges in order that together hold what the patterns match; none lies inside another.

    A range with an expression is kept beside one that overlaps it: names may come twice.
    """
    found: list[NameRange] = []
    whole_until: str | None = ""
    for one in sorted(
        map(name_range, set(patterns)), key=lambda one: (one.low, one.expression or "")
    ):
        if whole_until is None:
            break
        if one.high is not None and one.high <= whole_until:
            continue
        found.append(one)
        if one.expression is None:
            whole_until = one.high
    return tuple(found)
