"""Trust rules: which workloads of which issuer come in as which robot.

    rule = issuer (exactly) + audience (exactly) + conditions, all of which hold  ──>  robot

A condition names one claim and one or more globs, one of which must match the whole text of the
claim: `*` is any text, `/` too, and `?` is any character. Numbers and booleans are compared by
their JSON text; a list matches by any of its elements. `/` leads into nested claims:
`kubernetes.io/serviceaccount/name`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from kho.oci.errors import Worded
from kho.server.policy.errors import Disallowed

Conditions = Mapping[str, tuple[str, ...]]

# Longer claims match nothing: no rule is about them, and matching stays quick.
_CLAIM_CHARACTERS: Final = 2048
_SHOWN: Final = 120
_CONDITIONS: Final = 32
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/@-]{0,255}", re.ASCII)
_WILD: Final = re.compile(r"[*?]")

# Claims that say which workload it is and that nobody else can come to have: one must be pinned.
# An id is pinned by a text without wildcards, `sub` by one that does not begin with one.
SUBJECT: Final = "sub"
ACCOUNT: Final = "kubernetes.io/serviceaccount/name"
ACCOUNT_ID: Final = "kubernetes.io/serviceaccount/uid"
NAMESPACE: Final = "kubernetes.io/namespace"
_IDS: Final = ("repository_id", "repository_owner_id", "project_id", "namespace_id", ACCOUNT_ID)
_GITHUB: Final = re.compile(
    r"https://token\.actions\.(githubusercontent\.com|[a-z0-9-]+\.ghe\.com)(/.*)?"
    r"|https://[^/]+/_services/token(/.*)?"
)
_GITLAB: Final = "https://gitlab.com"
# Where names come free and are taken by others, `sub` is made of names.
_OF_GITHUB: Final = ("repository_id", "repository_owner_id")
_OF_GITLAB: Final = ("project_id", "namespace_id")


class Rule(NamedTuple):
    """A trust rule; `jwks_url` replaces the issuer's discovery."""

    name: str
    issuer: str
    audience: str
    conditions: Conditions
    robot: str
    jwks_url: str | None = None


def check_conditions(issuer: str, conditions: Conditions) -> None:
    """Raise ValueError for conditions that are not allowed, or that would let strangers in."""
    if len(conditions) > _CONDITIONS:
        raise Disallowed("at most %(most)s claims can have conditions", most=_CONDITIONS)
    for claim, globs in conditions.items():
        if not _NAME.fullmatch(claim):
            raise Disallowed(
                "%(claim)s is no name of a claim; allowed are letters, digits and _ . : / @ -",
                claim=ascii(claim),
            )
        for glob in globs:
            _check_glob(claim, glob)
    names = _needed(issuer)
    if not any(_pinned(conditions, name) for name in names):
        given = ", ".join(names)
        if SUBJECT not in names:
            raise Disallowed(
                "the conditions must pin an id, or strangers could come in: give one of %(names)s"
                " (ids without wildcards)",
                names=given,
            )
        raise Disallowed(
            "the conditions must pin the workload, or strangers could come in: give one of"
            " %(names)s (ids without wildcards, sub not beginning with one)",
            names=given,
        )


def _check_glob(claim: str, glob: str) -> None:
    if not glob or len(glob) > _CLAIM_CHARACTERS or not glob.isprintable():
        raise Disallowed(
            "the condition on %(claim)s must be printable text, where * and ? are wild", claim=claim
        )
    if glob.count("*") > 16:  # noqa: PLR2004
        raise Disallowed("the condition on %(claim)s has more than 16 times *", claim=claim)


def _needed(issuer: str) -> tuple[str, ...]:
    if _GITHUB.fullmatch(issuer):
        return _OF_GITHUB
    if issuer == _GITLAB:
        return _OF_GITLAB
    return (SUBJECT, *_IDS, ACCOUNT)


def _pinned(conditions: Conditions, name: str) -> bool:
    globs = conditions.get(name, ())
    if not globs:
        return False
    if name == SUBJECT:
        return all(glob[0] not in "*?" for glob in globs)
    if name == ACCOUNT and not _pinned(conditions, NAMESPACE):
        return False
    return not any(_WILD.search(glob) for glob in globs)


def unmet(
    rule: Rule, issuer: str, audiences: Sequence[str], claims: Mapping[str, object]
) -> list[Worded]:
    """Why the rule does not let the token in, a line for each reason; empty when it does."""
    if issuer != rule.issuer:
        return [_unmet("iss", [issuer], [rule.issuer])]
    reasons = []
    if rule.audience not in audiences:
        reasons.append(_unmet("aud", audiences, [rule.audience]))
    for claim, globs in rule.conditions.items():
        texts = _texts(_value(claims, claim))
        if not any(matches(glob, text) for glob in globs for text in texts):
            reasons.append(_unmet(claim, texts[:8], globs))
    return reasons


def _unmet(claim: str, found: Sequence[str], wanted: Sequence[str]) -> Worded:
    shown = ", ".join(map(_shown, wanted))
    if not found:
        return Worded("%(claim)s is absent, wanted is %(wanted)s", claim=claim, wanted=shown)
    return Worded(
        "%(claim)s is %(found)s, wanted is %(wanted)s",
        claim=claim,
        found=", ".join(map(_shown, found)),
        wanted=shown,
    )


def matches(glob: str, text: str) -> bool:
    """Whether the whole text matches; upper and lower case differ."""
    if len(text) > _CLAIM_CHARACTERS:
        return False
    return glob == text or _compiled(glob).fullmatch(text) is not None


@lru_cache(maxsize=4096)
def _compiled(glob: str) -> re.Pattern[str]:
    """The expression of a glob.

    Between two stars the first place that fits is as good as any later one, so nothing is tried
    twice: each part is an atomic group.
    """
    first, *parts = ("".join(map(_one, part)) for part in re.split(r"\*+", glob))
    if not parts:
        return re.compile(first, re.DOTALL)
    last = parts.pop()
    middle = "".join(f"(?>.*?{part})" for part in parts)
    return re.compile(f"{first}{middle}.*{last}", re.DOTALL)


def _one(character: str) -> str:
    return "." if character == "?" else re.escape(character)


def _value(claims: Mapping[str, object], path: str) -> object:
    """The claim of that name, else what lies below the claim that the name's beginning names."""
    if path in claims:
        return claims[path]
    for at, character in enumerate(path):
        inner = claims.get(path[:at]) if character == "/" else None
        if isinstance(inner, dict):
            return _value(inner, path[at + 1 :])
    return None


def _texts(value: object) -> list[str]:
    if isinstance(value, list):
        return [text for one in value if not isinstance(one, list) for text in _texts(one)]
    if isinstance(value, str):
        return [value]
    return [] if value is None or isinstance(value, dict) else [json.dumps(value)]


def _shown(text: str) -> str:
    return ascii(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")
