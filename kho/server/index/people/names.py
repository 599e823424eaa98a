"""What users, groups, robots and roles may be called, and what a grant's subject may be."""

import re
from typing import Final

from kho.server.index.errors import Invalid
from kho.server.policy.access import ANONYMOUS, EVERYONE

RESERVED: Final = (ANONYMOUS, EVERYONE, "operator")
ALLOWED: Final = (
    "1 to 128 of a-z, 0-9, '.', '_', '@' and '-', beginning with a letter or digit, and not "
    + ", ".join(RESERVED)
)
KINDS: Final = ("user", "group", "robot")

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._@-]{0,127}", re.ASCII)


def check_name(name: str, what: str = "user") -> None:
    """Raise Invalid for what cannot be the name of a user, group, robot or role."""
    if _NAME.fullmatch(name) is None or name in RESERVED:
        raise Invalid(f"{name[:129]!a} cannot name a {what}; allowed are {ALLOWED}")


def check_subject(subject: str) -> tuple[str, str]:
    """The kind and the name: ("user", "alice"), ("everyone", ""). Raises Invalid."""
    if subject in (EVERYONE, ANONYMOUS):
        return subject, ""
    kind, colon, name = subject.partition(":")
    if not colon or kind not in KINDS:
        raise Invalid(
            f"{subject[:140]!a} is no subject; allowed are user:NAME, group:NAME, robot:NAME,"
            f" {EVERYONE} (all who signed in) and {ANONYMOUS}"
        )
    check_name(name, kind)
    return kind, name
