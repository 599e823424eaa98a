"""Conditions of trust rules: what they match, and what is refused as too loose."""

from fnmatch import fnmatchcase

from kho.oci.strict_json import JsonRefused, parse_object
from kho.server.policy.trust import Rule, check_conditions, matches, unmet
from tests.fuzz import texts

ISSUER = "https://issuer.example"


def check(data: bytes) -> None:
    claim, glob, text, rest = texts.split(data, 4)
    name, pattern, subject = texts.unicode(claim), texts.unicode(glob), texts.unicode(text)
    for issuer in (ISSUER, "https://gitlab.com", "https://token.actions.githubusercontent.com"):
        for conditions in ({name: (pattern,)}, {"sub": (pattern,), name: ("x",)}):
            try:
                check_conditions(issuer, conditions)
            except ValueError as error:
                assert "\n" not in str(error)
                continue
            check_rule(Rule("r", issuer, "kho", conditions, "ci"), rest)
    if len(subject) > 2048 or pattern.count("*") > 16:
        return
    # The other matcher knows brackets, and folds nothing on this system.
    plain = pattern.replace("[", "[[]")
    if len(pattern) + len(subject) < 200:
        assert matches(pattern, subject) == fnmatchcase(subject, plain), (pattern, subject)


def check_rule(rule: Rule, rest: bytes) -> None:
    assert unmet(rule, ISSUER + "/", ["kho"], {})
    assert unmet(rule, rule.issuer, ["kho"], {})  # no claims fulfil no conditions
    assert unmet(rule, rule.issuer, [], {})
    try:
        claims = parse_object(rest)
    except JsonRefused:
        return
    reasons = [*map(str, unmet(rule, rule.issuer, ["other", "kho"], claims))]
    assert all(reason.isascii() and "\n" not in reason for reason in reasons)
    fitting = {
        name: globs[0].replace("*", "").replace("?", "x") for name, globs in rule.conditions.items()
    }
    assert unmet(rule, rule.issuer, ["kho"], fitting) == []
