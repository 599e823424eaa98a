"""What users, groups, robots and roles may be called, and what a grant's subject may be."""

from typing import Final

from kho.server.index.errors import Invalid
from kho.server.policy.access import ANONYMOUS, EVERYONE
from kho.server.policy.names import RESERVED, is_name

ALLOWED: Final = (
    "1 to 128 of a-z, 0-9, '.', '_', '@' and '-', beginning with a letter or digit, and not "
    + ", ".join(RESERVED)
)
KINDS: Final = ("user", "group", "robot")


def check_name(name: str, what: str = "user") -> None:
    """Raise Invalid for what cannot be the name of a user, group, robot or role."""
    if not is_name(name):
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
