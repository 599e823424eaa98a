"""What users, groups, robots and roles may be called, and what a grant's subject may be."""

from typing import Final

from kho.oci.errors import Words
from kho.server.index.errors import Invalid
from kho.server.policy.access import ANONYMOUS, EVERYONE
from kho.server.policy.names import ALLOWED_TEXT, is_name

USER: Final = Words("user")
GROUP: Final = Words("group")
ROBOT: Final = Words("robot")
ROLE: Final = Words("role")
TOKEN: Final = Words("token")
KINDS: Final = {"user": USER, "group": GROUP, "robot": ROBOT}


def check_name(name: str, what: Words = USER) -> None:
    """Raise Invalid for what cannot be the name of a user, group, robot or role."""
    if not is_name(name):
        raise Invalid(
            "%(name)s cannot name a %(what)s; allowed are %(allowed)s",
            name=ascii(name[:129]),
            what=what,
            allowed=ALLOWED_TEXT,
        )


def check_subject(subject: str) -> tuple[str, str]:
    """The kind and the name: ("user", "alice"), ("everyone", ""). Raises Invalid."""
    if subject in (EVERYONE, ANONYMOUS):
        return subject, ""
    kind, colon, name = subject.partition(":")
    if not colon or kind not in KINDS:
        raise Invalid(
            "%(subject)s is no subject; allowed are user:NAME, group:NAME, robot:NAME,"
            " %(everyone)s (all who signed in) and %(anonymous)s",
            subject=ascii(subject[:140]),
            everyone=EVERYONE,
            anonymous=ANONYMOUS,
        )
    check_name(name, KINDS[kind])
    return kind, name
